import { memoised } from '../../memo.ts';
import { COPY_ROW, copyRegions, intermediateTexture, launch } from '../../recorder.ts';
import { integers } from '../../scalar.ts';
import { elements } from '../../shape.ts';
import type { Extent, Tensor } from '../../tensor.ts';
import type { ConvSizes } from '../conv2d.ts';
import { forwardProduct, inputProduct, type Padding, ZERO } from './products.ts';

/** Invocations of a workgroup of the padding kernel. */
const WG = 8;

/** Elements from which on a copy and a launch for the border cost less than one launch for all. */
const WORTH_COPYING = 2 ** 15;

/** Extent of the texture `padPicture` makes of a picture [N,H,W,C]. */
export function paddedExtent(images: number, channels: number, { height, width }: Padding): Extent {
  return { width: width * Math.ceil(channels / 4), height, layers: images };
}

/**
 * Padding of x for the forward pass and the weight gradient, which share one texture. Rows of the grid are
 * filled up to whole quads of positions: where dy has zeros, x needs numbers.
 */
export function paddingOfX(s: ConvSizes): Padding {
  const { geometry: g, padding } = forwardProduct(s);
  return { ...padding, width: padding.width + overhang(g.gridW) * g.inStride };
}

/** Columns from a row's end to the next multiple of 4. */
export function overhang(width: number): number {
  return (4 - (width % 4)) % 4;
}

/** Zeros around dy for the gradients of x and w, which share one texture. */
export function paddingOfDy(s: ConvSizes): Padding {
  const { padding: p } = inputProduct(s);
  const { geometry: g, foldsX } = forwardProduct(s);
  const whole = foldsX > 1 ? [0, 0] : [g.gridH, g.gridW + overhang(g.gridW)];
  const height = Math.max(p.height, p.beforeY + whole[0] * g.outStride);
  const width = Math.max(p.width, p.beforeX + whole[1] * g.outStride);
  return { ...p, mode: ZERO, height, width };
}

function copyInterior(label: string, x: Tensor, texture: Tensor, padding: Padding, border: Tensor): void {
  const [layers, H, W, C] = x.shape;
  const { beforeY, beforeX, height, width } = padding;
  const quads = C / 4;
  const size = { width: Math.min(W, width - beforeX) * quads, height: Math.min(H, height - beforeY), layers };
  const at = [beforeX * quads, beforeY, 0] as const;
  copyRegions(x, texture, label, [{ first: 0, rowStep: W * quads, layerRows: H, at, size }]);
  const outside = height * width - (size.width / quads) * size.height;
  if (outside === 0) return;
  const grid = [Math.ceil(outside / WG), 1, layers] as const;
  const bind = [border, x, texture];
  launch({ kernel: 'conv2d/padPicture', entry: 'border', constants: { WG }, label, bind, grid });
}

/** Copies x [N,H,W,C] into a texture of layers of padded rows. Once per step for all who need it. */
export function padPicture(label: string, x: Tensor, padding: Padding): Tensor {
  const { up, beforeY, beforeX, mode, height, width } = padding;
  const [images, H, W, C] = x.shape;
  const fields = [H, W, C, up, beforeY, beforeX, mode, height, width];
  return memoised(`conv2d.pad ${fields}`, [x], () => {
    const texture = intermediateTexture(paddedExtent(images, C, padding), label);
    const sizes = integers(fields);
    const aligned = up === 1 && C % 4 === 0 && ((W * C) / 4) % COPY_ROW === 0;
    if (aligned && elements(x.shape) >= WORTH_COPYING) {
      copyInterior(label, x, texture, padding, sizes);
    } else {
      const grid = [Math.ceil(width / WG), height, images] as const;
      launch({ kernel: 'conv2d/padPicture', constants: { WG }, label, bind: [sizes, x, texture], grid });
    }
    return texture;
  });
}
