import { SPLITS, type Split } from './dataPath.ts';
import { decodeFile } from './decode.ts';
import { DataError } from './errors.ts';
import type { Dataset } from './folder.ts';
import { composeGrid } from './grid.ts';
import { type Skipped, skippedFor } from './leftOut.ts';
import { cropSquare, type Picture } from './picture.ts';
import { resizeBilinear } from './resize.ts';
import { countPictures, readPicture, type Source } from './source.ts';

/** What there is in one folder of a data set, every file decoded. */
export interface SplitReport {
  readonly split: Split;
  /** Readable pictures. */
  readonly count: number;
  /** Smallest and largest picture by pixels, as [width, height]; undefined when there is none. */
  readonly smallest?: readonly [number, number];
  readonly largest?: readonly [number, number];
  /** Pictures that are not square; they are squeezed in training. */
  readonly oblong: number;
  /** Files that are left out, and why. */
  readonly leftOut: readonly Skipped[];
  /** Evenly spaced examples, square, `thumb` pixels. */
  readonly examples: readonly Picture[];
}

export interface InspectOptions {
  /** Examples per folder and their side in pixels. */
  examples: number;
  thumb: number;
  /** Called after each picture. */
  progress?: () => void;
}

/** Decodes every picture of one folder. Drawn pictures are only counted, the examples excepted. */
export async function inspectSplit(
  split: Split,
  source: Source,
  options: InspectOptions,
): Promise<SplitReport> {
  const count = countPictures(source);
  const leftOut: Skipped[] = [];
  const sizes: [number, number][] = [];
  const examples: Picture[] = [];
  for (let i = 0; i < count; i++) {
    options.progress?.();
    const wanted = examples.length < options.examples && i >= (examples.length * count) / options.examples;
    if (source.kind === 'toy' && !wanted) continue;
    const picture = await tryRead(source, i, options.thumb, leftOut);
    if (!picture) continue;
    sizes.push([picture.width, picture.height]);
    if (wanted) examples.push(resizeBilinear(cropSquare(picture), options.thumb, options.thumb));
  }
  sizes.sort((a, b) => a[0] * a[1] - b[0] * b[1]);
  const files = source.kind === 'files';
  return {
    split,
    count: count - leftOut.length,
    smallest: files ? sizes[0] : undefined,
    largest: files ? sizes[sizes.length - 1] : undefined,
    oblong: sizes.filter(([width, height]) => width !== height).length,
    leftOut,
    examples,
  };
}

async function tryRead(
  source: Source,
  i: number,
  size: number,
  bad: Skipped[],
): Promise<Picture | undefined> {
  try {
    if (source.kind === 'toy') return await readPicture(source, i, size);
    return await decodeFile(source.files[i], { background: source.background }); // in its own size
  } catch (error) {
    if (!(error instanceof DataError) || source.kind !== 'files') throw error;
    bad.push(skippedFor(source.files[i], error));
    return undefined;
  }
}

/** Inspects the four folders; what openDataset left out is added to that of its folder. */
export async function inspectDataset(data: Dataset, options: InspectOptions): Promise<SplitReport[]> {
  const reports: SplitReport[] = [];
  for (const split of SPLITS) {
    const report = await inspectSplit(split, data[split], options);
    const skipped = data.skipped.filter(({ file }) => file.startsWith(data[split].label));
    reports.push({ ...report, leftOut: [...skipped, ...report.leftOut] });
  }
  return reports;
}

/** The examples of all folders, one row each. Undefined when there are none. */
export function contactSheet(reports: readonly SplitReport[]): Picture | undefined {
  const rows = reports.filter((report) => report.examples.length > 0);
  if (rows.length === 0) return undefined;
  return composeGrid(
    rows.map((report) => report.examples),
    { gap: 4, rowLabels: rows.map((report) => `${report.split} (${report.count})`) },
  );
}
