import type { CommonOptions } from '../../model/recipe.ts';
import { DEFAULT_RECIPE } from '../../model/recipes.ts';

/** What a file says of the networks in it. */
export interface Said {
  /** Name of the recipe, or the file that it comes from. Files from before there were several: U-GAT-IT's. */
  readonly recipe: string;
  readonly model: Readonly<Partial<CommonOptions>>;
}

/** What our own checkpoints, and those converted from them, say; null where a file says nothing. */
export function recipeSaid({ config = '' }: Readonly<Record<string, string>>): Said | null {
  try {
    const { recipe = DEFAULT_RECIPE, model } = JSON.parse(config) as Partial<Said>;
    const both = typeof recipe === 'string' && typeof model === 'object' && model !== null;
    return both ? { recipe, model } : null;
  } catch {
    return null;
  }
}
