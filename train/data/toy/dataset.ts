import { STREAM } from '../order.ts';
import type { Picture } from '../picture.ts';
import { keyedRandom } from '../random.ts';
import { drawToy, type ToyDomain } from './draw.ts';

/** The name under which the drawn data set is asked for. */
export const TOY_NAME = 'toy-cat2dog';

/** One domain and split of the drawn data set. */
export interface ToySource {
  readonly kind: 'toy';
  readonly label: string;
  readonly domain: ToyDomain;
  readonly split: 'train' | 'test';
  readonly seed: number;
  readonly count: number;
}

export interface ToyOptions {
  /** Changes every picture; default 1. */
  seed?: number;
  /** Pictures per training domain (default 500) and test domain (default 50). */
  train?: number;
  test?: number;
}

/** The embedded data set: cats as A, dogs as B, drawn when they are asked for. */
export function toyDataset(options: ToyOptions = {}) {
  const { seed = 1, train = 500, test = 50 } = options;
  const source = (domain: ToyDomain, split: 'train' | 'test'): ToySource => ({
    kind: 'toy',
    label: `${TOY_NAME}/${split}${domain === 'cat' ? 'A' : 'B'}`,
    domain,
    split,
    seed,
    count: split === 'train' ? train : test,
  });
  return {
    name: TOY_NAME,
    trainA: source('cat', 'train'),
    trainB: source('dog', 'train'),
    testA: source('cat', 'test'),
    testB: source('dog', 'test'),
  };
}

/** Picture `index` of a drawn source, `size` x `size`. */
export function drawToyPicture(source: ToySource, index: number, size: number): Picture {
  const stream = source.split === 'train' ? 0 : 1;
  const seed = Math.floor(keyedRandom(source.seed, STREAM.toy, stream, index)() * 2 ** 32);
  return drawToy(source.domain, seed, size);
}
