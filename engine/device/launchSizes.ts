import { kernelText } from '#text';
import { KernelError } from '../errors.ts';
import type { Constants } from './kernel.ts';

/**
 * A kernel whose numbers are read from a small uniform block instead of being written into its text, so that
 * one compiled kernel serves every layer. On adapters that compile on the CPU (lavapipe: 0.1 to 3 s a kernel)
 * that decides how long the first step takes; on a GPU constants in the text give faster code.
 */
export interface SharedText {
  readonly code: string;
  /** Numbers of the block, in order; empty where the text keeps all of them. */
  readonly fields: readonly Field[];
}

interface Field {
  readonly name: string;
  readonly type: string;
}

const CONST = /^const (\w+): (\w+) = ([^;]*);/gm;
const MOVABLE = new Set(['u32', 'i32', 'f32', 'bool']);

/** Declared constants of a text, in order. */
function declared(text: string): { name: string; type: string; value: string }[] {
  return [...text.matchAll(CONST)].map(([, name, type, value]) => ({ name, type, value }));
}

const mentions = (text: string, name: string) => new RegExp(`\\b${name}\\b`).test(text);

/**
 * Names that must stay in the text: they size arrays and workgroups, or the file lists them in a line
 * `// static: KIND ROWS` because loops or branches over them should be resolved by the compiler.
 */
function staticNames(text: string): Set<string> {
  const sizes = [
    ...[...text.matchAll(/@workgroup_size\(([^)]*)\)/g)].map((m) => m[1]),
    ...[...text.matchAll(/array<[^;{}()]*?,([^;{}]*?)>\s*[;,)({]/g)].map((m) => m[1]),
    ...[...text.matchAll(/^alias [^;]*;/gm)].map((m) => m[0]),
    ...[...text.matchAll(/^\/\/ static: (.+)$/gm)].map((m) => m[1]),
  ].join(' ');
  const list = declared(text);
  const fixed = new Set(
    list.filter(({ name, type }) => !MOVABLE.has(type) || mentions(sizes, name)).map((c) => c.name),
  );
  // A constant computed from others pins them when it is pinned itself.
  for (const { name, value } of [...list].reverse()) {
    if (!fixed.has(name)) continue;
    for (const other of list) if (mentions(value, other.name)) fixed.add(other.name);
  }
  return fixed;
}

/** Which of a kernel's given constants move into the block. */
function movedFields(text: string, constants: Constants): Field[] {
  const fixed = staticNames(text);
  return declared(text).filter(({ name }) => name in constants && !fixed.has(name));
}

const withoutComments = (text: string) => text.replace(/\/\/.*$/gm, '');

/**
 * Moves the constants that need not be in the text into `var<uniform> launch_sizes` at the next free binding.
 * Constants computed from moved ones are written out where they are used.
 * @param text with the constants that stay already set
 */
export function shareText(text: string, constants: Constants, bindings: number): SharedText {
  const fields = movedFields(text, constants);
  if (fields.length === 0) return { code: text, fields };
  const uses = new Map(
    fields.map(({ name, type }) => [
      name,
      type === 'bool' ? `(launch_sizes.${name} != 0u)` : `launch_sizes.${name}`,
    ]),
  );
  let code = withoutComments(text);
  for (const { name, value } of declared(code)) {
    const line = new RegExp(`^const ${name}: \\w+ = [^;]*;`, 'm');
    const computed = !uses.has(name) && [...uses.keys()].some((moved) => mentions(value, moved));
    if (computed) uses.set(name, `(${value})`);
    if (uses.has(name)) code = code.replace(line, '');
  }
  // Written-out expressions may mention moved names themselves: replace until nothing changes.
  const pattern = new RegExp(`(?<![.\\w])(${[...uses.keys()].join('|')})\\b`, 'g');
  for (let before = ''; before !== code; ) {
    before = code;
    code = code.replace(pattern, (name) => uses.get(name)!);
  }
  code = code.replace(/^(\s+)const (?=[^;]*launch_sizes)/gm, '$1let ');
  const members = fields.map(({ name, type }) => `  ${name}: ${type === 'bool' ? 'u32' : type},`).join('\n');
  const block = kernelText('lib/launchSizes')
    .replace(/^\/\/.*\n/gm, '')
    .replace(/^ +NUMBER: u32,/m, members)
    .replace('(99)', `(${bindings})`);
  return { code: `${code}\n${block}`, fields };
}

/** What a kernel's shared text depends on: the constants that stay, and which ones move. */
export function sharedConstants(text: string, constants: Constants): Constants {
  const moved = new Set(movedFields(text, constants).map(({ name }) => name));
  return Object.fromEntries(Object.entries(constants).map(([k, v]) => [k, moved.has(k) ? '*' : v]));
}

/** Bytes of the block for one launch, 4 per field, padded to 16. */
export function encodeSizes(fields: readonly Field[], constants: Constants): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil((fields.length * 4) / 16) * 16);
  const view = new DataView(bytes.buffer);
  fields.forEach(({ name, type }, i) => {
    const value = constants[name];
    if (typeof value === 'string') throw new KernelError(`constant ${name} is text and cannot be shared`);
    if (type === 'f32') view.setFloat32(i * 4, Number(value), true);
    else if (type === 'i32') view.setInt32(i * 4, Number(value), true);
    else view.setUint32(i * 4, Number(value), true);
  });
  return bytes;
}
