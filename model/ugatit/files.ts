/** Reads U-GAT-IT's settings off the names and shapes in the authors' files. */
import type { AuthorsFiles, Shapes } from '../recipe.ts';

/** Settings as far as the tensors tell; a field is absent where none does. */
interface Found {
  /** Base channels. */
  ch?: number;
  /** Residual blocks on each side of a generator's bottleneck. */
  nRes?: number;
  light?: boolean;
  /** Image side in pixels; only a full generator's FC.0.weight depends on it. */
  size?: number;
  /** Layers (n_layers) of disGA/disGB and of disLA/disLB. */
  disLayers?: { global?: number; local?: number };
}

export const GENERATORS = ['genA2B', 'genB2A'] as const;
export const DISCRIMINATORS = ['disGA', 'disGB', 'disLA', 'disLB'] as const;

const LANDMARKS = { generator: 'DownBlock.1.weight', discriminator: 'model.1.weight_orig' } as const;

const RELATIVES = [
  { name: 'photo2cartoon', mark: /(^|\.)HourGlass\d+\.HG\./ },
  { name: 'NICE-GAN', mark: /(^|\.)(UpBlock0\.\d|Dis[01]_[01]\.\d)/ },
  { name: 'CycleGAN', mark: /(^|\.)model\.\d+\.conv_block\.\d+\.weight$/ },
];

function settings(networks: ReadonlyMap<string, Shapes>): Record<string, unknown> {
  const disLayers: Found['disLayers'] = {};
  const found: Found = { disLayers };
  for (const [name, shapes] of networks) {
    if (shapes.has(LANDMARKS.generator)) describeGenerator(found, shapes);
    const layers = describeDiscriminator(found, shapes);
    if (layers === undefined) continue;
    if (name.startsWith('disG')) disLayers.global ??= layers;
    if (name.startsWith('disL')) disLayers.local ??= layers;
  }
  return { ...found };
}

function describeGenerator(found: Found, shapes: Shapes): void {
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
function describeDiscriminator(found: Found, shapes: Shapes): number | undefined {
  const first = shapes.get(LANDMARKS.discriminator);
  if (!first) return undefined;
  found.ch ??= first[0];
  const slots = [...shapes.keys()].map((name) => Number(/^model\.(\d+)\.weight_orig$/.exec(name)?.[1] ?? 0));
  const last = slots.reduce((most, n) => Math.max(most, n), 0);
  return last % 3 === 1 ? (last - 1) / 3 + 2 : undefined;
}

function flags(wanted: Found, found: Found): Map<string, string> {
  const all = new Map<string, string>();
  if (differs(found.light, wanted.light)) all.set(found.light ? '--light' : '--full', '');
  if (differs(found.ch, wanted.ch)) all.set('--ch', ` ${found.ch}`);
  if (differs(found.nRes, wanted.nRes)) all.set('--n-res', ` ${found.nRes}`);
  if (differs(found.size, wanted.size) && !found.light) all.set('--size', ` ${found.size}`);
  const layers = (['global', 'local'] as const).map((kind) => {
    const [its, ours] = [found.disLayers?.[kind], wanted.disLayers?.[kind]];
    // A model of generators alone has no layers to differ.
    return { value: its ?? ours, differ: ours !== undefined && differs(its, ours) };
  });
  if (layers.some(({ differ }) => differ)) {
    all.set('--dis-layers', ` ${layers.map(({ value }) => value).join(',')}`);
  }
  return all;
}

/** Known of the file, and not what the model has. */
function differs<T>(found: T | undefined, wanted: T | undefined): boolean {
  return found !== undefined && found !== wanted;
}

function options({ ch, nRes, light, size }: Found): object | string {
  if (ch !== undefined && nRes !== undefined && light !== undefined) {
    return { light, ch, nRes, ...(size === undefined ? {} : { size }) };
  }
  const part = ', but a part of one (FC.0.weight is missing, or no matrix)';
  return ch !== undefined && light === undefined ? part : '';
}

/** Files of the authors' code. */
export const files: AuthorsFiles = {
  networks: [...GENERATORS, ...DISCRIMINATORS],
  landmarks: LANDMARKS,
  relatives: RELATIVES,
  settings,
  flags: (wanted, found) => flags(wanted as unknown as Found, found as unknown as Found),
  options: (found) => options(found as unknown as Found),
};
