import { AdawnError } from '../engine/errors.ts';
import type { AdamOptions, Shape, Tensor } from '../engine/index.ts';
import type { CollectOptions } from './optimise.ts';
import type { Scope } from './scope.ts';
import type { ParameterSpec } from './spec.ts';

/** What the options of every recipe have. */
export interface CommonOptions {
  /** Side of the pictures that it trains on, in pixels. */
  readonly size: number;
  /** Pictures of each domain in an iteration. */
  readonly batch: number;
}

/** One option of a recipe, as data: flags, files, advice and forms are made from it. */
export interface OptionSpec<T> {
  readonly default: T;
  readonly help: string;
  /** Where help shows it. Default: Model. */
  readonly group?: 'Model' | 'Training';
  /** A whole number, a number of at least 0, a switch, or several whole numbers with commas between them. */
  readonly takes: 'whole' | 'number' | 'switch' | 'wholes';
  /** Least value of a whole number. Default 1. */
  readonly least?: number;
  /** A whole number must be a multiple of this. */
  readonly multiple?: number;
  /** Of a switch: the flag that turns it off, beside `--no-NAME`. */
  readonly opposite?: { readonly name: string; readonly help: string };
  /** A continued run may change it, since it changes no number. */
  readonly mayChange?: boolean;
  /** Values that need less memory, the mildest first. */
  readonly lowersMemory?: readonly T[];
}

/** Every option of a recipe, in the order in which help shows them. */
export type OptionTable<O> = { readonly [K in keyof O]-?: OptionSpec<O[K]> };

/** A network of a recipe: which optimiser trains it, and its tensors. */
export interface NetworkSpec {
  readonly optimiser: string;
  /** @param maxBinding bytes of the largest binding: larger tensors come in blocks */
  specs(maxBinding: number): ParameterSpec[];
}

/** A training iteration while it is recorded. */
export interface Step<O extends CommonOptions = CommonOptions> {
  readonly options: O;
  /** The pictures of this iteration, [batch,size,size,3] in [-1, 1]. */
  readonly real: Readonly<Record<Domain, Tensor>>;
  /**
   * Standard normal numbers, drawn anew for each iteration, by the names that `noise` of the recipe gives.
   */
  readonly noise: Readonly<Record<string, Tensor>>;
  /** The tensors of a network. */
  scope(network: string): Scope;
  /**
   * Adds the gradients of sum(outputs · cotangents) by the parameters of one network to those of this
   * iteration.
   * @returns the gradients by `others`, from the same walk
   */
  collect(
    network: string,
    piece: readonly [outputs: readonly Tensor[], cotangents: readonly Tensor[]],
    others?: readonly Tensor[],
    options?: CollectOptions,
  ): Tensor[];
  /** One step of the optimiser that trains these networks, with what was collected for them. */
  update(networks: readonly string[]): void;
}

export type Domain = 'A' | 'B';

/** What an iteration tells: loss terms by the authors' names, and totals that are summed from them. */
export interface Losses {
  /** In the order of the log's columns; those in `totals` among them. */
  readonly all: Readonly<Record<string, Tensor>>;
  /** Which of them are totals: two at least, of which the first two are shown while a run goes. */
  readonly totals: readonly string[];
}

/** What a network makes of a picture. */
export interface Translated {
  /** [N,H,W,3] in [-1, 1]. */
  readonly image: Tensor;
  /** [N,h,w,1]: where it looks, at least 0; absent where the model has no such map. */
  readonly heatmap?: Tensor;
}

/**
 * From one domain to the other, or from nothing but noise: the network that goes there, and one that comes
 * back.
 */
export interface Way {
  /** Whose pictures it takes; absent where it takes noise. */
  readonly from?: Domain;
  readonly to: Domain;
  readonly network: string;
  /** Absent where no network comes back. */
  readonly back?: string;
  /** Shape of the noise that it takes in place of pictures, for one picture. */
  noise?(options: CommonOptions): Shape;
}

/** Names and shapes of the tensors of a network. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/**
 * How the authors' code, and people's tools, keep a recipe's networks in files, in which nothing says what
 * they are: it is read off names and shapes.
 */
