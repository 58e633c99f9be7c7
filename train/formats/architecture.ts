/** Reads a U-GAT-IT network's settings off the names and shapes of its tensors. */

import { LANDMARKS, splitName } from './names.ts';
import type { TensorShapes } from './view.ts';

/** Settings as far as the tensors tell (the first network that does); a field is absent where none does. */
export interface Architecture {
  /** Which of the networks there are, in the authors' order. */
  networks: string[];
  /** The names have no network in front: one network alone. */
  lone: boolean;
  /** Base channels. */
  ch?: number;
  /** Residual blocks on each side of a generator's bottleneck. */
  nRes?: number;
  light?: boolean;
  /** Image side in pixels; only a full generator's FC.0.weight depends on it. */
  size?: number;
  /** Layers (n_layers) of disGA/disGB and of disLA/disLB. */
  disLayers: { global?: number; local?: number };
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
  const found: Architecture = { networks, lone, disLayers: {} };
  for (const [name, shapes] of groups) {
    if (shapes.has(LANDMARKS.generator)) describeGenerator(found, shapes);
    const layers = describeDiscriminator(found, shapes);
    if (layers === undefined) continue;
    if (name.startsWith('disG')) found.disLayers.global ??= layers;
    if (name.startsWith('disL')) found.disLayers.local ??= layers;
  }
  return found;
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

function describeGenerator(found: Architecture, shapes: Shapes): void {
  found.ch ??= shapes.get(LANDMARKS.generator)?.[0];
  const blocks = [...shapes.keys()].map((name) => Number(/^UpBlock1_(\d+)\./.exec(name)?.[1] ?? 0));
  const most = blocks.reduce((a, b) => Math.max(a, b), 0);
  // A number that a damaged name gives is no reason to make a network of as many blocks.
  if (most <= shapes.size) found.nRes ??= most;
  const fc = shapes.get('FC.0.weight');
  if (fc?.length !== 2) return;
  // Light: 4ch -> 4ch. Full: (size/4)² places of 4ch channels -> 4ch, and size is at least 8.
  const [wide, fan] = fc;
  found.light ??= fan === wide;
  const size = 4 * Math.sqrt(fan / wide);
  if (fan !== wide && Number.isInteger(size)) found.size ??= size;
}

/** The number of layers: the last convolution before the CAM is model.{3(layers-2)+1}. */
function describeDiscriminator(found: Architecture, shapes: Shapes): number | undefined {
  const first = shapes.get(LANDMARKS.discriminator);
  if (!first) return undefined;
  found.ch ??= first[0];
  const slots = [...shapes.keys()].map((name) => Number(/^model\.(\d+)\.weight_orig$/.exec(name)?.[1] ?? 0));
  const last = slots.reduce((most, n) => Math.max(most, n), 0);
  return last % 3 === 1 ? (last - 1) / 3 + 2 : undefined;
}
