import { AUTHORS } from './names.ts';
import type { TensorShapes } from './view.ts';

/** The project whose network a file seems to hold that does not say what it holds. */
export function findRelative(view: TensorShapes): string | undefined {
  if (view.networks !== AUTHORS.networks) return undefined;
  const names = view.names();
  return AUTHORS.relatives.find(({ mark }) => names.some((name) => mark.test(name)))?.name;
}
