/** What a file holds, in words: for the refusal of one that lacks what is wanted. */

import { describeArchitecture } from './architecture.ts';
import { findRelative } from './relatives.ts';
import type { CheckpointView } from './view.ts';

/** Names shown of each sort. */
const SHOWN = 3;

/** A list of names that says how many more there are. */
export function listNames(names: readonly string[], shown = SHOWN): string {
  const first = names.slice(0, shown).map((name) => name.slice(0, 100));
  const more = names.length - first.length;
  return `${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/**
 * Says that a file lacks a network ('': one of any name), and what it has instead.
 * @param lack how to say so, such as "has no genA2B"
 */
export function explainLack(view: CheckpointView, network: string, lack: string): string {
  const rivals = view.rivals.get(network) ?? view.rivals.get('');
  if (rivals) return `${view.path} ${describeRivals(view, network, rivals)}`;
  const { networks } = describeArchitecture(view);
  const relative = findRelative(view);
  const parts = [
    relative && `it looks like ${relative}'s, whose networks are others`,
    networks.length > 0 ? `it has ${networks.join(', ')}` : describeTensors(view.names()),
    describeObjects(view),
  ];
  return `${view.path} ${[lack, ...parts].filter(Boolean).join('; ')}`;
}

function describeRivals({ path, rivals }: CheckpointView, network: string, keys: readonly string[]): string {
  const what = rivals.has(network) && network !== '' ? network : 'a generator';
  const places = keys.map((key) => JSON.stringify(key)).join(' and below ');
  const command = `npx tsx cli/convert.ts ${path} ONE.safetensors --key ${keys[0]}`;
  return `holds ${what} below ${places}: write the one you want to a file of its own (${command})`;
}

function describeTensors(names: readonly string[]): string {
  if (names.length === 0) return 'it holds no tensors';
  const prefix = sharedPrefix(names);
  const all = prefix ? `, all below ${JSON.stringify(prefix.slice(0, 100))}` : '';
  return `its ${names.length} tensors are ${listNames(names)}${all}`;
}

/** Parts of a name that a shared prefix is looked for in. */
const PREFIX_PARTS = 8;

/** The longest run of whole parts that every name begins with. */
function sharedPrefix(names: readonly string[]): string {
  const parts = names[0].split('.', PREFIX_PARTS + 1).slice(0, -1);
  for (let length = parts.length; length > 0; length--) {
    const prefix = parts.slice(0, length).join('.');
    if (names.every((name) => name.startsWith(`${prefix}.`))) return prefix;
  }
  return '';
}

/** Objects that could not be read, of which a whole model may be what was wanted. */
export function describeObjects({ objects }: CheckpointView): string {
  const all = [...objects].map(([key, what]) => `${key} (${what})`);
  if (all.length === 0) return '';
  const whole = [...objects].find(([, what]) => what.startsWith('a whole model'));
  const key = whole && JSON.stringify(whole[0].slice(0, 80));
  const advice = key ? `: there, save the state_dict() of ${key}` : '';
  return `only its own Python code can read ${listNames(all)}${advice}`;
}
