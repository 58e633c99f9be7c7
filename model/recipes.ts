import { AdawnError } from '../engine/errors.ts';
import type { CommonOptions, Recipe } from './recipe.ts';
import { ugatit } from './ugatit/ugatit.ts';

/** Who takes any recipe knows of its options what all have; a recipe gets those that it declared. */
const erased = <O extends CommonOptions>(recipe: Recipe<O>) => recipe as unknown as Recipe;

const known = new Map<string, Recipe>([[ugatit.name, erased(ugatit)]]);

/** The recipe that a run has when it does not say (files from before there were several). */
export const DEFAULT_RECIPE = ugatit.name;

/** Names of the recipes that come with adawn, and of those added. */
export const recipeNames = (): string[] => [...known.keys()];

/** The recipe of that name. @throws AdawnError that says which there are */
export function recipeNamed(name: string): Recipe {
  const recipe = known.get(name);
  if (recipe) return recipe;
  throw new AdawnError(`there is no model ${name}: known are ${recipeNames().join(', ')}`);
}

/** Makes a recipe known by a name: its own, or the file it comes from. */
export function addRecipe<O extends CommonOptions>(name: string, recipe: Recipe<O>): Recipe {
  known.set(name, erased(recipe));
  return erased(recipe);
}
