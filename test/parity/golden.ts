import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type HostTensor, toFloat32 } from '../../train/formats/hostTensor.ts';
import { parseSafetensors } from '../../train/formats/safetensors.ts';

/**
 * Recordings of the authors' code, where this checkout has them, and our own small set, which it always has.
 */
const FOLDERS = {
  shared: fileURLToPath(new URL('../../../shared/golden/', import.meta.url)),
  small: fileURLToPath(new URL('../golden/small/', import.meta.url)),
};

export interface GoldenFile {
  readonly set: 'shared' | 'small';
  readonly path: string;
  /** File name without folder and ending. */
  readonly name: string;
}

/** Files of a subfolder (`nets`, `train`, or `` for the ops) of both sets; the shared one may be absent. */
export function goldenFiles(subfolder: string, ending: string): GoldenFile[] {
  return (['shared', 'small'] as const).flatMap((set) => {
    const folder = `${FOLDERS[set]}${subfolder}`;
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder).filter((name) => name.endsWith(ending));
    return names
      .sort()
      .map((name) => ({ set, path: `${folder}/${name}`, name: name.slice(0, -ending.length) }));
  });
}

/** True where the recordings of the authors' own code are at hand. */
export const haveShared = existsSync(FOLDERS.shared);

export interface Golden {
  readonly metadata: Record<string, unknown>;
  has(name: string): boolean;
  names(prefix: string): string[];
  shape(name: string): number[];
  /** Values in float64. */
  f64(name: string): Float64Array;
  f32(name: string): Float32Array;
}

/** Metadata values are JSON texts, except for some plain ones in the shared set. */
function metadataValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Reads a golden file. */
export function openGolden(path: string): Golden {
  const { metadata, tensors } = parseSafetensors(readFileSync(path));
  const get = (name: string): HostTensor => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`${path} has no ${name}`);
    return tensor;
  };
  const parsed = Object.entries(metadata).map(([k, v]) => [k, metadataValue(v)] as const);
  return {
    metadata: Object.fromEntries(parsed),
    has: (name) => tensors.has(name),
    names: (prefix) => [...tensors.keys()].filter((name) => name.startsWith(prefix)),
    shape: (name) => [...get(name).shape],
    f64: (name) => Float64Array.from(get(name).data as Float64Array),
    f32: (name) => toFloat32(get(name)),
  };
}

/** [N,C,H,W] values as [N,H,W,C]. */
export function toNhwc<T extends Float32Array | Float64Array>(values: T, shape: readonly number[]): T {
  const [N, C, H, W] = shape;
  const out = values.slice() as T;
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      for (let p = 0; p < H * W; p++) out[(n * H * W + p) * C + c] = values[(n * C + c) * H * W + p];
    }
  }
  return out;
}

/** [N,H,W,C] of an [N,C,H,W] shape. */
export function nhwc([N, C, H, W]: readonly number[]): number[] {
  return [N, H, W, C];
}

/** max |out − ref| / max |ref|; absolute where the reference is 0. */
export function maxError(out: ArrayLike<number>, ref: ArrayLike<number>): number {
  if (out.length !== ref.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < ref.length; i++) {
    const d = Math.abs(out[i] - ref[i]);
    if (!(d <= difference)) difference = d;
    largest = Math.max(largest, Math.abs(ref[i]));
  }
  return difference / (largest || 1);
}

/** ‖out − ref‖ / ‖ref‖; absolute where the reference is 0. */
export function normError(out: ArrayLike<number>, ref: ArrayLike<number>): number {
  if (out.length !== ref.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < ref.length; i++) {
    difference += (out[i] - ref[i]) ** 2;
    norm += ref[i] ** 2;
  }
  return Math.sqrt(difference / (norm || 1));
}

/**
 * ‖PyTorch float32 − float64‖ / ‖float64‖ of every recorded output and gradient of the ops, by name; absent
 * where it is 0. Written by test/golden/ops_float32.py.
 */
export function torchOpErrors(set: GoldenFile['set']): Record<string, number> {
  const path = fileURLToPath(new URL('../golden/ops.float32.json', import.meta.url));
  return (JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, number>>)[set];
}
