import { basename } from 'node:path';
import type { Rgb } from './colour.ts';
import { decodeFile } from './decode.ts';
import type { Picture } from './picture.ts';
import { drawToyPicture, type ToySource } from './toy/dataset.ts';

/** Picture files in a fixed order. */
export interface FileSource {
  readonly kind: 'files';
  /** For messages: the folder. */
  readonly label: string;
  /** Paths that can be opened as they stand. */
  readonly files: readonly string[];
  /** What shows through transparent pictures; default: alpha is dropped. */
  readonly background?: Rgb;
}

/** Where the pictures of one domain and split come from: plain data, so that threads can be sent it. */
export type Source = FileSource | ToySource;

/** How many pictures there are. */
export function countPictures(source: Source): number {
  return source.kind === 'files' ? source.files.length : source.count;
}

/**
 * The name of a picture without folder: its file name, or what a file of the drawn picture would be called.
 */
export function pictureName(source: Source, index: number): string {
  if (source.kind === 'files') return basename(source.files[index]);
  return `${source.domain}-${String(index).padStart(4, '0')}.png`;
}

/**
 * Picture `index`, decoded or drawn. Drawn pictures are made at `size` squared, so that they need no
 * resizing; files have the size they have (only those of more than 89 megapixels may come smaller, where
 * `size` needs no more). Throws DataError when the file is unreadable.
 */
export async function readPicture(source: Source, index: number, size: number): Promise<Picture> {
  if (source.kind === 'files') {
    return decodeFile(source.files[index], { background: source.background, needed: size });
  }
  return drawToyPicture(source, index, size);
}
