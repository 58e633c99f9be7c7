import { CheckpointError } from '../engine/errors.ts';
import {
  allocate,
  type Device,
  dispose,
  type Program,
  read,
  record,
  release,
  run,
  type Tensor,
  upload,
} from '../engine/index.ts';
import type { Way } from '../model/recipe.ts';
import { createTranslator, freeTranslator, runTranslator } from '../model/translator.ts';
import { type UgatitConfig, ugatit } from '../model/ugatit/ugatit.ts';
import { preprocess } from './data/augment.ts';
import { toPicture } from './data/grid.ts';
import { heatmapPicture } from './data/heatmap.ts';
import type { Picture } from './data/picture.ts';
import { openCheckpoint } from './formats/checkpoint.ts';
import type { CheckpointView } from './formats/view.ts';
import type { Warn } from './observers.ts';
import { generatorConfig, loadGenerator } from './weights.ts';

export type Direction = 'AtoB' | 'BtoA';

/** A picture as the model saw it, what it made of it, and where it looked. */
export interface TranslatedPicture {
  readonly input: Picture;
  readonly output: Picture;
  readonly heatmap: Picture;
}

/** A generator loaded from a file, ready to translate pictures one at a time. */
export interface PictureTranslator {
  readonly config: UgatitConfig;
  /** Translates a picture of any size (resized to the model's); the heat map shows where it looked. */
  translate(picture: Picture): Promise<TranslatedPicture>;
  close(): void;
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
 * @param warn hears of tensors that were left out and the like
 * @throws CheckpointError when the file does not hold it.
 */
export async function openTranslator(
  device: Device,
  path: string,
  direction: Direction,
  size?: number,
  warn: Warn = () => {},
): Promise<PictureTranslator> {
  const way = ugatit.ways[direction === 'AtoB' ? 'A2B' : 'B2A'];
  const view = await openCheckpoint(path);
  try {
    const config = generatorConfig(view, way.network, size);
    if (config.size % 4 !== 0)
      throw new CheckpointError(`--size must be a multiple of 4, got ${config.size}`);
    return await openGenerator(device, view, way, config, warn);
  } finally {
    await view.close();
  }
}

/** What was taken of the device's memory is given back where this fails. */
async function openGenerator(
  device: Device,
  view: CheckpointView,
  way: Way,
  config: UgatitConfig,
  warn: Warn,
): Promise<PictureTranslator> {
  const { size } = config;
  const translator = createTranslator(device, ugatit, config, way);
  let x: Tensor | undefined;
  const free = () => {
    if (x) release(device, x);
    freeTranslator(translator);
  };
  try {
    await loadGenerator(view, way.network, translator, warn);
    const input = allocate(device, [1, size, size, 3], 'picture');
    x = input;
    const program = await record(device, () => {
      const { image, heatmap } = runTranslator(translator, input);
      return { image, heatmap: heatmap! };
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
