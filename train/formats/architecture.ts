/** Which networks there are in a file, and their settings as far as names and shapes tell. */

import type { Settings } from '../../model/recipe.ts';
import { AUTHORS, splitName } from './names.ts';
import type { TensorShapes } from './view.ts';

/** What a file, or a model's expected tensors, are. */
export interface Architecture {
  /** Which of the networks there are, in the authors' order. */
  networks: string[];
  /** The names have no network in front: one network alone. */
  lone: boolean;
  /** What the recipe reads off the tensors. */
  settings: Settings;
}

type Shapes = Map<string, readonly number[]>;

/** Describes a checkpoint, or a model's expected tensors; settings are read off the networks `of` alone. */
export function describeArchitecture(
  view: TensorShapes,
  of: readonly string[] = view.networks,
): Architecture {
  const all = groupByNetwork(view);
  const lone = all.has('') && all.size === 1;
  const groups = lone ? all : new Map([...all].filter(([name]) => of.includes(name)));
  const networks = view.networks.filter((name) => all.has(name));
  // Whose networks have other names says elsewhere what they are.
  const settings = view.networks === AUTHORS.networks ? AUTHORS.settings(groups) : {};
  return { networks, lone, settings };
}

/** The tensors of each network; what belongs to none (Adam's moments) counts if it is all there is. */
function groupByNetwork(view: TensorShapes): Map<string, Shapes> {
  const groups = new Map<string, Shapes>();
  for (const name of view.names()) {
    const { network, rest } = splitName(name, view.networks);
    const shapes: Shapes = groups.get(network) ?? new Map();
    groups.set(network, shapes.set(rest, view.shape(name)));
  }
  if (groups.size > 1) groups.delete('');
  return groups;
}
