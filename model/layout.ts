import type { ParameterSpec } from './spec.ts';

/**
 * Reorders [outer, a, b] to [outer, b, a]: pixels and channels of a kernel or map change places.
 * Channels last is how the kernels here read them; channels first is PyTorch's order.
 */
function swap(values: Float32Array, outer: number, a: number, b: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let o = 0; o < outer; o++) {
    const base = o * a * b;
    for (let i = 0; i < a; i++) {
      for (let j = 0; j < b; j++) result[base + j * a + i] = values[base + i * b + j];
    }
  }
  return result;
}

interface Order {
  readonly outer: number;
  readonly pixels: number;
  readonly channels: number;
}

function orderOf({ shape, layout }: ParameterSpec): Order | null {
  if (layout === 'plain') return null;
  const inner = layout === 'convVector' ? shape : shape.slice(1);
  const channels = inner[inner.length - 1];
  const pixels = inner.slice(0, -1).reduce((p, d) => p * d, 1);
  return { outer: layout === 'convVector' ? 1 : shape[0], pixels, channels };
}

/** Values in the authors' order (OIHW, maps C,H,W) from values in ours (OHWI, maps H,W,C). */
export function toAuthors(spec: ParameterSpec, ours: Float32Array): Float32Array {
  const order = orderOf(spec);
  return order ? swap(ours, order.outer, order.pixels, order.channels) : ours;
}

/** Values in our order from values in the authors'. */
export function fromAuthors(spec: ParameterSpec, theirs: Float32Array): Float32Array {
  const order = orderOf(spec);
  return order ? swap(theirs, order.outer, order.channels, order.pixels) : theirs;
}
