import { blendInto, type Colour, mix, scale } from './canvas.ts';
import { clamp01, clouds, noise, smoothstep } from './noise.ts';
import type { Dice } from './random.ts';

/** Fur colours, of cats and dogs alike: a translation is to change the animal, not its colour. */
export const FUR = {
  white: [0.95, 0.93, 0.9],
  cream: [0.94, 0.86, 0.72],
  gold: [0.87, 0.68, 0.42],
  ginger: [0.85, 0.56, 0.31],
  russet: [0.64, 0.35, 0.19],
  chocolate: [0.37, 0.24, 0.17],
  silver: [0.76, 0.77, 0.79],
  grey: [0.57, 0.57, 0.6],
  blue: [0.43, 0.46, 0.53],
  black: [0.15, 0.14, 0.15],
} as const satisfies Record<string, Colour>;

export type FurName = keyof typeof FUR;

/** The colour of an animal's fur. */
export interface Coat {
  /** Main colour, its marking colour, and the colour of white parts. */
  readonly base: Colour;
  readonly mark: Colour;
  readonly white: Colour;
  /** Colours of ears, breast and muzzle, which are drawn apart from the head. */
  readonly ear: Colour;
  readonly breast: Colour;
  /** 0 short to 1 long fur. */
  readonly length: number;
  readonly seed: number;
  /** Writes the colour at a point (x, y) of the head seen from the front, without light and single hairs. */
  paint(out: Float64Array, x: number, y: number): void;
}

/** Marks over the base colour, at a point of the head. */
type Marks = (out: Float64Array, x: number, y: number) => void;

/** A colour a little lighter or darker and of slightly different hue. */
const vary = (dice: Dice, colour: Colour): Colour => {
  const light = dice.range(0.9, 1.07);
  const shift = () => light * (1 + dice.range(-0.04, 0.04));
  const [r, g, b] = colour.map((v) => Math.min(0.97, v * shift()));
  return [r, g, b];
};

/** The shade that stripes and patches of a colour usually have. */
const DARKER: Record<FurName, readonly FurName[]> = {
  white: ['silver', 'cream', 'grey'],
  cream: ['gold', 'ginger'],
  gold: ['russet', 'ginger'],
  ginger: ['russet'],
  russet: ['chocolate', 'black'],
  chocolate: ['black'],
  silver: ['grey', 'black', 'blue'],
  grey: ['black', 'chocolate'],
  blue: ['black'],
  black: ['black'],
};

const EVERY = Object.keys(FUR) as FurName[];

interface Basics {
  base: Colour;
  mark: Colour;
  white: Colour;
  seed: number;
  length: number;
}

function drawBasics(dice: Dice, names: readonly FurName[]): Basics {
  const name = dice.pick(names);
  return {
    base: vary(dice, FUR[name]),
    mark: vary(dice, FUR[dice.pick(DARKER[name])]),
    white: vary(dice, FUR.white),
    seed: dice.seed(),
    length: dice.range(0, 1),
  };
}

function finish(basics: Basics, marks: Marks, ear: Colour, breast: Colour): Coat {
  return {
    ...basics,
    ear,
    breast,
    paint(out, x, y) {
      out.set(basics.base);
      marks(out, x, y);
    },
  };
}

/** White from the lips up the bridge of the nose, `width` wide at the brow (0: only the muzzle). */
function blaze(dice: Dice, white: Colour, seed: number): Marks {
  const width = dice.range(0.02, 0.26);
  const top = dice.range(-0.9, -0.1);
  const cheek = dice.range(0.2, 0.5);
  return (out, x, y) => {
    const wobble = 0.05 * noise(x * 5, y * 5, seed ^ 77);
    const flare = cheek * smoothstep(0.05, 0.5, y);
    const half = (width + flare) * smoothstep(top - 0.15, top + 0.35, y);
    blendInto(out, white, smoothstep(half + 0.05, half - 0.05, Math.abs(x) + wobble));
  };
}

