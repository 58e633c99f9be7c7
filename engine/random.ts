/**
 * Counter-based random numbers: the k-th number of a stream depends on (seed, stream, k) alone, so results do
 * not depend on the order of calls, and a resumed run continues where it was by setting the counter.
 * Mixing: the finaliser of SplitMix64 in two 32-bit halves would need BigInt; this is a 3-round
 * multiply-xorshift over 32-bit words (lowbias32, Chris Wellons 2018), keyed per round.
 */
function mix(x: number): number {
  let h = x >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32-bit hash of a text, to name streams (`genA2B.DownBlock.1.weight`). FNV-1a, then mixed. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}

/** The k-th 32-bit word of a stream. */
export function randomWord(seed: number, stream: number, k: number): number {
  return mix(mix(mix(k) ^ stream) ^ mix(seed ^ 0x9e3779b9));
}

/** A generator of uniform numbers in [0, 1) with 24 random bits, as float32 holds them. */
export function uniformStream(seed: number, name: string): () => number {
  const stream = hashText(name);
  let k = 0;
  return () => (randomWord(seed, stream, k++) >>> 8) / 2 ** 24;
}

/** Standard normal numbers by Box and Muller. */
export function normalStream(seed: number, name: string): () => number {
  const uniform = uniformStream(seed, name);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
