import type { Device } from '../engine/device/device.ts';
import { CheckpointError } from '../engine/errors.ts';
import { allocate, release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, type Program, record, run } from '../engine/run/program.ts';
import { read, upload } from '../engine/run/transfer.ts';
import { setTensor } from '../model/parameters.ts';
import type { GeneratorConfig } from '../model/ugatit/generator.ts';
import {
  createTranslator,
  freeTranslator,
  LONE,
  runTranslator,
  type Translator,
} from '../model/ugatit/inference.ts';
import { preprocess } from './data/augment.ts';
import { toPicture } from './data/grid.ts';
import { heatmapPicture } from './data/heatmap.ts';
import type { Picture } from './data/picture.ts';
import {
  type Architecture,
  type CheckpointView,
  describeArchitecture,
  matchTensors,
  openCheckpoint,
} from './formats/checkpoint.ts';

export type Direction = 'AtoB' | 'BtoA';

/** A picture as the model saw it, what it made of it, and where it looked. */
export interface TranslatedPicture {
  readonly input: Picture;
  readonly output: Picture;
  readonly heatmap: Picture;
}

/** A generator loaded from a file, ready to translate pictures one at a time. */
export interface PictureTranslator {
  readonly config: GeneratorConfig;
  /** Translates a picture of any size (resized to the model's); the heat map shows where it looked. */
  translate(picture: Picture): Promise<TranslatedPicture>;
  close(): void;
}

/** Side of the pictures: asked for, else as the run was trained, else tied to the weights, else 256. */
function sizeOf(view: CheckpointView, found: Architecture, asked: number | undefined): number {
  if (asked !== undefined) return asked;
  if (found.size !== undefined) return found.size;
  try {
    const config = JSON.parse(view.metadata.config ?? '{}') as { model?: { size?: number } };
    return config.model?.size ?? 256;
  } catch {
    return 256;
  }
}

/** What the file's generator is made of. @throws CheckpointError when it has none. */
function generatorConfig(view: CheckpointView, network: string, size: number | undefined): GeneratorConfig {
  const found = describeArchitecture(view);
  if (!found.lone && !found.networks.includes(network)) {
    const has = found.networks.join(', ') || 'no network of U-GAT-IT';
    throw new CheckpointError(`${view.path} has no ${network}, it has ${has}: try the other --direction`);
  }
  if (found.ch === undefined || found.nRes === undefined || found.light === undefined) {
    throw new CheckpointError(`${view.path} holds no generator of U-GAT-IT`);
  }
  return { light: found.light, ch: found.ch, nRes: found.nRes, size: sizeOf(view, found, size) };
}

async function loadGenerator(view: CheckpointView, network: string, translator: Translator): Promise<void> {
  const { device, ensemble } = translator;
  const { parameters } = ensemble;
  const bare = (name: string) => name.slice(LONE.length + 1);
  const expected = new Map(parameters.specs.map((s) => [`${network}.${bare(s.name)}`, s.authorsShape]));
  const names = matchTensors(expected, view, { network });
  for (const spec of parameters.specs) {
    const values = await view.read(names.get(`${network}.${bare(spec.name)}`)!);
    setTensor(device, parameters, spec, values);
  }
}

async function translateOne(
  device: Device,
  program: Program<Record<string, Tensor>>,
  x: Tensor,
  size: number,
  picture: Picture,
): Promise<TranslatedPicture> {
  const values = preprocess(picture, size);
  upload(device, x, values);
  run(program);
  const image = await read(device, program.outputs.image);
  const map = await read(device, program.outputs.heatmap);
  return {
    input: toPicture(values, size, size),
    output: toPicture(image, size, size),
    heatmap: heatmapPicture(map, size / 4, size / 4, size),
  };
}

/**
 * Loads a generator from a .pt or safetensors file (all six networks, or one generator alone).
 * @throws CheckpointError when the file does not hold it.
 */
export async function openTranslator(
  device: Device,
  path: string,
  direction: Direction,
  size?: number,
): Promise<PictureTranslator> {
  const network = direction === 'AtoB' ? 'genA2B' : 'genB2A';
  const view = await openCheckpoint(path);
  try {
    const config = generatorConfig(view, network, size);
    if (config.size % 4 !== 0)
      throw new CheckpointError(`--size must be a multiple of 4, got ${config.size}`);
    return await openGenerator(device, view, network, config);
  } finally {
    await view.close();
  }
}

/** What was taken of the device's memory is given back where this fails. */
async function openGenerator(
  device: Device,
  view: CheckpointView,
  network: string,
  config: GeneratorConfig,
): Promise<PictureTranslator> {
  const { size } = config;
  const translator = createTranslator(device, config);
  let x: Tensor | undefined;
  const free = () => {
    if (x) release(device, x);
    freeTranslator(translator);
  };
  try {
    await loadGenerator(view, network, translator);
    const input = allocate(device, [1, size, size, 3], 'picture');
    x = input;
    const program = await record(device, () => {
      const { image, heatmap } = runTranslator(translator, input);
      return { image, heatmap };
    });
    return {
      config,
      translate: (picture) => translateOne(device, program, input, size, picture),
      close() {
        dispose(program);
        free();
      },
    };
  } catch (error) {
    free();
    throw error;
  }
}
