import type { Launch } from '../record/recorder.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';

/** Drops launches whose results nobody reads: neither a kept tensor nor a persistent one is written. */
export function pruneLaunches(launches: readonly Launch[], keep: readonly Tensor[]): Launch[] {
  const needed = new Set(keep.map((t) => rootOf(t).id));
  const kept: Launch[] = [];
  for (const item of [...launches].reverse()) {
    const useful = item.bindings.some((t, i) => {
      const root = rootOf(t);
      return item.writes[i] && (root.storage !== null || needed.has(root.id));
    });
    if (!useful) continue;
    kept.push(item);
    for (const t of item.bindings) needed.add(rootOf(t).id);
  }
  return kept.reverse();
}
