import { readFileSync } from 'node:fs';
import { UsageError } from '../../cli/common/run.ts';
import { ASSUMPTIONS, type Assumptions } from './assumptions.ts';

/** A GPU as its maker describes it. */
export interface Card {
  readonly name: string;
  /** Where the numbers come from. */
  readonly source: string;
  /** Float32 operations a second at most, in 10^12, a multiply-add as two, without tensor cores. */
  readonly tflops: number;
  /** Memory bandwidth, in 10^9 bytes a second. */
  readonly gbps: number;
  /** What NVIDIA calls streaming multiprocessors, AMD compute units, Apple GPU cores. */
  readonly cores: number;
  /** The cache that all cores share, in MiB. */
  readonly cacheMib: number;
  /** What a core holds at a time: invocations, workgroups, KiB of workgroup memory, KiB of registers. */
  readonly coreThreads: number;
  readonly coreGroups: number;
  readonly coreSharedKib: number;
  readonly coreRegistersKib: number;
  /** KiB of workgroup memory one workgroup may have: what the driver offers, not the core. */
  readonly groupSharedKib: number;
  /** Assumptions that differ from ASSUMPTIONS for this card. */
  readonly assume?: Partial<Assumptions>;
}

/** Limits of a core by compute capability: NVIDIA, CUDA programming guide, "Compute Capabilities". */
const HOPPER = { coreThreads: 2048, coreGroups: 32, coreSharedKib: 228, coreRegistersKib: 256 };
const AMPERE_A100 = { coreThreads: 2048, coreGroups: 32, coreSharedKib: 164, coreRegistersKib: 256 };
const AMPERE = { coreThreads: 1536, coreGroups: 16, coreSharedKib: 100, coreRegistersKib: 256 };
const ADA = { coreThreads: 1536, coreGroups: 24, coreSharedKib: 100, coreRegistersKib: 256 };
/** NVIDIA's Vulkan drivers offer a workgroup 48 KiB. */
const NVIDIA = { groupSharedKib: 48 };
/** Measured by P. Turner (github.com/philipturner/metal-benchmarks), as Apple publishes nothing. */
const APPLE = {
  ...{ coreThreads: 3072, coreGroups: 24, coreSharedKib: 60, coreRegistersKib: 208, groupSharedKib: 32 },
};

export const CARDS: Readonly<Record<string, Card>> = {
  h100: {
    name: 'NVIDIA H100 SXM',
    source: 'NVIDIA H100 data sheet; Hopper architecture white paper; cache: chipsandcheese.com, 2023',
    ...{ tflops: 67, gbps: 3350, cores: 132, cacheMib: 50, ...HOPPER, ...NVIDIA },
  },
  h200: {
    name: 'NVIDIA H200 SXM',
    source: 'NVIDIA H200 data sheet; the chip is the H100',
    ...{ tflops: 67, gbps: 4800, cores: 132, cacheMib: 50, ...HOPPER, ...NVIDIA },
  },
  a100: {
    name: 'NVIDIA A100 SXM 80GB',
    source: 'NVIDIA A100 data sheet; Ampere architecture white paper',
    ...{ tflops: 19.5, gbps: 2039, cores: 108, cacheMib: 40, ...AMPERE_A100, ...NVIDIA },
    assume: { cacheGbps: 4000 },
  },
  rtx4090: {
    name: 'NVIDIA GeForce RTX 4090',
    source: 'NVIDIA Ada GPU architecture white paper',
    ...{ tflops: 82.6, gbps: 1008, cores: 128, cacheMib: 72, ...ADA, ...NVIDIA },
    assume: { cacheGbps: 5000 },
  },
  rtx3060: {
    name: 'NVIDIA GeForce RTX 3060 12GB',
    source: 'NVIDIA GeForce RTX 3060 specifications; GA102 architecture white paper',
    ...{ tflops: 12.7, gbps: 360, cores: 28, cacheMib: 3, ...AMPERE, ...NVIDIA },
    assume: { cacheGbps: 1000 },
  },
  rx7900xtx: {
    name: 'AMD Radeon RX 7900 XTX',
    // Two multiply-adds at a time, which compilers seldom find: hence the lower share.
    source: 'AMD Radeon RX 7900 XTX specifications; RDNA 3 instruction set architecture guide',
    ...{ tflops: 61.4, gbps: 960, cores: 96, cacheMib: 96, coreThreads: 1024, coreGroups: 32 },
    ...{ coreSharedKib: 64, coreRegistersKib: 384, groupSharedKib: 64 },
    assume: { arithmetic: 0.5, cacheGbps: 3000 },
  },
  m2: {
    name: 'Apple M2, 10 cores',
    source: 'Apple, "Apple unveils M2", 2022; cores: github.com/philipturner/metal-benchmarks',
    ...{ tflops: 3.6, gbps: 100, cores: 10, cacheMib: 8, ...APPLE },
    assume: { cacheGbps: 200 },
  },
  m2max: {
    name: 'Apple M2 Max, 38 cores',
    source: 'Apple, "Apple unveils M2 Pro and M2 Max", 2023; cores: github.com/philipturner/metal-benchmarks',
    ...{ tflops: 13.6, gbps: 400, cores: 38, cacheMib: 48, ...APPLE },
    assume: { cacheGbps: 800 },
  },
};

