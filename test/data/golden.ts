import { existsSync, readFileSync } from 'node:fs';

/**
 * Recorded values of the authors' pipeline (Pillow, OpenCV); outside the repository, so tests skip without
 * it.
 */
export const goldenPath = new URL('../../../shared/golden/images.safetensors', import.meta.url);
export const hasGolden = existsSync(goldenPath);

export interface Recorded {
  shape: number[];
  data: Uint8Array | Float32Array | Int32Array;
}

/** Reads a small safetensors file whole: name -> shape and values (U8, F32 and I32 only). */
export function readGolden(): Map<string, Recorded> {
  const bytes = readFileSync(goldenPath);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString());
  const tensors = new Map<string, Recorded>();
  for (const [name, entry] of Object.entries<{ dtype: string; shape: number[]; data_offsets: number[] }>(
    header,
  )) {
    if (name === '__metadata__') continue;
    const [start, end] = entry.data_offsets.map((offset) => 8 + headerBytes + offset);
    const copy = new Uint8Array(bytes.subarray(start, end)); // copied: views need aligned offsets
    const view = {
      U8: () => copy,
      F32: () => new Float32Array(copy.buffer),
      I32: () => new Int32Array(copy.buffer),
    };
    tensors.set(name, { shape: entry.shape, data: view[entry.dtype as 'U8']() });
  }
  return tensors;
}
