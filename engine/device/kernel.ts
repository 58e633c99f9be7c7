import { kernelText } from '#text';
import { KernelError } from '../errors.ts';

/** Values for the `const` lines a kernel declares; `type` lines (`alias T = f32;`) take strings. */
export type Constants = Readonly<Record<string, number | boolean | string>>;

/** What is launched: a file of kernels/, one of its entry points, and the constants that specialise it. */
export interface KernelSpec {
  /** Path below kernels/ without `.wgsl`. */
  readonly name: string;
  readonly entry: string;
  readonly constants: Constants;
}

export type BindingKind = 'read' | 'write' | 'uniform' | 'readTexture' | 'writeTexture';

/** Every specialised text has one key: name, entry and constants in the order given. */
export function kernelKey(spec: KernelSpec): string {
  const list = Object.entries(spec.constants).map(([k, v]) => `${k}=${v}`);
  return `${spec.name}:${spec.entry}(${list.join(',')})`;
}

type TextSpec = Pick<KernelSpec, 'name' | 'constants'>;

const texts = new Map<string, string>();

/** The text of a file, read once. */
function fileText(name: string): string {
  let text = texts.get(name);
  if (text === undefined) texts.set(name, (text = kernelText(name)));
  return text;
}

/** The kernels/lib files of a kernel's `needs` line; `PART=file` gives way to a constant PART. */
function libsOf(own: string, constants: Constants): string[] {
  const line = own.match(/^\/\/ needs: *(.+)$/m)?.[1];
  return (line ? line.trim().split(/\s+/) : []).map((word) => {
    const [part, file] = word.split('=');
    return file ? String(constants[part] ?? file) : part;
  });
}

/** Names of the parts of a text that a constant may exchange. */
function partsOf(text: string): Set<string> {
  const line = text.match(/^\/\/ needs: *(.+)$/m)?.[1] ?? '';
  return new Set([...line.matchAll(/(\w+)=/g)].map((match) => match[1]));
}

/** Directives to the top, where WGSL wants them, and a number for a binding that a lib adds. */
function joined(files: readonly string[]): string {
  const text = files.join('\n');
  const enables = new Set(text.match(/^enable \w+;\n/gm));
  const bindings = [...text.matchAll(/@binding\((\d\d?)\)/g)].map((match) => Number(match[1]));
  const next = Math.max(-1, ...bindings.filter((n) => n < 99)) + 1;
  const body = text.replace(/^enable \w+;\n/gm, '').replace(ADDED, `(${next})`);
  return [...enables, body].join('');
}

/** Stands for the next free binding in a lib. */
const ADDED = /(?<=@binding)\(99\)/;

/**
 * The file's text with the `kernels/lib` files it names in a line `// needs: reduce reflect` appended. Of
 * `// needs: CORE=tile` the constant CORE makes another file.
 */
export function fullText({ name, constants }: TextSpec): string {
  const own = fileText(name);
  const libs = libsOf(own, constants);
  if (libs.length === 0) return own;
  const key = [name, ...libs].join(' ');
  const known = texts.get(key);
  if (known !== undefined) return known;
  const text = joined([own, ...libs.map((lib) => fileText(`lib/${lib}`))]);
  texts.set(key, text);
  return text;
}

function literal(value: number | boolean | string, type: string): string {
  if (typeof value !== 'number') return String(value);
  if (type === 'f32' || type === 'f16') {
    const text = String(value);
    return /[.e]/.test(text) ? text : `${text}.0`;
  }
  return type === 'u32' ? `${value}u` : String(value);
}

/**
 * Specialises a kernel's text: rewrites the declared lines `const NAME: type = …;`.
 * Shapes are constants too: training has static shapes, and divisions by a constant are cheap.
 * @throws KernelError when a constant is given that the text does not declare.
 */
export function specialise(spec: KernelSpec): string {
  let text = fullText(spec);
  const parts = partsOf(text);
  for (const [name, value] of Object.entries(spec.constants)) {
    if (parts.has(name)) continue;
    const line = new RegExp(`^const ${name}: (\\w+) = [^;]*;`, 'm');
    const found = text.match(line);
    if (value === undefined || Number.isNaN(value)) {
      throw new KernelError(`${spec.name}: constant ${name} is ${value}`);
    }
    if (!found) {
      throw new KernelError(`${spec.name}: no line "const ${name}: type = …;" to specialise`);
    }
    text = text.replace(line, `const ${name}: ${found[1]} = ${literal(value, found[1])};`);
  }
  return text;
}

const BUFFER = /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*(storage|uniform)\s*(?:,\s*(\w+)\s*)?>/g;
const TEXTURE =
  /@group\(0\)\s*@binding\((\d+)\)\s*var \w+: texture_storage_2d_array<rgba32float, (read|write)>/g;

/** The storage and uniform bindings of group 0, in order, as the text declares them. */
export function bindingsOf(spec: TextSpec): BindingKind[] {
  const kinds: BindingKind[] = [];
  const text = fullText(spec);
  for (const [, slot, space, access] of text.matchAll(BUFFER)) {
    kinds[Number(slot)] = space === 'uniform' ? 'uniform' : access === 'read_write' ? 'write' : 'read';
  }
  for (const [, slot, access] of text.matchAll(TEXTURE)) {
    kinds[Number(slot)] = access === 'write' ? 'writeTexture' : 'readTexture';
  }
  return kinds;
}

const WRITTEN = /@group\(0\)\s*@binding\((\d+)\)\s*var<\s*storage\s*,\s*read_write\s*>\s*(\w+)/g;

/**
 * The constants that make a kernel add to what a binding holds instead of replacing it, by binding: where
 * `dgamma` is written, `const ADD_DGAMMA: bool = false;`, and plain `ADD` for the first binding that is
 * written. A text that declares one promises that every entry point which writes the binding follows it, and
 * that one invocation alone reads and writes each element.
 */
export function addFlagsOf(spec: TextSpec): ReadonlyMap<number, string> {
  const text = fullText(spec);
  const written = [...text.matchAll(WRITTEN)].map(([, slot, name]) => ({ slot: Number(slot), name }));
  const first = Math.min(...written.map(({ slot }) => slot));
  const flags = new Map<number, string>();
  for (const { slot, name } of written) {
    const names = [`ADD_${name.toUpperCase()}`, ...(slot === first ? ['ADD'] : [])];
    const flag = names.find((n) => new RegExp(`^const ${n}: bool = false;`, 'm').test(text));
    if (flag) flags.set(slot, flag);
  }
  return flags;
}

/** Source with line numbers, for error messages. */
export function numbered(text: string): string {
  return text
    .split('\n')
    .map((line, i) => `${String(i + 1).padStart(4)} ${line}`)
    .join('\n');
}
