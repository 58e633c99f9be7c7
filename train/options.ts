import type { Precision } from '../engine/index.ts';
import type { TuneMode } from '../engine/node.ts';
import { type CommonOptions, defaultsOf, type OptionSpec, type Recipe } from '../model/recipe.ts';
import { DEFAULT_RECIPE, recipeNamed } from '../model/recipes.ts';

/**
 * What decides the numbers of a run: equal options, seed and adapter give equal bits. Kept in config.json.
 */
export interface RunConfig {
  /** Data set: a name below the data root, a path, or `toy-cat2dog`. */
  readonly data: string;
  readonly dataRoot: string;
  /**
   * The folder that was found under this name, absolute: a run may be continued from another working folder.
   */
  readonly dataFolder?: string;
  /**
   * Name of the recipe, or the file it comes from. Absent: U-GAT-IT's, as in runs from before there were
   * others.
   */
  readonly recipe?: string;
  /** The recipe's options. */
  readonly model: CommonOptions;
  /** Iterations of the whole schedule. */
  readonly iterations: number;
  readonly lr: number;
  /** The learning rate falls to 0 over the second half of the iterations (the authors' decay_flag). */
  readonly decay: boolean;
  readonly seed: number;
  readonly augment: boolean;
  readonly shuffle: boolean;
  /** What shows through transparent pictures, as in CSS; absent: the colours their pixels hide. */
  readonly background?: string;
  /** File the weights came from, or null for a random start. */
  readonly init: string | null;
  /** Absent: full, as in runs from before there was a choice. */
  readonly precision?: Precision;
  /** Kernels a tuner chose, by op and sizes; absent where none did. Other kernels give other roundings. */
  readonly tuned?: Readonly<Record<string, string>>;
}

/** The recipe of a run. @throws AdawnError where its name is not known */
export const recipeOf = ({ recipe = DEFAULT_RECIPE }: Pick<RunConfig, 'recipe'>): Recipe =>
  recipeNamed(recipe);

/** The options of a run of this recipe by default; `data` has none. */
export const defaultRun = (name: string): RunConfig => ({
  ...DEFAULT_RUN,
  recipe: name,
  model: defaultsOf(recipeNamed(name)),
});

/** The same of the recipe that is taken where none is named. */
export const DEFAULT_RUN: RunConfig = {
  data: '',
  dataRoot: 'dataset',
  recipe: DEFAULT_RECIPE,
  model: defaultsOf(recipeNamed(DEFAULT_RECIPE)),
  iterations: 1_000_000,
  lr: 1e-4,
  decay: true,
  seed: 0,
  augment: true,
  shuffle: true,
  init: null,
};

/** Whether everything in the template is there, with the same types; null stands for a text or nothing. */
function alike(value: unknown, template: unknown): boolean {
  if (template === null) return value === null || typeof value === 'string';
  if (typeof template !== 'object') return typeof value === typeof template;
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  return Object.entries(template).every(([name, inner]) => alike(fields[name], inner));
}

/** Whether a configuration has every option of its recipe; those that change no number may be absent. */
function hasOptions({ recipe = DEFAULT_RECIPE, model }: Partial<RunConfig>): boolean {
  if (typeof recipe !== 'string' || typeof model !== 'object' || model === null) return false;
  const table = recipeNamed(recipe).options as Record<string, OptionSpec<unknown>>;
  const needed = Object.entries(table).filter(([, { mayChange }]) => !mayChange);
  return alike(model, Object.fromEntries(needed.map(([name, option]) => [name, option.default])));
}

/**
 * The configuration in a JSON text, or null where it is none. Some editors put a byte order mark in front.
 */
export function parseConfig(text: string): RunConfig | null {
  try {
    const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ''));
    const config = value as Partial<RunConfig>;
    const { model: _, recipe: __, ...common } = DEFAULT_RUN;
    return alike(value, common) && hasOptions(config) ? (config as RunConfig) : null;
  } catch {
    return null;
  }
}

/** An option that differs between two configurations, with both values as JSON. */
export interface Changed {
  readonly name: string;
  readonly before: string | undefined;
  readonly now: string | undefined;
}

/** Options that differ between two configurations; what was found or chosen for a run is no option. */
export function changedOptions(before: RunConfig, now: RunConfig): Changed[] {
  const flat = ({ model, tuned: _, dataFolder: __, recipe = DEFAULT_RECIPE, ...rest }: RunConfig) => {
    const all = { precision: 'full', recipe, ...rest, ...defaultsOf(recipeNamed(recipe)), ...model };
    return new Map(Object.entries(all).map(([name, value]) => [name, JSON.stringify(value)]));
  };
  const [old, next] = [flat(before), flat(now)];
  return [...new Set([...old.keys(), ...next.keys()])]
    .map((name) => ({ name, before: old.get(name), now: next.get(name) }))
    .filter((option) => option.before !== option.now);
}

/** What may differ between a run and its continuation. */
export interface LoopOptions {
  /** Folder of the run. */
  readonly out: string;
  readonly resume: boolean;
  /**
   * An earlier run in the folder that had the same options is removed first, with these files that belong to
   * it. Absent: a folder with checkpoints is refused.
   */
  readonly replace?: readonly string[];
  /** End after this many more iterations; Infinity: at the end of the schedule. */
  readonly stopAfter: number;
  readonly sampleEvery: number;
  readonly saveEvery: number;
  /** Checkpoints to keep. */
  readonly keep: number;
  readonly threads?: number;
  /** Whether kernels are timed before a new run; absent: as suits the adapter. */
  readonly tune?: TuneMode;
}
