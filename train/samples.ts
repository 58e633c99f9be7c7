import { type Device, withinMemory } from '../engine/device/device.ts';
import { allocate, release, type Tensor } from '../engine/record/tensor.ts';
import { dispose, type Program, record, run } from '../engine/run/program.ts';
import { read, upload } from '../engine/run/transfer.ts';
import { translate, type Ugatit } from '../model/ugatit/ugatit.ts';
import { DataError } from './data/errors.ts';
import type { Dataset } from './data/folder.ts';
import { composeGrid, toPicture } from './data/grid.ts';
import { heatmapPicture } from './data/heatmap.ts';
import { createLoader, type TestPicture } from './data/loader.ts';
import type { Picture } from './data/picture.ts';
import { writePng } from './data/png.ts';
import type { Warn } from './observers.ts';
import type { RunConfig } from './options.ts';

/** Which way a grid translates. */
export type Direction = 'A2B' | 'B2A';

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

/** Rows of the authors' grid, top to bottom, in terms of the outputs below. */
const ROWS = ['identity.heatmap', 'identity', 'fake.heatmap', 'fake', 'cycle.heatmap', 'cycle'] as const;

function build(model: Ugatit, x: Tensor, direction: Direction): Record<string, Tensor> {
  const [there, back] =
    direction === 'A2B' ? (['genA2B', 'genB2A'] as const) : (['genB2A', 'genA2B'] as const);
  const identity = translate(model, back, x);
  const fake = translate(model, there, x);
  const cycle = translate(model, back, fake.image);
  return {
    identity: identity.image,
    'identity.heatmap': identity.heatmap,
    fake: fake.image,
    'fake.heatmap': fake.heatmap,
    cycle: cycle.image,
    'cycle.heatmap': cycle.heatmap,
  };
}

/** One column: the real picture, then heat map and picture of identity, translation and reconstruction. */
async function column(
  device: Device,
  program: Program<Record<string, Tensor>>,
  x: Tensor,
  values: Float32Array,
  size: number,
): Promise<Picture[]> {
  upload(device, x, values);
  run(program);
  const pictures = [toPicture(values, size, size)];
  for (const row of ROWS) {
    const result = await read(device, program.outputs[row]);
    const isMap = row.endsWith('.heatmap');
    pictures.push(isMap ? heatmapPicture(result, size / 4, size / 4, size) : toPicture(result, size, size));
  }
  return pictures;
}

/** Columns of a grid, picture by picture. @throws the reason of `stop` when that is aborted */
async function columns(
  model: Ugatit,
  direction: Direction,
  x: Tensor,
  pictures: readonly TestPicture[],
  stop: AbortSignal,
): Promise<Picture[][]> {
  const { device, config } = model;
  const check = () => stop.throwIfAborted();
  const program = await record(device, () => build(model, x, direction), check);
  try {
    const made: Picture[][] = [];
    for (const { values } of pictures) {
      check();
      made.push(await column(device, program, x, values, config.size));
    }
    return made;
  } finally {
    dispose(program);
  }
}

/**
 * Translates the pictures of one domain and writes the grid: a column a picture, seven rows, as the authors
 * lay theirs out. Its memory is taken for the call only.
 * @throws the reason of `stop` when that is aborted before all is translated; nothing is written then
 */
export async function writeSampleGrid(
  model: Ugatit,
  direction: Direction,
  pictures: SamplePictures,
  path: string,
  stop: AbortSignal,
): Promise<void> {
  const { device, config } = model;
  const free = (tensor: Tensor) => release(device, tensor);
  const x = await withinMemory(
    device,
    () => allocate(device, [1, config.size, config.size, 3], 'sample'),
    free,
  );
  try {
    const made = await columns(model, direction, x, direction === 'A2B' ? pictures.a : pictures.b, stop);
    const rows = made[0].map((_, r) => made.map((column) => column[r]));
    await writePng(path, composeGrid(rows));
  } finally {
    free(x);
  }
}
