/**
 * Random numbers that depend on their keys alone (a seed, a stream, a sample number): whoever draws sample k
 * gets the same numbers, in whatever order and on whatever thread samples are made. The keys are mixed by
 * MurmurHash3's finaliser into the state of sfc32 (Chris Doty-Humphrey's PractRand), a small generator of
 * good quality. Returns a generator of numbers in [0, 1) with 32 random bits. Keys are whole numbers up to
 * 2^53.
 */
export function keyedRandom(...keys: number[]): () => number {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  for (const key of keys) {
    a = mix(a ^ (key >>> 0));
    b = mix(b + Math.floor(key / 2 ** 32) + a);
    c = mix(c + b);
  }
  let counter = 1;
  const next = () => {
    const t = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The numbers 0..count-1 in random order (Fisher and Yates). */
export function shuffled(count: number, random: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}
