import { bytesOf, type Launch, type Tensor } from '../../engine/index.ts';
import { factsOf, type KernelFacts } from './constants.ts';
import { numbersOf } from './launches.ts';

/** A launch as a rule sees it. */
export interface Site extends KernelFacts {
  readonly launch: Launch;
  readonly groups: number;
}

export type TileSize = 'small' | 'tall' | 'large';

/** Rounds of a product by tiles. */
export interface Rounds {
  readonly size: TileSize;
  /** Operations of one round of one workgroup. */
  readonly flops: number;
  /** Rounds of all workgroups, and of the one that has most. */
  readonly all: number;
  readonly longest: number;
  /** Operands of the two that come number by number, not as vec4f. */
  readonly single: number;
}

/** What a launch does, as far as its time depends on it. */
export interface Work {
  /** Operations of products and sums, a multiply-add as two; those beyond the edges of the result too. */
  readonly flops: number;
  /** Those of them whose result is kept. */
  readonly useful: number;
  /** Bytes of binding i that are touched, where not all are: 0 for one that is bound but never used. */
  readonly touches: Readonly<Record<number, number>>;
  /** Bindings that are written, and read before. */
  readonly inPlace: readonly number[];
  /** Bytes that all loads and stores together ask of the cache; at least what is touched. */
  readonly asked: number;
  /** Waits of the longest invocation one after the other, outside of loops: for loads, or for others. */
  readonly waits: number;
  /** Turns of its loops of loads that do not depend on each other. */
  readonly turns: number;
  readonly rounds: Rounds | null;
}

/** What a launch of one kernel does, as far as it differs from loading and storing once what it binds. */
export type Rule = (site: Site) => Partial<Work>;

const ONCE: Work = {
  ...{ flops: 0, useful: 0, touches: {}, inPlace: [], asked: 0, waits: 1, turns: 0, rounds: null },
};

export const groupsIn = ({ grid }: Launch) => grid[0] * grid[1] * grid[2];

/** Reads a launch's kernel. @throws AdawnError where its text is not understood. */
export function siteOf(launch: Launch): Site {
  return { ...factsOf(launch.kernel!), launch, groups: groupsIn(launch) };
}

/** What the rule makes of a launch; without a rule it loads and stores once what it binds. */
export function workOf(site: Site, rule: Rule | undefined): Work {
  return { ...ONCE, ...rule?.(site) };
}

export const shapeOf = (site: Site, binding: number): Tensor['shape'] => site.launch.bindings[binding].shape;

export const bytesIn = (site: Site, binding: number): number => bytesOf(site.launch.bindings[binding]);

/** The numbers of a binding that holds a table of sizes. */
export const tableIn = (site: Site, binding: number): ArrayLike<number> =>
  numbersOf(site.launch.bindings[binding]);
