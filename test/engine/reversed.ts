import { readFileSync } from 'node:fs';
import { type KernelSpec, specialise } from '../../engine/device/kernel.ts';

const ENTRY = /@compute\s*@workgroup_size\(([^)]*)\)\s*fn (\w+)\(([^{]*?)\)\s*\{/g;
const PARAMETER = /@builtin\((\w+)\)\s*(\w+)\s*:/g;

/** Lanes that stay in order: the subgroup of a processor. */
export const TOGETHER = 8;

/** What replaces an entry point, in words of reversed.wgsl. */
const template = readFileSync(new URL('reversed.wgsl', import.meta.url), 'utf8');

/** What each builtin is when the last workgroup, and the last subgroup in it, comes first. */
const BUILTINS: Record<string, string> = {
  workgroup_id: 'group',
  num_workgroups: 'groups',
  local_invocation_index: 'local',
  local_invocation_id: 'place',
  global_invocation_id: 'group * size + place',
};

function entryOf(sizes: string, name: string, parameters: string): string {
  const values = [...parameters.matchAll(PARAMETER)].map(([, builtin]) => {
    if (!(builtin in BUILTINS)) throw new Error(`reversed: no rule for ${builtin}`);
    return BUILTINS[builtin];
  });
  const extents = [...sizes.split(','), '1', '1'].slice(0, 3).map((size) => `u32(${size.trim()})`);
  return template
    .replaceAll('NAME', name)
    .replace('SIZES)', `${sizes})`)
    .replace('EXTENTS', extents.join(', '))
    .replaceAll('TOGETHER', String(TOGETHER))
    .replace('ARGUMENTS)', `${values.join(', ')})`);
}

/** Invocations of a workgroup, of which there are more than TOGETHER only in whole multiples. */
export function invocationsOf(spec: KernelSpec): number {
  const text = specialise(spec);
  const entry = [...text.matchAll(ENTRY)].find(([, , name]) => name === spec.entry);
  if (!entry) throw new Error(`reversed: no entry point ${spec.entry} in ${spec.name}`);
  const numberOf = (size: string) =>
    Number(text.match(new RegExp(`^const ${size}: u32 = (\\d+)u?;`, 'm'))?.[1] ?? size);
  const count = entry[1].split(',').reduce((product, size) => product * numberOf(size.trim()), 1);
  const fits = count <= TOGETHER || count % TOGETHER === 0;
  if (!fits) throw new Error(`reversed: ${spec.name} has workgroups of ${count}`);
  return count;
}

/**
 * A kernel's text with its workgroups, and the subgroups in each, in reverse order. A processor runs one
 * after the other, from barrier to barrier: what reads too early finds other numbers in the other order.
 */
export function reversed(code: string): string {
  const entries: string[] = [];
  const bodies = code.replace(ENTRY, (_, sizes: string, name: string, parameters: string) => {
    entries.push(entryOf(sizes, name, parameters));
    return `fn body_of_${name}(${parameters.replace(/@builtin\(\w+\)\s*/g, '')}) {`;
  });
  const there = code.match(/^@compute\b/gm)?.length ?? 0;
  if (entries.length === 0 || entries.length !== there) throw new Error('reversed: an entry point is lost');
  return [bodies, ...entries].join('\n');
}
