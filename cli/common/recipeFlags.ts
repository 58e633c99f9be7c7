import { register } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import yargs, { type Argv, type Options } from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AdawnError, CheckpointError } from '../../engine/errors.ts';
import { type CommonOptions, flagOf, type OptionSpec, type Recipe } from '../../model/recipe.ts';
import { addRecipe, DEFAULT_RECIPE, recipeNamed, recipeNames } from '../../model/recipes.ts';
import { isDirectory } from '../../train/data/dataPath.ts';
import { readRecipe, weightsFile } from '../../train/weights.ts';
import { UsageError } from './run.ts';

/**
 * What `adawn` and its parts are to a file outside of this folder, which has no package of that name
 * installed.
 */
const PARTS: Readonly<Record<string, string>> = {
  adawn: new URL('../../engine/index.ts', import.meta.url).href,
  'adawn/node': new URL('../../engine/node.ts', import.meta.url).href,
  'adawn/model': new URL('../../model/index.ts', import.meta.url).href,
};

/**
 * Has files anywhere import this very adawn by name, since two copies of it would not know each other's
 * tensors; and takes TypeScript that lies in no package for a module, which it is if it exports a recipe.
 */
function offerParts(): void {
  const hook = `
    const parts = ${JSON.stringify(PARTS)};
    export async function resolve(name, context, next) {
      const found = await next(parts[name] ?? name, context);
      return /[.]ts($|[?])/.test(found.url) ? { ...found, format: 'module' } : found;
    }`;
  register(`data:text/javascript,${encodeURIComponent(hook)}`);
}

/** A recipe of one's own: a path, not a name. */
const isFile = (name: string) => /[\\/]|\.[cm]?[jt]s$/.test(name);

/**
 * Makes the recipe of `--model` known: one that comes with adawn, or what a file exports as `recipe` or by
 * default.
 * @returns the name under which it is known from now on, and which a run keeps: of a file, its absolute path
 * @throws UsageError for a name that is not known, or a file without a recipe
 */
export async function loadRecipe(name: string): Promise<string> {
  if (!isFile(name)) {
    if (recipeNames().includes(name)) return name;
    throw new UsageError(
      `--model ${name}: known are ${recipeNames().join(', ')}; ` +
        'or name a file that exports a recipe (./my-gan.ts)',
    );
  }
  const path = resolve(name);
  offerParts();
  const found = await import(pathToFileURL(path).href).catch((cause: unknown) => {
    if (cause instanceof AdawnError) throw cause;
    throw new UsageError(`--model ${name} does not load: ${(cause as Error).message}`);
  });
  const recipe = (found.recipe ?? found.default) as Recipe | undefined;
  if (typeof recipe?.step !== 'function' || typeof recipe.networks !== 'function') {
    throw new UsageError(`--model ${name} exports no recipe: \`export const recipe: Recipe<…> = { … }\``);
  }
  addRecipe(path, recipe);
  return path;
}

/** The command line before any flag is refused: some options decide which others there are. */
export const early = () =>
  yargs(hideBin(process.argv)).help(false).version(false).exitProcess(false).fail(false);

/** The value of one option, before any other is looked at. */
export function optionAsked(name: string): string | undefined {
  const value = early().option(name, { string: true }).parseSync()[name];
  return typeof value === 'string' ? value : undefined; // given twice is refused later
}

/** `--model` of a command that takes the usual recipe where none is asked for. */
export const modelFlag = ({ group = 'Model:', what = 'what is trained' } = {}) =>
  ({
    group,
    string: true,
    default: DEFAULT_RECIPE,
    describe: `${what}: ${recipeNames().join(', ')}, or a file that exports a recipe`,
  }) as const;

/** The recipe that such a command is asked for. */
export const recipeAsked = async (): Promise<Recipe> =>
  recipeNamed(await loadRecipe(optionAsked('model') ?? DEFAULT_RECIPE));

/**
 * Makes the recipe known that weights, or the newest checkpoint in a run's folder, were trained with; the
 * usual one where they do not say, or cannot be read: whoever opens them tells why. Weights may come from
 * strangers, and a recipe is a program: a file that a single weight file names is run only where `asked` says
 * so, one that a run's own folder names without asking.
 * @param asked file that the recipe is in, in place of the one that the weights name
 * @throws UsageError where it is of a file that was not asked for, is not there any more, or exports another
 * thing
 */
export async function loadRecipeOf(weights: string, asked: string | undefined): Promise<Recipe> {
  const name = await weightsFile(weights, () => {})
    .then(readRecipe)
    .catch((error: unknown) => {
      if (error instanceof CheckpointError) return DEFAULT_RECIPE;
      throw error;
    });
  if (asked === undefined && isFile(name) && !(await isDirectory(weights))) {
    throw new UsageError(
      `${weights} was trained with the recipe in ${name}, a program that is not run unasked: ` +
        `add --model ${name} if you trust it`,
    );
  }
  try {
    return addRecipe(name, recipeNamed(await loadRecipe(asked ?? name)));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${weights} was trained with a recipe that is needed again: ${error.message}`);
  }
}

type Table = Record<string, OptionSpec<unknown>>;

const tableOf = (recipe: Recipe) => Object.entries(recipe.options as unknown as Table);

const flagFor = ({ default: value, help, takes, group = 'Model' }: OptionSpec<unknown>): Options => ({
  group: `${group}:`,
  describe: help,
  // Described, not set: who continues a run must tell what was asked for from what was not.
  defaultDescription: String(value),
  ...(takes === 'switch' ? { boolean: true } : takes === 'wholes' ? { string: true } : { number: true }),
});

/** Adds a flag for every option of a recipe. */
export function addRecipeFlags<T>(flags: Argv<T>, recipe: Recipe): Argv<T> {
  return tableOf(recipe).reduce((all, [name, option]) => {
    const { opposite, group = 'Model' } = option;
    const more = all.option(flagOf(name), flagFor(option)) as Argv<T>;
    if (!opposite) return more;
    return more.option(opposite.name, {
      group: `${group}:`,
      boolean: true,
      describe: opposite.help,
    }) as Argv<T>;
  }, flags);
}

/** `7,5` */
function wholes(flag: string, text: string, like: readonly number[]): number[] {
  const numbers = text.split(',').map(Number);
  if (numbers.length === like.length && numbers.every(Number.isInteger)) return numbers;
  const count = ['no', 'one', 'two', 'three', 'four'][like.length] ?? like.length;
  throw new UsageError(`--${flag} takes ${count} whole numbers such as ${like.join(',')}, got "${text}"`);
}

function givenValue(name: string, option: OptionSpec<unknown>, args: Record<string, unknown>): unknown {
  const flag = flagOf(name);
  const given = args[flag];
  const { takes, opposite } = option;
  if (opposite && args[opposite.name] !== undefined) {
    if (given && args[opposite.name]) throw new UsageError(`choose one of --${flag} and --${opposite.name}`);
    return given ?? !args[opposite.name];
  }
  if (given === undefined) return undefined;
  return takes === 'wholes' ? wholes(flag, String(given), option.default as number[]) : given;
}

/** The recipe's options as asked for, and as in `base` where they were not. */
export function recipeOptions(
  recipe: Recipe,
  args: Record<string, unknown>,
  base: CommonOptions,
): CommonOptions {
  const before = base as unknown as Record<string, unknown>;
  const entries = tableOf(recipe).map(([name, option]) => [
    name,
    givenValue(name, option, args) ?? before[name] ?? option.default,
  ]);
  return Object.fromEntries(entries);
}
