import { type Augmentation, CROP_MARGIN, enlarge, toFloat } from './augment.ts';
import { crop, type Picture } from './picture.ts';
import { resizeBilinear } from './resize.ts';
import { readPicture, type Source } from './source.ts';

/** One sample to be made. Plain data: it travels to a thread. */
export interface SampleTask {
  /** Which of the loader's sources. */
  readonly source: number;
  /** Which picture of it. */
  readonly index: number;
  /** Side of the sample. */
  readonly size: number;
  /** The random choices of a training sample; without them the picture is only resized. */
  readonly augmentation?: Augmentation;
  /** The resized picture (`prepare`'s result) when it is known from an earlier epoch. */
  readonly prepared?: Picture;
  /** Whether the resized picture should come back, to be kept. */
  readonly keep: boolean;
}

export interface Sample {
  /** size x size x 3 values in [-1, 1] (HWC). */
  readonly values: Float32Array<ArrayBuffer>;
  /** The resized picture in shared memory, when `keep` was set and it was not known yet. */
  readonly prepared?: Picture;
}

/** Makes one sample. Throws DataError when its picture is unreadable. */
export async function makeSample(sources: readonly Source[], task: SampleTask): Promise<Sample> {
  const { augmentation, size } = task;
  let prepared = task.prepared;
  if (!prepared) prepared = await prepare(sources[task.source], task);
  const cut = augmentation ? crop(prepared, augmentation.left, augmentation.top, size, size) : prepared;
  const values = toFloat(cut);
  return task.keep && !task.prepared ? { values, prepared: share(prepared) } : { values };
}

/** Everything before the crop: decode or draw, mirror, resize. It depends on the picture and `flip` alone. */
async function prepare(source: Source, { index, size, augmentation }: SampleTask): Promise<Picture> {
  const picture = await readPicture(source, index, augmentation ? size + CROP_MARGIN : size);
  return augmentation ? enlarge(picture, size, augmentation.flip) : resizeBilinear(picture, size, size);
}

/** A copy in memory that all threads see, so that keeping and handing it out costs no copies. */
function share(picture: Picture): Picture {
  const data = new Uint8Array(new SharedArrayBuffer(picture.data.length));
  data.set(picture.data);
  return { width: picture.width, height: picture.height, data };
}
