import { readFileSync } from 'node:fs';

const ENTRY = /@compute\s*@workgroup_size\(([^)]*)\)\s*fn (\w+)\(([^{]*?)\)\s*\{/g;
const PARAMETER = /@builtin\((\w+)\)\s*(\w+)\s*:/g;

/** Lanes of a subgroup. */
const TOGETHER = '8';

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
    .replaceAll('TOGETHER', TOGETHER)
    .replace('ARGUMENTS)', `${values.join(', ')})`);
}

/**
 * A kernel's text with its workgroups, and the subgroups in each, in reverse order. A processor runs one
 * after the other, from barrier to barrier: what reads too early is right in one of the two orders only.
 */
export function reversed(code: string): string {
  const entries: string[] = [];
  const bodies = code.replace(ENTRY, (_, sizes: string, name: string, parameters: string) => {
    entries.push(entryOf(sizes, name, parameters));
    return `fn body_of_${name}(${parameters.replace(/@builtin\(\w+\)\s*/g, '')}) {`;
  });
  if (entries.length === 0) throw new Error('reversed: no entry point');
  return [bodies, ...entries].join('\n');
}
