/** Sizes that tell one use of an op from another. */
export type ChoiceSizes = Readonly<Record<string, number>>;

/** Several kernels that compute the same, for one op and one set of sizes. */
export interface Choice {
  readonly op: string;
  readonly sizes: ChoiceSizes;
  /** What to take where nothing was measured. */
  readonly preferred: string;
  readonly candidates: readonly string[];
  /** How often a piece of work takes it. */
  readonly uses: number;
}

/** What was measured to be best, by `choiceKey`; and where choices are noted while a tuner listens. */
export interface Tuning {
  readonly best: Map<string, string>;
  noted: Map<string, Choice> | null;
}

/** `conv2d N=1 H=64 ...`: names a choice in caches and configurations. */
export function choiceKey(op: string, sizes: ChoiceSizes): string {
  const list = Object.entries(sizes).map(([name, value]) => `${name}=${value}`);
  return `${op} ${list.join(' ')}`;
}

/** The measured variant where there is one that fits, else the preferred one. */
export function settle<T extends string>(
  { tuning }: { readonly tuning: Tuning },
  op: string,
  sizes: ChoiceSizes,
  preferred: T,
  candidates: () => readonly T[],
): T {
  if (tuning.best.size === 0 && !tuning.noted) return preferred;
  const key = choiceKey(op, sizes);
  const fitting = candidates();
  const uses = (tuning.noted?.get(key)?.uses ?? 0) + 1;
  tuning.noted?.set(key, { op, sizes, preferred, candidates: fitting, uses });
  const best = tuning.best.get(key) as T | undefined;
  return best !== undefined && fitting.includes(best) ? best : preferred;
}
