import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isTemporary, makeFolder, systemReason } from '../formats/file.node.ts';
import { parseColour, type Rgb } from './colour.ts';
import { decodeFile } from './decode.ts';
import { DataError } from './errors.ts';
import { type Skipped, skippedFor } from './leftOut.ts';
import { manifestPath, type PrepareOptions, writeManifest } from './manifest.ts';
import { cropSquare, type Picture } from './picture.ts';
import { isNameRefused, writePng } from './png.ts';
import type { Job, Plan } from './preparePlan.ts';
import { resizeBilinear } from './resize.ts';

/** What came of a preparation. */
export interface Prepared {
  /** Pictures that are there now, those of an earlier start included. */
  readonly made: number;
  readonly skipped: readonly Skipped[];
  /** Whether nothing is left to be made. */
  readonly finished: boolean;
}

/** Pictures in work at a time: libvips decodes each on a thread of its own. */
const AT_ONCE = 4;

/**
 * Makes the pictures of a plan that are not there yet. Until all are made the manifest says that the data set
 * is not finished. Pictures that cannot be read, and names that the disk does not take, are left out.
 * @param tick called after each picture
 * @param stop aborting it ends after the pictures in work; planned again, the preparation goes on from there
 */
export async function prepareAll(plan: Plan, tick: () => void, stop: AbortSignal): Promise<Prepared> {
  const { target, manifest } = plan;
  const { background } = manifest.options;
  const colour = background === undefined ? undefined : await parseColour(background);
  await begin(plan);
  const waiting = plan.jobs.filter(({ to }) => !plan.made.has(to));
  const skipped = [...plan.skipped];
  let made = plan.made.size;
  const work = async () => {
    for (let job = waiting.shift(); job && !stop.aborted; job = waiting.shift()) {
      const problem = await preparePicture(job, manifest.options, colour);
      if (problem) skipped.push(problem);
      else made++;
      tick();
    }
  };
  const failed = (error: unknown) => {
    waiting.length = 0; // the others end too
    if (!(error instanceof DataError)) throw error;
    throw new DataError(`${error.message}; once that is put right, the same command goes on`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, () => work().catch(failed)));
  if (stop.aborted) return { made, skipped, finished: false };
  if (made === 0) await rm(manifestPath(target));
  else await writeManifest(target, { ...manifest, finished: true });
  return { made, skipped, finished: true };
}

/** Writes the manifest, and removes what writes that were interrupted have left behind. */
async function begin({ target, jobs, manifest }: Plan): Promise<void> {
  await makeFolder(target).catch((error: unknown) => {
    throw new DataError(`the folder ${target} cannot be made: ${systemReason(error)}`);
  });
  await writeManifest(target, manifest);
  for (const folder of new Set(jobs.map(({ to }) => dirname(to)))) {
    const names = await readdir(folder).catch(() => []); // it is made with its first picture
    for (const name of names.filter(isTemporary)) await rm(join(folder, name), { force: true });
  }
}

/** Makes one picture: decodes, crops, resizes, writes. What is left out is returned. */
async function preparePicture(
  { from, to }: Job,
  options: PrepareOptions,
  background: Rgb | undefined,
): Promise<Skipped | null> {
  const { size, crop } = options;
  let picture: Picture;
  try {
    picture = await decodeFile(from, { background, needed: size });
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return skippedFor(from, error);
  }
  const square = crop === false ? picture : cropSquare(picture);
  try {
    await writePng(to, resizeBilinear(square, size, size));
    return null;
  } catch (error) {
    if (!isNameRefused(error)) throw error;
    return skippedFor(to, error as DataError);
  }
}
