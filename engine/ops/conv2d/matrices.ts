import type { Device } from '../../device/device.ts';
import { integers } from '../../record/constants.ts';
import { fitsTexture, intermediate, launch } from '../../record/recorder.ts';
import type { Tensor } from '../../record/tensor.ts';
import { copyToTexture } from '../../record/textures.ts';
import { groupsOf, type TileName, tileConstants, tileFor } from './tile.ts';

/** A stack of matrices whose columns are channels: the operands of the Winograd convolution's products. */
export interface Matrices {
  readonly tensor: Tensor;
  readonly layers: number;
  readonly rows: number;
  readonly columns: number;
}

type Extent = Omit<Matrices, 'tensor'>;

const folder = 'conv2d/winograd';
const LANES = 8;

/** Where the operands of the products lie, and how they are multiplied. */
export interface Store {
  /**
   * Products read operands from textures, and lanes share loads by shuffles (fast on lavapipe; needs
   * subgroups of 8). Else tiles of buffers go through workgroup memory (GPUs, and adapters without
   * subgroups).
   */
  readonly textures: boolean;
  /** Size of those tiles; absent: what suits each product. */
  readonly size?: TileName;
}

/** Whether the device can hold such matrices. */
export function fitsMatrices(device: Device, { layers, rows, columns }: Extent, textures: boolean): boolean {
  if (layers * rows * columns * 4 > device.maxBinding) return false;
  return !textures || fitsTexture(device, { width: columns / 4, height: rows, layers });
}

export function makeMatrices({ layers, rows, columns }: Extent, label: string): Matrices {
  return { tensor: intermediate([layers, rows, columns], label), layers, rows, columns };
}

/** The same matrices where the product reads them. */
export function operand(a: Matrices, { textures }: Store, label: string): Matrices {
  if (!textures) return a;
  const { layers, rows, columns } = a;
  return { ...a, tensor: copyToTexture(a.tensor, { width: columns / 4, height: rows, layers }, label) };
}

/**
 * Rows per lane that waste least: fewer share each load of the other operand, more may hang over the edge.
 */
function rowsPerLane(m: number, choices: readonly number[]): number {
  const effort = (rows: number) => Math.ceil(m / (rows * LANES)) * rows * (1 + 0.5 / rows);
  return choices.reduce((best, rows) => (effort(rows) < effort(best) ? rows : best));
}

/** How an operand is stored: a row per m (or n), or a row per k. */
export interface Forms {
  readonly aByK: boolean;
  readonly bByK: boolean;
}

/**
 * Products A B of every layer of A with a layer of B, or with one that `a.layers / b.layers` of them share.
 * Both are operands.
 */
export function multiply(
  [a, b]: readonly [Matrices, Matrices],
  forms: Forms,
  { textures, size }: Store,
  label: string,
): Matrices {
  const [m, k] = forms.aByK ? [a.columns, a.rows] : [a.rows, a.columns];
  const n = forms.bByK ? b.columns : b.rows;
  const c = makeMatrices({ layers: a.layers, rows: m, columns: n }, label);
  const bind = [integers([m, n, k, a.layers / b.layers]), a.tensor, b.tensor, c.tensor];
  if (textures) {
    const rows = rowsPerLane(m, forms.aByK ? [8, 4] : [8, 4, 2]);
    launch({
      kernel: `${folder}/product`,
      constants: { A_BY_K: forms.aByK, B_BY_K: forms.bByK, ROWS: rows, ROW_COUNT: rows },
      label,
      bind,
      grid: [Math.ceil(m / (rows * LANES)), Math.ceil(n / 32), a.layers],
    });
  } else {
    const extents = { rows: m, columns: n, layers: a.layers };
    const tile = tileFor(extents, size);
    const constants = { LEFT_BY_K: forms.aByK, RIGHT_BY_K: forms.bByK, ...tileConstants(tile) };
    launch({ kernel: `${folder}/productTiled`, constants, label, bind, grid: groupsOf(extents, tile) });
  }
  return c;
}
