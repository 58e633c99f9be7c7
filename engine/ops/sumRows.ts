import { grid1d, intermediate, launch } from '../record/recorder.ts';
import type { Tensor } from '../record/tensor.ts';

const WG = 64;

function pass(x: Tensor, rows: number, c: number, groups: number, label: string): Tensor {
  const y = intermediate(groups === 1 ? [c] : [groups, c], label);
  launch({
    kernel: 'sumRows/main',
    constants: { ROWS: rows, C: c, PER: Math.ceil(rows / groups), GROUPS: groups, WG },
    label,
    bind: [x, y],
    grid: grid1d(groups * c, WG),
  });
  return y;
}

/**
 * Sums x over all but its last dimension: [.., C] -> [C], in a fixed order. The bias gradient.
 * Two launches, about the square root of the rows each, so that long pictures use the whole GPU.
 */
export function sumRows(x: Tensor, label = 'sumRows'): Tensor {
  const c = x.shape[x.shape.length - 1];
  const rows = x.shape.slice(0, -1).reduce((p, d) => p * d, 1);
  if (rows <= 32) return pass(x, rows, c, 1, label);
  const groups = Math.ceil(Math.sqrt(rows));
  const per = Math.ceil(rows / groups);
  const used = Math.ceil(rows / per);
  return pass(pass(x, rows, c, used, label), used, c, 1, label);
}
