import { crop, flipHorizontal, type Picture } from './picture.ts';
import { resizeBilinear } from './resize.ts';

/** How much larger than the crop the authors resize their training pictures, whatever the size. */
export const CROP_MARGIN = 30;

/** The random choices of one training sample. */
export interface Augmentation {
  readonly flip: boolean;
  readonly top: number;
  readonly left: number;
}

/**
 * Draws the choices for a training sample: mirrored with probability 1/2, and a crop position uniform over
 * the (CROP_MARGIN + 1)^2 there are. `random` yields numbers in [0, 1); three are drawn, always.
 */
export function drawAugmentation(random: () => number): Augmentation {
  const flip = random() < 0.5;
  const top = Math.floor(random() * (CROP_MARGIN + 1));
  const left = Math.floor(random() * (CROP_MARGIN + 1));
  return { flip, top, left };
}

/** The part of `augment` before the crop: mirror when `flip`, then resize to (size + CROP_MARGIN) squared. */
export function enlarge(picture: Picture, size: number, flip: boolean): Picture {
  const side = size + CROP_MARGIN;
  return resizeBilinear(flip ? flipHorizontal(picture) : picture, side, side);
}

/**
 * The authors' training preprocessing: mirror, resize to (size + 30) squared whatever the aspect, crop size x
 * size, scale to [-1, 1]. Returns size x size x 3 values (HWC).
 */
export function augment(picture: Picture, size: number, random: () => number): Float32Array<ArrayBuffer> {
  const choice = drawAugmentation(random);
  const enlarged = enlarge(picture, size, choice.flip);
  return toFloat(crop(enlarged, choice.left, choice.top, size, size));
}

/** The authors' test preprocessing: resize to size x size whatever the aspect, scale to [-1, 1] (HWC). */
export function preprocess(picture: Picture, size: number): Float32Array<ArrayBuffer> {
  return toFloat(resizeBilinear(picture, size, size));
}

/** (byte / 255 - 0.5) / 0.5, each operation rounded to float32 as torchvision's ToTensor and Normalize do. */
const normalised = Float32Array.from({ length: 256 }, (_, byte) => {
  return Math.fround(Math.fround(Math.fround(byte / 255) - 0.5) / 0.5);
});

/** A picture as float32 values in [-1, 1], same layout. */
export function toFloat(picture: Picture): Float32Array<ArrayBuffer> {
  const out = new Float32Array(picture.data.length);
  for (let i = 0; i < out.length; i++) out[i] = normalised[picture.data[i]];
  return out;
}
