/**
 * What no data sheet says, and the modelled times rest on: every one is printed beside them, and `--against`
 * names those that a measurement denies. A card may have others: `assume` in cards.ts.
 */
export interface Assumptions {
  /** Share of the peak rate that multiply-adds reach at the clock a card keeps under load. */
  readonly arithmetic: number;
  /** Share of the memory's bandwidth that copying reaches. */
  readonly bandwidth: number;
  /** What the cache delivers, in 10^9 bytes a second. */
  readonly cacheGbps: number;
  /** Microseconds that a launch waits for the one before, beyond what both compute. */
  readonly gapUs: number;
  /** Microseconds until a load from memory is there, and one from the cache. */
  readonly memoryUs: number;
  readonly cacheUs: number;
  /** Turns of a loop whose loads the compiler has under way together. */
  readonly unrolled: number;
  /** Share of that arithmetic that products by tiles of each size reach on a core full of them. */
  readonly small: number;
  readonly tall: number;
  readonly large: number;
  /** Registers of an invocation of each: how many workgroups make a core full. */
  readonly smallRegisters: number;
  readonly tallRegisters: number;
  readonly largeRegisters: number;
  /** Microseconds of a round of a tile that nothing but other workgroups of the core can fill. */
  readonly roundUs: number;
  /** How much longer a round takes whose two operands are loaded number by number. */
  readonly unaligned: number;
  /** Microseconds of the host for each launch, while the GPU computes. */
  readonly hostUs: number;
}

export type AssumptionName = keyof Assumptions;

export const ASSUMPTIONS: Assumptions = {
  arithmetic: 0.88,
  bandwidth: 0.87,
  cacheGbps: 5500,
  gapUs: 3,
  memoryUs: 0.6,
  cacheUs: 0.3,
  unrolled: 4,
  small: 0.48,
  tall: 0.53,
  large: 0.58,
  smallRegisters: 80,
  tallRegisters: 128,
  largeRegisters: 255,
  roundUs: 0.3,
  unaligned: 1.6,
  hostUs: 4,
};

const percent = (share: number) => `${Number((share * 100).toPrecision(3))} %`;

/** Each assumption with a value put in. */
export const SAID: Readonly<Record<AssumptionName, (value: number) => string>> = {
  arithmetic: (v) => `multiply-adds alone reach ${percent(v)} of the peak, at the clock kept under load`,
  bandwidth: (v) => `copying reaches ${percent(v)} of the memory's bandwidth`,
  cacheGbps: (v) => `the cache delivers ${Math.round(v)} GB/s`,
  gapUs: (v) => `a launch that waits for the one before adds ${v} us`,
  memoryUs: (v) => `a load from memory takes ${v} us`,
  cacheUs: (v) => `a load from the cache takes ${v} us`,
  unrolled: (v) => `a loop has the loads of ${v} turns under way`,
  small: (v) => `tiles of 64x64 reach ${percent(v)} of what multiply-adds alone do, on a full core`,
  tall: (v) => `tiles of 128x64 reach ${percent(v)} of that`,
  large: (v) => `tiles of 128x128 reach ${percent(v)} of that`,
  smallRegisters: (v) => `an invocation of a 64x64 tile takes ${v} registers`,
  tallRegisters: (v) => `one of a 128x64 tile ${v}`,
  largeRegisters: (v) => `one of a 128x128 tile ${v}`,
  roundUs: (v) => `${v} us of a round of a tile only other workgroups of the core can fill`,
  unaligned: (v) => `rounds that load both operands number by number take ${v} times as long`,
  hostUs: (v) => `the host spends ${v} us on a launch`,
};

/** Those a measurement can speak of, as headings of numbers. */
export const NAMED: Readonly<Partial<Record<AssumptionName, string>>> = {
  arithmetic: 'multiply-adds, share of the peak',
  bandwidth: 'memory, share of the bandwidth',
  cacheGbps: 'cache, GB/s',
  gapUs: 'wait between launches, us',
  memoryUs: 'load from memory, us',
  cacheUs: 'load from the cache, us',
  small: 'tiles of 64x64, share',
  tall: 'tiles of 128x64, share',
  large: 'tiles of 128x128, share',
  roundUs: 'round of a lone tile, us more',
  unaligned: 'loads number by number, times',
};
