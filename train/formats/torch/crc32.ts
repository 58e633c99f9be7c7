/** CRC-32 as zip uses it (polynomial 0xedb88320, reflected). */
import * as zlib from 'node:zlib';

type Crc32 = (bytes: Uint8Array, seed?: number) => number;

/** Node has a fast one since 20.15; the types for 20 do not know it. */
const native = (zlib as unknown as { crc32?: Crc32 }).crc32;

/** Checksum of `bytes`, continuing from `seed` (the checksum of what came before; 0 at the start). */
export const crc32: Crc32 = native ? (bytes, seed = 0) => native(bytes, seed) : tableCrc32;

let tables: Uint32Array[] | undefined;

/** The same in plain JavaScript, four bytes a step. Exported for the test that compares the two. */
export function tableCrc32(bytes: Uint8Array, seed = 0): number {
  const [t0, t1, t2, t3] = (tables ??= makeTables());
  let crc = ~seed;
  let i = 0;
  for (const end = bytes.length - 3; i < end; i += 4) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc = t3[crc & 255] ^ t2[(crc >>> 8) & 255] ^ t1[(crc >>> 16) & 255] ^ t0[crc >>> 24];
  }
  for (; i < bytes.length; i++) crc = t0[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Table k gives the effect of a byte that is followed by k more bytes of the same step. */
function makeTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  const all = [first];
  while (all.length < 4) all.push(all[all.length - 1].map((c) => first[c & 255] ^ (c >>> 8)));
  return all;
}
