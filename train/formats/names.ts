/** Names of tensors in checkpoints: the authors' state_dict names behind their network's. */

import type { AuthorsFiles } from '../../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNamed } from '../../model/recipes.ts';

/** How networks lie in files that do not say whose they are. */
export const AUTHORS = recipeNamed(DEFAULT_RECIPE).files!;

export type NetworkKind = keyof AuthorsFiles['landmarks'];

/**
 * A name's network, of those that there may be, and the name within it; `network` is '' for the tensors of a
 * lone network.
 */
export function splitName(name: string, networks: readonly string[]): { network: string; rest: string } {
  const dot = name.indexOf('.');
  const network = name.slice(0, Math.max(dot, 0));
  return networks.includes(network) ? { network, rest: name.slice(dot + 1) } : { network: '', rest: name };
}

/** Our training checkpoints hold these besides the networks. */
export const EXTRA_PREFIXES = ['adam.', 'state.'] as const;

/** Parts of names that PyTorch's own wrappers put in: DataParallel, torch.compile, FSDP, checkpointing. */
const WRAPPERS = /(?<![^.])(module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\./g;

/** A name without the parts that wrappers put in. */
export function unwrapName(name: string): string {
  return name.replace(WRAPPERS, '');
}