export interface AuthorsFiles {
  /** Names of the networks whose state_dicts become dictionaries of their own, in the authors' order. */
  readonly networks: readonly string[];
  /** A tensor that every network of a kind has, and by which the network is found under any name. */
  readonly landmarks: Readonly<Record<'generator' | 'discriminator', string>>;
  /** Networks that people take for these, each with a name that no other has. */
  readonly relatives: readonly { readonly name: string; readonly mark: RegExp }[];
  /** Settings, as far as the tensors of some networks tell (the first that does). */
  settings(networks: ReadonlyMap<string, Shapes>): Settings;
  /** The command line's flags, and their values, under which a model of `wanted` would be as `found`. */
  flags(wanted: Settings, found: Settings): ReadonlyMap<string, string>;
  /** The options of a generator of these settings, or what of it is missing ('': all). */
  options(found: Settings): Partial<CommonOptions> | string;
}

/** What a recipe reads off tensors; no other place knows what is in it. */
export type Settings = Readonly<Record<string, unknown>>;

/**
 * A GAN as training, the command line, the checkpoint files, samples, translation and the bench know it: data
 * and functions, and no other place that knows its name but the registry (`recipes.ts`).
 */
export interface Recipe<O extends CommonOptions = CommonOptions> {
  /** As in `--model NAME` and in config.json. */
  readonly name: string;
  /** For people: `U-GAT-IT`. */
  readonly title: string;
  readonly options: OptionTable<O>;
  /** @throws AdawnError, one sentence, for options that cannot work together; absent: all can */
  check?(options: O): void;
  /** The options in a few words, for the first line of a run: `light 256x256, ch 64, batch 1`. */
  describe(options: O): string;
  /** By name, in the order of the authors' files; the name is the prefix of the tensors in a checkpoint. */
  networks(options: O): Readonly<Record<string, NetworkSpec>>;
  /** Adam's numbers, by the optimisers' names. */
  optimisers(options: O): Readonly<Record<string, AdamOptions>>;
  /**
   * Shapes of the random inputs of an iteration, by name: functions of the seed, the name and the iteration.
   */
  noise?(options: O): Readonly<Record<string, Shape>>;
  /** Records one training iteration. */
  step(step: Step<O>): Losses;
  /** The ways a picture can go, by name: `A2B`. */
  readonly ways: Readonly<Record<string, Way>>;
  /**
   * Records what the network of a way makes of pictures [N,H,W,3] in [-1, 1], or of the noise that it takes.
   */
  translate(p: Scope, x: Tensor, options: O): Translated;
  /** The authors' files, where they are read; files of our own say what they hold. */
  readonly files?: AuthorsFiles;
}

/**
 * The directions in which a recipe translates pictures, by name: `AtoB` is the way from A to B. Empty for one
 * that makes its pictures of noise alone.
 */
export function directionsOf({ ways }: Pick<Recipe, 'ways'>): ReadonlyMap<string, Way> {
  const all = Object.values(ways).flatMap((way) => (way.from ? [way] : []));
  return new Map(all.map((way) => [`${way.from}to${way.to}`, way]));
}

/** Every option at its default. */
export function defaultsOf<O extends CommonOptions>({ options }: Recipe<O>): O {
  const entries = Object.entries(options as Record<string, OptionSpec<unknown>>);
  return Object.fromEntries(entries.map(([name, option]) => [name, option.default])) as unknown as O;
}

/** An option's name as a flag: `nRes` is `n-res`. */
export const flagOf = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** @throws AdawnError, one sentence that names the option, for a value that it cannot have */
export function checkOption(name: string, option: OptionSpec<unknown>, value: unknown): void {
  const { takes, least = 1, multiple = 1 } = option;
  const flag = `--${flagOf(name)}`;
  if (takes === 'whole' && !(Number.isInteger(value) && (value as number) >= least)) {
    throw new AdawnError(`${flag} must be a whole number of at least ${least}, got ${value}`);
  }
  if (takes === 'whole' && (value as number) % multiple !== 0) {
    const near = Math.max(multiple, Math.round((value as number) / multiple) * multiple);
    throw new AdawnError(`${flag} must be a multiple of ${multiple}, got ${value}: use ${flag} ${near}`);
  }
  if (takes === 'number' && !(Number.isFinite(value) && (value as number) >= 0)) {
    throw new AdawnError(`${flag} must be 0 or more, got ${value}`);
  }
  if (takes === 'wholes' && !(value as number[]).every(Number.isInteger)) {
    throw new AdawnError(`${flag} takes whole numbers, got ${value}`);
  }
}

/** @throws AdawnError, one sentence that names the option, for options that cannot work */
export function checkOptions<O extends CommonOptions>(recipe: Recipe<O>, options: O): void {
  const values = options as unknown as Record<string, unknown>;
  for (const [name, option] of Object.entries(recipe.options as Record<string, OptionSpec<unknown>>)) {
    checkOption(name, option, values[name] ?? option.default);
  }
  recipe.check?.(options);
}
