/** Names of tensors in checkpoints: the authors' state_dict names behind their network's. */

/** Names of the networks whose state_dicts become dictionaries of their own, as the authors save them. */
export const NETWORKS = ['genA2B', 'genB2A', 'disGA', 'disGB', 'disLA', 'disLB'] as const;

/** A tensor that every network of a kind has, and by which the network is found under any name. */
export const LANDMARKS = { generator: 'DownBlock.1.weight', discriminator: 'model.1.weight_orig' } as const;

export type NetworkKind = keyof typeof LANDMARKS;

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
