import { join } from 'node:path';
import { writePng } from '../../train/data/png.ts';
import { countPictures, pictureName, readPicture } from '../../train/data/source.ts';
import { toyDataset } from '../../train/data/toy/dataset.ts';

/** Draws a small data set into a folder, as `cli/data.ts draw` does. */
export async function drawPictures(folder: string, options: { train: number; test: number; size: number }) {
  const data = toyDataset({ train: options.train, test: options.test });
  for (const split of ['trainA', 'trainB', 'testA', 'testB'] as const) {
    for (let i = 0; i < countPictures(data[split]); i++) {
      const path = join(folder, split, pictureName(data[split], i));
      await writePng(path, await readPicture(data[split], i, options.size));
    }
  }
}
