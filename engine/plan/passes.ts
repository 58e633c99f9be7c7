import type { Launch } from '../record/recorder.ts';
import type { Tensor } from '../record/tensor.ts';
import { fuseAdds } from './fuseAdds.ts';
import { pruneLaunches } from './prune.ts';

/** Rewrites a program between its recording and the plan of its memory. */
interface Pass {
  readonly name: string;
  /** @param keep tensors that are read after the program: they stay what they are */
  readonly apply: (launches: readonly Launch[], keep: readonly Tensor[]) => Launch[];
}

/** All passes, in the order in which a program goes through them. */
export const PASSES: readonly Pass[] = [
  { name: 'prune', apply: pruneLaunches },
  { name: 'fuse-adds', apply: fuseAdds },
];

/**
 * The program after all passes.
 * @param watch hears of the program before the first pass ('recorded') and after each one, by its name
 */
export function applyPasses(
  recorded: readonly Launch[],
  keep: readonly Tensor[],
  watch: (stage: string, launches: readonly Launch[]) => void = () => {},
): readonly Launch[] {
  let launches = recorded;
  watch('recorded', launches);
  for (const { name, apply } of PASSES) {
    launches = apply(launches, keep);
    watch(name, launches);
  }
  return launches;
}
