import type { HostTensor } from './protocol.ts';

/** A tensor with its axes in another order: `transpose(x, [0, 2, 3, 1])` is NHWC from NCHW. */
export function transpose({ shape, data }: HostTensor, order: readonly number[]): HostTensor {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((p, d) => p * d, 1));
  const to = order.map((axis) => shape[axis]);
  const by = order.map((axis) => strides[axis]);
  const result = new Float32Array(data.length);
  const index = to.map(() => 0);
  let from = 0;
  for (let i = 0; i < result.length; i++) {
    result[i] = data[from];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      from += by[axis];
      if (++index[axis] < to[axis]) break;
      from -= by[axis] * to[axis];
      index[axis] = 0;
    }
  }
  return { shape: to, data: result };
}

/** PyTorch's order of pictures to channels last. */
export const TO_NHWC = [0, 2, 3, 1];
/** Back, and the same for weights: [O,H,W,I] to [O,I,H,W]. */
export const TO_NCHW = [0, 3, 1, 2];
/** [O,I,H,W] to TensorFlow's [H,W,I,O]. */
export const TO_HWIO = [2, 3, 1, 0];
export const FROM_HWIO = [3, 2, 0, 1];