/** Numbers a card must have; all above 0. */
const NUMBERS = [
  ...(['tflops', 'gbps', 'cores', 'cacheMib', 'coreThreads', 'coreGroups'] as const),
  ...(['coreSharedKib', 'coreRegistersKib', 'groupSharedKib'] as const),
];

function checkedCard(file: string, found: Partial<Card>): Card {
  const positive = (value: unknown) => typeof value === 'number' && value > 0;
  const missing = NUMBERS.filter((name) => !positive(found[name]));
  if (missing.length > 0) {
    throw new UsageError(
      `${file}: a card needs positive numbers ${missing.join(', ')} (see bench/paper/cards.ts)`,
    );
  }
  const { assume = {} } = found;
  const strange = Object.entries(assume).filter(([name, v]) => !(name in ASSUMPTIONS) || !positive(v));
  if (strange.length > 0) {
    const known = Object.keys(ASSUMPTIONS).join(', ');
    throw new UsageError(`${file}: assume.${strange[0][0]} is none of the positive numbers ${known}`);
  }
  return { ...(found as Card), name: found.name ?? file, source: found.source ?? file, assume };
}

/**
 * The card of that name, or as a JSON file describes it; a file may say `"like": "h100"` and what differs.
 * @throws UsageError for a name that is neither, and for a file that lacks a number.
 */
export function cardOf(nameOrFile: string): Card {
  if (nameOrFile in CARDS) return CARDS[nameOrFile];
  if (!nameOrFile.endsWith('.json')) {
    const names = Object.keys(CARDS).join(', ');
    throw new UsageError(`--card ${nameOrFile}: known are ${names}; or name a file that ends in .json`);
  }
  let found: Partial<Card> & { like?: string };
  try {
    found = JSON.parse(readFileSync(nameOrFile, 'utf8'));
  } catch (error) {
    throw new UsageError(`--card ${nameOrFile}: ${(error as Error).message}`);
  }
  const { like, ...own } = found;
  if (like !== undefined && !(like in CARDS)) {
    throw new UsageError(`${nameOrFile}: "like" names ${like}, known are ${Object.keys(CARDS).join(', ')}`);
  }
  const model: Partial<Card> = like === undefined ? {} : CARDS[like];
  return checkedCard(nameOrFile, { ...model, ...own, assume: { ...model.assume, ...own.assume } });
}

/** All assumptions for a card. */
export const assumedOf = (card: Card): Assumptions => ({ ...ASSUMPTIONS, ...card.assume });
