/** Compares a checkpoint with what a model needs, and says in one error what differs and what would help. */
import { CheckpointError } from '../../engine/errors.ts';
import { type Architecture, describeArchitecture } from './architecture.ts';
import type { CheckpointView, TensorShapes } from './checkpoint.ts';
import { EXTRA_PREFIXES, splitName } from './names.ts';

/** Names shown of each sort of difference. */
const SHOWN = 10;

export interface MatchOptions {
  /** The network that expected names without one belong to, such as `genA2B`. */
  network?: string;
}

type Expected = ReadonlyMap<string, readonly number[]>;

/**
 * Pairs every expected tensor (name to shape) with the file's: returns expected name to name in the file, or
 * throws one CheckpointError with everything missing, misshapen or too many. Networks that are not expected
 * are left alone. A file of one unnamed network fits any single expected network.
 */
export function matchTensors(
  expected: Expected,
  view: CheckpointView,
  options: MatchOptions = {},
): Map<string, string> {
  const wanted = describeArchitecture(asShapes(expected));
  const found = describeArchitecture(view);
  const bare = found.lone && wanted.networks.length <= 1;
  const pairs = new Map<string, string>();
  for (const name of expected.keys()) pairs.set(name, nameInFile(name, bare, options.network));
  const names = new Set(view.names());
  const missing = [...pairs.values()].filter((name) => !names.has(name));
  const misshapen = listMisshapen(expected, pairs, names, view);
  const extra = listExtra(pairs, names);
  if (missing.length + misshapen.length + extra.length > 0) {
    const parts = [list('missing', missing), list('wrong shape', misshapen), list('not in the model', extra)];
    const advice = advise(wanted, found, options);
    throw new CheckpointError([`${view.path} does not fit the model`, ...parts.flat(), advice].join('\n'));
  }
  return pairs;
}

function asShapes(expected: Expected): TensorShapes {
  return { names: () => [...expected.keys()], shape: (name) => expected.get(name) ?? [] };
}

function nameInFile(name: string, bare: boolean, network: string | undefined): string {
  const split = splitName(name);
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
function listExtra(pairs: ReadonlyMap<string, string>, names: ReadonlySet<string>): string[] {
  const used = new Set(pairs.values());
  const owners = new Set([...used].map((name) => splitName(name).network));
  return [...names].filter((name) => {
    if (used.has(name) || EXTRA_PREFIXES.some((prefix) => name.startsWith(prefix))) return false;
    return owners.has(splitName(name).network);
  });
}

function list(title: string, lines: string[]): string[] {
  if (lines.length === 0) return [];
  const rest = lines.length - SHOWN;
  const shown = lines.slice(0, SHOWN).map((line) => `    ${line.slice(0, 160)}`);
  if (rest > 0) shown.push(`    and ${rest} more`);
  return [`  ${title} (${lines.length}):`, ...shown];
}

/** The command-line options under which the model would have the file's shapes. */
function advise(wanted: Architecture, found: Architecture, { network }: MatchOptions): string {
  const asked = network ? [network] : wanted.networks;
  const absent = asked.filter((name) => !found.lone && !found.networks.includes(name));
  if (absent.length > 0) return `  the file has no ${absent.join(', ')}; it has ${describeNetworks(found)}`;
  if (found.lone && asked.length > 1) return '  the file holds one network alone: load it as one generator';
  const flags = differingFlags(wanted, found);
  return flags.length > 0 ? `  these options would fit: ${flags.join(' ')}` : '  no option makes it fit';
}

function describeNetworks({ networks }: Architecture): string {
  return networks.length > 0 ? networks.join(', ') : 'no network of U-GAT-IT';
}

function differingFlags(wanted: Architecture, found: Architecture): string[] {
  const flags: string[] = [];
  if (differs(found.light, wanted.light)) flags.push(found.light ? '--light' : '--full');
  if (differs(found.ch, wanted.ch)) flags.push(`--ch ${found.ch}`);
  if (differs(found.nRes, wanted.nRes)) flags.push(`--n-res ${found.nRes}`);
  if (differs(found.size, wanted.size) && !found.light) flags.push(`--size ${found.size}`);
  const { global, local } = found.disLayers;
  const layersDiffer = differs(global, wanted.disLayers.global) || differs(local, wanted.disLayers.local);
  if (layersDiffer)
    flags.push(`--dis-layers ${global ?? wanted.disLayers.global},${local ?? wanted.disLayers.local}`);
  return flags;
}

/** Known in the file, and not what the model has. */
function differs<T>(found: T | undefined, wanted: T | undefined): boolean {
  return found !== undefined && found !== wanted;
}
