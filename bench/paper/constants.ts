import { AdawnError } from '../../engine/errors.ts';
import { fullText, type KernelSpec, kernelKey, specialise } from '../../engine/index.ts';

/** What a kernel's text says of a launch besides what it computes. */
export interface KernelFacts {
  /** Every constant that is a number or a truth value (as 0 or 1), computed ones too, by name. */
  readonly values: Readonly<Record<string, number>>;
  /** Invocations of a workgroup. */
  readonly threads: number;
  /** Bytes of workgroup memory that the file declares, used by this entry point or not. */
  readonly shared: number;
}

type Values = Map<string, number>;

const TOKEN = /\s*(?:(0x[0-9a-fA-F]+|\d+\.?\d*(?:e[-+]?\d+)?)[uifh]?|(\w+|&&|\|\||[<>=!]=|[-+*/%<>!(),]))/gy;

function tokensOf(text: string): string[] {
  TOKEN.lastIndex = 0;
  const tokens: string[] = [];
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const from = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (!found) throw new AdawnError(`constant expression "${text}": no sense in "${text.slice(from)}"`);
    tokens.push(found[1] ?? found[2]);
  }
  return tokens;
}

/** Binary operators from the loosest to the tightest, as WGSL ranks them. */
const RANKS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['==', '!=', '<', '>', '<=', '>='],
  ['+', '-'],
  ['*', '/', '%'],
];

function applied(op: string, a: number, b: number, whole: boolean): number {
  if (op === '+') return a + b;
  if (op === '-') return a - b;
  if (op === '*') return a * b;
  if (op === '/') return whole ? Math.trunc(a / b) : a / b;
  if (op === '%') return a % b;
  if (op === '&&') return Number(a !== 0 && b !== 0);
  if (op === '||') return Number(a !== 0 || b !== 0);
  if (op === '==') return Number(a === b);
  if (op === '!=') return Number(a !== b);
  if (op === '<') return Number(a < b);
  if (op === '>') return Number(a > b);
  return Number(op === '<=' ? a <= b : a >= b);
}

const CALLS: Record<string, (...list: number[]) => number> = {
  select: (no, yes, condition) => (condition ? yes : no),
  max: Math.max,
  min: Math.min,
  sqrt: Math.sqrt,
  u32: Math.trunc,
  i32: Math.trunc,
  f32: (value) => value,
};

/**
 * The value of a constant expression of WGSL (numbers, names, operators, select, min, max and conversions).
 * @param whole division of integers drops the rest
 * @throws AdawnError for what it does not know.
 */
export function evaluateConstant(text: string, known: ReadonlyMap<string, number>, whole = true): number {
  const tokens = tokensOf(text);
  let at = 0;
  const fail = (why: string) => new AdawnError(`constant expression "${text.trim()}": ${why}`);
  const list = (): number[] => {
    const values: number[] = [];
    at++; // the opening parenthesis
    while (tokens[at] !== ')') {
      if (at >= tokens.length) throw fail('a parenthesis is left open');
      values.push(ranked(0));
      if (tokens[at] === ',') at++;
    }
    at++;
    return values;
  };
  const single = (): number => {
    const token = tokens[at];
    if (token === '-' || token === '!') {
      at++;
      return token === '-' ? -single() : Number(single() === 0);
    }
    if (token === '(') return list()[0];
    at++;
    if (/^\d/.test(token ?? '')) return Number(token);
    if (token === 'true' || token === 'false') return Number(token === 'true');
    if (tokens[at] === '(' && token in CALLS) return CALLS[token](...list());
    const value = known.get(token ?? '');
    if (value === undefined) throw fail(`${token ?? 'the end'} is unknown`);
    return value;
  };
  const ranked = (rank: number): number => {
    if (rank === RANKS.length) return single();
    let value = ranked(rank + 1);
    while (RANKS[rank].includes(tokens[at])) value = applied(tokens[at++], value, ranked(rank + 1), whole);
    return value;
  };
  const value = ranked(0);
  if (at < tokens.length) throw fail(`${tokens[at]} is one too many`);
  return value;
}

const CONSTANT = /^const (\w+): (\w+) = ([^;]*);/gm;

/** Constants of the kinds below; a lib may come before what its constants are made of. */
function valuesOf(text: string): Values {
  const values: Values = new Map();
  let left = [...text.matchAll(CONSTANT)].filter(([, , type]) => /^([iu]32|f32|f16|bool)$/.test(type));
  while (left.length > 0) {
    const unready = left.filter(([, name, type, value]) => {
      const names = value.match(/(?<![\w.])[A-Za-z_]\w*/g) ?? [];
      const all = left.map((other) => other[1]);
      if (names.some((other) => all.includes(other) && !values.has(other))) return true;
      values.set(name, evaluateConstant(value, values, !type.startsWith('f')));
      return false;
    });
    if (unready.length === left.length) throw new AdawnError(`constants in a circle: ${left[0][0]}`);
    left = unready;
  }
  return values;
}

const SIZES: Record<string, number> = {
  f32: 4,
  u32: 4,
  i32: 4,
  f16: 2,
  vec2f: 8,
  vec2u: 8,
  vec4f: 16,
  vec4u: 16,
  vec4h: 8,
  mat2x4f: 32,
};

function bytesOfType(type: string, text: string, values: Values): number {
  const array = /^array<(.+),([^,]+)>$/.exec(type);
  if (array) return bytesOfType(array[1].trim(), text, values) * evaluateConstant(array[2], values);
  const alias = new RegExp(`^alias ${type} = ([^;]+);`, 'm').exec(text);
  if (alias) return bytesOfType(alias[1], text, values);
  if (!(type in SIZES)) throw new AdawnError(`workgroup memory of type ${type}: its size is unknown`);
  return SIZES[type];
}

const known = new Map<string, KernelFacts>();

/**
 * Constants, workgroup and workgroup memory of a specialised kernel, read off its text.
 * @throws AdawnError where the text says it in a way that is not understood.
 */
export function factsOf(kernel: KernelSpec): KernelFacts {
  const key = kernelKey(kernel);
  const before = known.get(key);
  if (before) return before;
  const text = specialise(kernel).replace(/\/\/.*$/gm, '');
  const values = valuesOf(text);
  const entries = [...text.matchAll(/@workgroup_size\(([^)]*)\)\s*fn (\w+)/g)];
  const size = entries.find(([, , entry]) => entry === kernel.entry);
  if (!size) throw new AdawnError(`${kernel.name}: no entry point ${kernel.entry}`);
  const threads = size[1].split(',').reduce((product, side) => product * evaluateConstant(side, values), 1);
  const shared = [...text.matchAll(/var<workgroup>\s*\w+\s*:\s*([^;]+);/g)].reduce(
    (sum, [, type]) => sum + bytesOfType(type.trim(), text, values),
    0,
  );
  const facts = { values: Object.fromEntries(values), threads, shared };
  known.set(key, facts);
  return facts;
}

/** Whether a kernel's file has such a constant at all, whatever its value. */
export function declares({ name, constants }: KernelSpec, constant: string): boolean {
  return new RegExp(`^const ${constant}:`, 'm').test(fullText({ name, constants }));
}
