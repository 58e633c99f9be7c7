/** Compares a checkpoint with what a model needs, and says in one error what differs and what would help. */

import { CheckpointError } from '../../engine/errors.ts';
import { type Architecture, describeArchitecture } from './architecture.ts';
import { describeObjects, explainLack, listNames } from './explain.ts';
import { elementCount } from './hostTensor.ts';
import { AUTHORS, splitName } from './names.ts';
import type { CheckpointView, TensorShapes } from './view.ts';

/** Names shown of each sort of difference. */
const SHOWN = 10;

export interface MatchOptions {
  /** The network that expected names without one belong to, such as `genA2B`. */
  network?: string;
  /** The options that the command has, so that no other is advised; default all. */
  options?: readonly string[];
  /** Hears of what was left out or chosen, a sentence each. */
  warn?: (message: string) => void;
}

type Expected = ReadonlyMap<string, readonly number[]>;

/**
 * Pairs every expected tensor (name to shape) with the file's: returns expected name to name in the file, or
 * throws one CheckpointError with everything that is missing or misshapen. Networks that are not expected are
 * left alone. A file of one unnamed network fits any single expected network. Tensors that the model does not
 * know (counters that tools leave behind) are warned of, unless they show that the model is another.
 */
export function matchTensors(
  expected: Expected,
  view: CheckpointView,
  options: MatchOptions = {},
): Map<string, string> {
  const wanted = describeArchitecture(asShapes(expected, view));
  const asked = options.network ? [options.network] : wanted.networks;
  const found = describeArchitecture(view, asked);
  demandNetworks(asked, found, view);
  const bare = found.lone && wanted.networks.length <= 1;
  const pairs = new Map<string, string>();
  for (const name of expected.keys())
    pairs.set(name, nameInFile(splitName(name, view.networks), bare, options.network));
  const names = new Set(view.names());
  const missing = [...pairs.values()].filter((name) => !names.has(name));
  const misshapen = listMisshapen(expected, pairs, names, view);
  const extra = listExtra(pairs, view);
  const flags = AUTHORS.flags(wanted.settings, found.settings);
  if (missing.length + misshapen.length > 0 || (extra.length > 0 && flags.size > 0)) {
    const parts = [list('missing', missing), list('wrong shape', misshapen), list('not in the model', extra)];
    const notRead = missing.length > 0 ? describeObjects(view) : '';
    const advice = advise(flags, options.options);
    const lines = [`${view.path} does not fit the model`, ...parts.flat(), ...[notRead, advice].map(indent)];
    throw new CheckpointError(lines.filter(Boolean).join('\n'));
  }
  tellChoices(view, extra, options);
  return pairs;
}

const indent = (line: string) => line && `  ${line}`;

/** What a user should know of a file that fits. */
function tellChoices(
  view: CheckpointView,
  extra: readonly string[],
  { warn = () => {} }: MatchOptions,
): void {
  for (const notice of view.notices) warn(`${view.path}: ${notice}`);
  if (extra.length === 0) return;
  const weights = extra.some((name) => !(elementCount(view.shape(name)) <= 1));
  const doubt = weights ? '; a network that needs them is another than this, and gives other pictures' : '';
  warn(`${view.path}: the model has no place for ${listNames(extra)}, left out${doubt}`);
}

function asShapes(expected: Expected, { networks }: TensorShapes): TensorShapes {
  return { networks, names: () => [...expected.keys()], shape: (name) => expected.get(name) ?? [] };
}

/** @throws CheckpointError when the file has nothing of a network that is asked for */
function demandNetworks(asked: readonly string[], found: Architecture, view: CheckpointView): void {
  const absent = asked.filter((name) => !found.networks.includes(name));
  if (absent.length === 0 || (found.lone && asked.length === 1)) return;
  const marks = Object.values(AUTHORS.landmarks);
  const several = found.lone && view.names().some((name) => marks.includes(name));
  const lack = several
    ? `holds one network alone, and ${asked.join(', ')} are needed`
    : `has no ${absent.join(', ')}`;
  throw new CheckpointError(explainLack(view, absent[0], lack));
}

function nameInFile(split: ReturnType<typeof splitName>, bare: boolean, network: string | undefined): string {
  const owner = split.network || network;
  return bare || !owner ? split.rest : `${owner}.${split.rest}`;
}

function listMisshapen(
  expected: Expected,
  pairs: ReadonlyMap<string, string>,
  names: ReadonlySet<string>,
  view: TensorShapes,
): string[] {
  const lines: string[] = [];
  for (const [name, shape] of expected) {
    const file = pairs.get(name) ?? name;
    if (!names.has(file) || sameShape(view.shape(file), shape)) continue;
    lines.push(`${file} is [${view.shape(file)}], the model needs [${shape}]`);
  }
  return lines;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}

/** Names in the file of the networks asked for (or of the unnamed one) that nothing asked for. */
function listExtra(pairs: ReadonlyMap<string, string>, view: CheckpointView): string[] {
  const used = new Set(pairs.values());
  const owners = new Set([...used].map((name) => splitName(name, view.networks).network));
  return view.names().filter((name) => {
    return !used.has(name) && !view.extras.has(name) && owners.has(splitName(name, view.networks).network);
  });
}

function list(title: string, lines: string[]): string[] {
  if (lines.length === 0) return [];
  const rest = lines.length - SHOWN;
  const shown = lines.slice(0, SHOWN).map((line) => `    ${line.slice(0, 160)}`);
  if (rest > 0) shown.push(`    and ${rest} more`);
  return [`  ${title} (${lines.length}):`, ...shown];
}

/** What to do about it with the options that the command has. */
function advise(flags: ReadonlyMap<string, string>, options?: readonly string[]): string {
  const there = [...flags].filter(([option]) => !options || options.includes(option));
  if (there.length === 0 || there.length < flags.size) return 'no option makes it fit';
  return `these options would fit: ${there.map(([option, value]) => option + value).join(' ')}`;
}