/** Dark stripes: an M on the brow, bars on the cheeks, and the light goggles and chin that go with them. */
function tabby(dice: Dice, { base, mark, seed }: Basics): Marks {
  const strength = dice.range(0.55, 0.95);
  const count = dice.range(13, 18);
  const pale = mix(base, FUR.white, 0.55);
  return (out, x, y) => {
    const side = Math.abs(x);
    const bend = 0.7 * noise(x * 2.6, y * 2.6, seed);
    const chin = smoothstep(0.5, 0.2, Math.hypot(x * 0.9, y - 0.5)) * 0.8;
    const goggles = smoothstep(0.34, 0.18, Math.hypot(side - 0.38, (y + 0.04) * 1.3)) * 0.5;
    blendInto(out, pale, Math.max(chin, goggles));
    const brow = Math.cos(x * count + bend) * smoothstep(-0.12, -0.4, y) * smoothstep(0.75, 0.5, side);
    const cheek = Math.cos((y - side * 0.5) * count * 0.85 + bend * 1.5) * smoothstep(0.42, 0.66, side);
    const tear =
      smoothstep(0.05, 0.02, Math.abs(y - 0.12 - (side - 0.45) * 0.25)) * smoothstep(0.4, 0.6, side);
    const stripes = Math.max(
      smoothstep(0.15, 0.6, brow),
      smoothstep(0.1, 0.55, cheek) * smoothstep(-0.5, -0.2, y),
      tear,
    );
    blendInto(out, mark, stripes * strength);
  };
}

/** Big patches of two colours on the base. */
function patches(dice: Dice, first: Colour, second: Colour, seed: number, spread = 0): Marks {
  const size = dice.range(1.1, 1.8);
  return (out, x, y) => {
    blendInto(out, first, smoothstep(0.02 - spread, 0.12 - spread, clouds(x * size + 3, y * size, seed)));
    blendInto(
      out,
      second,
      smoothstep(0.14 - spread, 0.24 - spread, clouds(x * size - 9, y * size + 5, seed ^ 0xfade)),
    );
  };
}

/** A dark face that fades into the base: Siamese points, black masks. */
function mask(dark: Colour, reach: number, cy: number, strength: number, seed: number): Marks {
  return (out, x, y) => {
    const d = Math.hypot(x * 1.05, (y - cy) * 0.95) + 0.08 * noise(x * 4, y * 4, seed);
    blendInto(out, dark, smoothstep(reach, reach * 0.35, d) * strength);
  };
}

const both =
  (...all: Marks[]): Marks =>
  (out, x, y) => {
    for (const marks of all) marks(out, x, y);
  };

const plain: Marks = () => {};

export function drawCatCoat(dice: Dice): Coat {
  const kind = dice.weighted([
    [34, 'tabby'],
    [16, 'plain'],
    [18, 'bicolour'],
    [14, 'calico'],
    [18, 'points'],
  ] as const);
  if (kind === 'points') {
    const basics = drawBasics(dice, ['white', 'cream', 'silver']);
    const dark = vary(dice, FUR[dice.pick(['chocolate', 'black', 'blue', 'russet'] as const)]);
    const marks = mask(dark, dice.range(0.6, 0.95), 0.2, 0.92, basics.seed);
    return finish(basics, marks, dark, basics.base);
  }
  if (kind === 'calico') {
    const basics = drawBasics(dice, ['white', 'cream']);
    const [first, second] = [
      vary(dice, FUR.ginger),
      vary(dice, FUR[dice.pick(['black', 'blue', 'grey'] as const)]),
    ];
    const marks = both(patches(dice, first, second, basics.seed), blaze(dice, basics.white, basics.seed));
    return finish(basics, marks, dice.pick([first, second]), basics.base);
  }
  const basics = drawBasics(
    dice,
    kind === 'tabby'
      ? ['cream', 'gold', 'ginger', 'russet', 'silver', 'silver', 'grey', 'grey', 'blue']
      : EVERY,
  );
  const { base, white, seed } = basics;
  if (kind === 'bicolour') {
    const under = dice.chance(0.4) ? tabby(dice, basics) : plain;
    return finish(basics, both(under, blaze(dice, white, seed)), base, white);
  }
  const marks = kind === 'tabby' ? tabby(dice, basics) : plain;
  return finish(basics, marks, base, mix(base, white, dice.range(0, 0.35)));
}

