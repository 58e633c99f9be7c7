/** Names of tensors in checkpoints: the authors' state_dict names behind their network's. */

/** Names of the networks whose state_dicts become dictionaries of their own, as the authors save them. */
export const NETWORKS = ['genA2B', 'genB2A', 'disGA', 'disGB', 'disLA', 'disLB'] as const;

/** A name's network and the name within it; `network` is '' for the tensors of a lone network. */
export function splitName(name: string): { network: string; rest: string } {
  const dot = name.indexOf('.');
  const network = name.slice(0, Math.max(dot, 0));
  const known = (NETWORKS as readonly string[]).includes(network);
  return known ? { network, rest: name.slice(dot + 1) } : { network: '', rest: name };
}

/** Our training checkpoints hold these besides the networks. */
export const EXTRA_PREFIXES = ['adam.', 'state.'] as const;
