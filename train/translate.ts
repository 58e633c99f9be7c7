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
import { type CommonOptions, checkOption, directionsOf, type Recipe, type Way } from '../model/recipe.ts';
import { createTranslator, freeTranslator, runTranslator } from '../model/translator.ts';
import { preprocess } from './data/augment.ts';
import { toPicture } from './data/grid.ts';
import { heatmapPicture } from './data/heatmap.ts';
import type { Picture } from './data/picture.ts';
import { openCheckpoint } from './formats/checkpoint.ts';
import type { CheckpointView } from './formats/view.ts';
import type { Warn } from './observers.ts';
import { generatorOptions, loadGenerator, recipeIn } from './weights.ts';

/** A picture as the model saw it, what it made of it, and where it looked, if it has a map of that. */
export interface TranslatedPicture {
  readonly input: Picture;
  readonly output: Picture;
  readonly heatmap?: Picture;
}

/** A generator loaded from a file, ready to translate pictures one at a time. */
export interface PictureTranslator {
  readonly recipe: Recipe;
  readonly options: CommonOptions;
  /** Whether it shows where it looked. */
  readonly hasHeatmap: boolean;
  /** Translates a picture of any size (resized to the model's); the heat map shows where it looked. */
  translate(picture: Picture): Promise<TranslatedPicture>;
  close(): void;
}

async function mapOf(device: Device, heatmap: Tensor, size: number): Promise<Picture> {
  const [, height, width] = heatmap.shape;
  return heatmapPicture(await read(device, heatmap), height, width, size);
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
  const { image, heatmap } = program.outputs;
  const made = await read(device, image);
  const [, height, width] = image.shape;
  return {
    input: toPicture(values, size, size),
    output: toPicture(made, width, height),
    ...(heatmap ? { heatmap: await mapOf(device, heatmap, size) } : {}),
  };
}

/** The way of that name. @throws CheckpointError where the recipe of the file does not go there */
function wayOf(recipe: Recipe, direction: string, path: string): Way {
  const ways = directionsOf(recipe);
  const way = ways.get(direction);
  if (way) return way;
  throw new CheckpointError(
    ways.size === 0
      ? `${path} holds ${recipe.title}, which makes pictures from noise and translates none: ` +
          'look at the samples of its run'
      : `${path} holds ${recipe.title}, which does not go ${direction}: ` +
          `choose one of ${[...ways.keys()].join(', ')} with --direction`,
  );
}

/**
 * Loads a generator from a .pt or safetensors file (all networks of its recipe, or one generator alone).
 * @param direction one of those of the file's recipe, which must be known
 * @param warn hears of tensors that were left out and the like
 * @throws CheckpointError when the file does not hold it.
 */
export async function openTranslator(
  device: Device,
  path: string,
  direction: string,
  size?: number,
  warn: Warn = () => {},
): Promise<PictureTranslator> {
  const view = await openCheckpoint(path);
  try {
    const recipe = recipeIn(view);
    const way = wayOf(recipe, direction, path);
    const options = generatorOptions(view, way.network, size);
    checkOption('size', recipe.options.size, options.size);
    return await openGenerator(device, view, recipe, way, options, warn);
  } finally {
    await view.close();
  }
}

/** What was taken of the device's memory is given back where this fails. */
async function openGenerator(
  device: Device,
  view: CheckpointView,
  recipe: Recipe,
  way: Way,
  options: CommonOptions,
  warn: Warn,
): Promise<PictureTranslator> {
  const { size } = options;
  const translator = createTranslator(device, recipe, options, way);
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
      return { image, ...(heatmap ? { heatmap } : {}) } as Record<string, Tensor>;
    });
    return {
      ...{ recipe, options, hasHeatmap: 'heatmap' in program.outputs },
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
