import {
  allocate,
  type Device,
  dispose,
  elements,
  type Program,
  read,
  record,
  release,
  run,
  type Shape,
  type Tensor,
  upload,
  withinMemory,
} from '../engine/index.ts';
import { drawNoise, type Model, scopeIn } from '../model/model.ts';
import type { CommonOptions, Translated, Way } from '../model/recipe.ts';
import { DataError } from './data/errors.ts';
import type { Dataset } from './data/folder.ts';
import { composeGrid, toPicture } from './data/grid.ts';
import { heatmapPicture } from './data/heatmap.ts';
import { createLoader, type TestPicture } from './data/loader.ts';
import type { Picture } from './data/picture.ts';
import { writePng } from './data/png.ts';
import type { Warn } from './observers.ts';
import type { RunConfig } from './options.ts';

/** The fixed pictures a run's sample grids show. */
export interface SamplePictures {
  readonly a: readonly TestPicture[];
  readonly b: readonly TestPicture[];
}

/** Pictures of each domain and split in a sample grid. */
const SAMPLE_COLUMNS = 5;

/** The first pictures of each split, resized: they do not come out of the training stream. */
export async function samplePictures(
  dataset: Dataset,
  config: RunConfig,
  warn: Warn,
): Promise<SamplePictures> {
  const { size } = config.model;
  const first = async (a: Dataset['testA'], b: Dataset['testB'], tell: Warn) => {
    const loader = createLoader({ ...dataset, testA: a, testB: b, size, threads: 0, warn: tell });
    const pictures = await loader.loadTest(size, SAMPLE_COLUMNS);
    await loader.close();
    return pictures;
  };
  // Unreadable training pictures are reported when their turn comes in training.
  const train = await first(dataset.trainA, dataset.trainB, () => {});
  for (const [pictures, { label }] of [
    [train.a, dataset.trainA],
    [train.b, dataset.trainB],
  ] as const) {
    if (pictures.length === 0) throw new DataError(`none of the pictures in ${label} can be read`);
  }
  const test = await first(dataset.testA, dataset.testB, warn);
  const both = (x: TestPicture[], y: TestPicture[]) => [...x, ...y];
  return { a: both(train.a, test.a), b: both(train.b, test.b) };
}

/** Shape of what a way takes, for one picture. */
export const inputShape = ({ noise }: Way, options: CommonOptions): Shape =>
  noise ? noise(options) : [1, options.size, options.size, 3];

/** Rows of a grid below the real picture, top to bottom, and which of them are heat maps. */
interface Grid {
  readonly outputs: Record<string, Tensor>;
  readonly maps: ReadonlySet<string>;
}

/**
 * Records what a grid of one way shows of a picture: identity (what the way back makes of a picture that is
 * there already), translation, and there and back; each below its heat map where the model has one.
 */
export function gridOf(model: Model, { network, back }: Way, x: Tensor): Grid {
  const { recipe, options } = model;
  const apply = (name: string, picture: Tensor) => recipe.translate(scopeIn(model, name), picture, options);
  const fake = apply(network, x);
  const rows: Record<string, Translated> = back
    ? { identity: apply(back, x), fake, cycle: apply(back, fake.image) }
    : { fake };
  const outputs: Record<string, Tensor> = {};
  const maps = new Set<string>();
  for (const [row, { image, heatmap }] of Object.entries(rows)) {
    if (heatmap) {
      outputs[`${row}.heatmap`] = heatmap;
      maps.add(`${row}.heatmap`);
    }
    outputs[row] = image;
  }
  return { outputs, maps };
}

/** One column: the real picture where the way takes one, then the rows of the grid. */
async function column(
  device: Device,
  program: Program<Record<string, Tensor>>,
  x: Tensor,
  values: Float32Array,
  maps: ReadonlySet<string>,
): Promise<Picture[]> {
  upload(device, x, values);
  run(program);
  const [, height, width, channels] = x.shape;
  const pictures = channels === 3 ? [toPicture(values, width, height)] : [];
  const side = program.outputs.fake.shape[1];
  for (const [row, tensor] of Object.entries(program.outputs)) {
    const result = await read(device, tensor);
    const [, h, w] = tensor.shape;
    pictures.push(maps.has(row) ? heatmapPicture(result, h, w, side) : toPicture(result, w, h));
  }
  return pictures;
}

/**
 * What the columns of a grid show: pictures of the domain that the way takes, or noise that is always the
 * same.
 */
function inputsOf({ from, noise }: Way, { a, b }: SamplePictures, options: CommonOptions): Float32Array[] {
  if (from) return (from === 'A' ? a : b).map(({ values }) => values);
  const count = elements(noise!(options));
  return Array.from({ length: 2 * SAMPLE_COLUMNS }, (_, i) => drawNoise(0, 'sample', i, count));
}

/** Columns of a grid, input by input. @throws the reason of `stop` when that is aborted */
async function columns(
  model: Model,
  way: Way,
  x: Tensor,
  inputs: readonly Float32Array[],
  stop: AbortSignal,
): Promise<Picture[][]> {
  const { device } = model;
  const check = () => stop.throwIfAborted();
  let maps: ReadonlySet<string> = new Set();
  const build = () => {
    const grid = gridOf(model, way, x);
    maps = grid.maps;
    return grid.outputs;
  };
  const program = await record(device, build, check);
  try {
    const made: Picture[][] = [];
    for (const values of inputs) {
      check();
      made.push(await column(device, program, x, values, maps));
    }
    return made;
  } finally {
    dispose(program);
  }
}

/**
 * Translates the pictures of one domain and writes the grid: a column a picture, the rows of `gridOf` below
 * it. Its memory is taken for the call only.
 * @throws the reason of `stop` when that is aborted before all is translated; nothing is written then
 */
export async function writeSampleGrid(
  model: Model,
  way: Way,
  pictures: SamplePictures,
  path: string,
  stop: AbortSignal,
): Promise<void> {
  const { device, options } = model;
  const free = (tensor: Tensor) => release(device, tensor);
  const x = await withinMemory(device, () => allocate(device, inputShape(way, options), 'sample'), free);
  try {
    const made = await columns(model, way, x, inputsOf(way, pictures, options), stop);
    const rows = made[0].map((_, r) => made.map((column) => column[r]));
    await writePng(path, composeGrid(rows));
  } finally {
    free(x);
  }
}