export function drawDogCoat(dice: Dice): Coat {
  const kind = dice.weighted([
    [24, 'plain'],
    [20, 'tricolour'],
    [18, 'patch'],
    [18, 'mask'],
    [20, 'hood'],
  ] as const);
  const basics = drawBasics(
    dice,
    kind === 'mask'
      ? ['gold', 'cream', 'ginger', 'silver', 'russet']
      : kind === 'patch'
        ? ['white', 'cream']
        : EVERY,
  );
  const { base, mark, white, seed } = basics;
  if (kind === 'tricolour') return drawTricolour(dice, basics);
  if (kind === 'patch') {
    const dark = vary(dice, FUR[dice.pick(['black', 'russet', 'ginger', 'chocolate', 'grey'] as const)]);
    const marks = eyePatch(dice, dark, seed);
    return finish({ ...basics, mark: dark }, marks, dice.chance(0.7) ? dark : base, base);
  }
  if (kind === 'mask') {
    const dark = vary(dice, FUR[dice.pick(['black', 'chocolate'] as const)]);
    const marks = mask(dark, dice.range(0.5, 0.8), 0.55, 0.9, seed);
    return finish(basics, marks, dice.chance(0.5) ? dark : base, base);
  }
  if (kind === 'hood') return finish(basics, both(blaze(dice, white, seed)), base, white);
  const light = mix(base, white, dice.range(0, 0.3));
  return finish(basics, plain, dice.chance(0.4) ? mix(base, mark, 0.6) : scale(base, 0.92), light);
}

function drawTricolour(dice: Dice, basics: Basics): Coat {
  const dark = vary(dice, FUR[dice.pick(['black', 'chocolate', 'blue'] as const)]);
  const tan = vary(dice, FUR[dice.pick(['russet', 'ginger', 'gold'] as const)]);
  const marks = both(tanPoints(dark, tan), dice.chance(0.6) ? blaze(dice, basics.white, basics.seed) : plain);
  return finish(
    { ...basics, base: dark, mark: tan },
    marks,
    dice.pick([dark, tan]),
    dice.pick([basics.white, tan]),
  );
}

/** Tan cheeks, muzzle and spots above the eyes on a dark head. */
function tanPoints(dark: Colour, tan: Colour): Marks {
  return (out, x, y) => {
    out.set(dark);
    const side = Math.abs(x);
    const cheeks = smoothstep(0.62, 0.42, Math.hypot(side - 0.42, (y - 0.42) * 0.9));
    const muzzle = smoothstep(0.5, 0.3, Math.hypot(x, y - 0.6));
    const brows = smoothstep(0.12, 0.06, Math.hypot((side - 0.24) * 0.8, y + 0.34));
    blendInto(out, tan, clamp01(Math.max(cheeks, muzzle, brows)));
  };
}

/** A patch over one eye or both, the rest white. */
function eyePatch(dice: Dice, dark: Colour, seed: number): Marks {
  const sides = dice.pick([[-1], [1], [-1, 1]]);
  const reach = dice.range(0.32, 0.6);
  return (out, x, y) => {
    for (const side of sides) {
      const d = Math.hypot(x - side * 0.5, (y + 0.2) * 0.8) + 0.1 * noise(x * 3, y * 3, seed);
      blendInto(out, dark, smoothstep(reach + 0.04, reach - 0.04, d));
    }
  };
}
