/**
 * Finds the networks in a file by the names of its tensors, wherever people put them: at the top, under keys
 * such as `state_dict`, `model` or `params_ema`, behind the `module.` of DataParallel. A network is found by
 * a tensor that all of its kind have (`landmarks`); what stands before that tensor's name is its prefix.
 */
import { CheckpointError } from '../../engine/errors.ts';
import { AUTHORS, EXTRA_PREFIXES, type NetworkKind, unwrapName } from './names.ts';

/** Tensors of a file under the names by which a model knows them. */
export interface Arrangement {
  /** Networks that names may begin with, in their order. */
  readonly networks: readonly string[];
  /** Name here to name in the file, in the file's order. */
  readonly names: ReadonlyMap<string, string>;
  /** Names (here) of tensors of no network: an optimiser's state, further copies of a network. */
  readonly extras: ReadonlySet<string>;
  /** Networks that are there several times with equal right, and below which keys; '' is an unnamed one. */
  readonly rivals: ReadonlyMap<string, readonly string[]>;
  /** Choices that were made, one sentence each. */
  readonly notices: readonly string[];
}

/** A network in the file. */
interface Place {
  /** What its tensors' names begin with: '' or a text that ends in a dot. */
  readonly prefix: string;
  /** One of the authors' networks, or '' where the prefix names none. */
  readonly network: string;
  readonly kind: NetworkKind | null;
}

/**
 * Arranges the tensors of a file. Where a network is there several times, the copy that stands where the
 * authors' code puts it (at the top, under its own name) is taken, and that is noted; among others there is
 * no choice.
 * @param key look below this key alone
 * @throws CheckpointError when there is nothing below `key`, or two tensors would get one name
 */
export function arrangeNames(inFile: readonly string[], key?: string): Arrangement {
  const unwrapped = unwrapAll(inFile);
  const [below, renamed] = key === undefined ? [inFile, unwrapped] : belowKey(inFile, unwrapped, key);
  const own = findPlaces(renamed.filter((name) => !isExtra(name)));
  const places = own.length > 0 ? own : findPlaces(renamed);
  // Somebody else's file may keep its networks below a key that means something else in ours.
  const foreign = own.length < places.length;
  const { taken, rivals, notices } = choose(places);
  const names = new Map<string, string>();
  const extras = new Set<string>();
  const named = taken.some(({ network }) => network !== '');
  renamed.forEach((name, i) => {
    const place = places.find(({ prefix }) => name.startsWith(prefix));
    const extra = !foreign && isExtra(name);
    const chosen = place && taken.includes(place) && !extra;
    const here = chosen ? join(place.network, name.slice(place.prefix.length)) : name;
    if (names.has(here)) throw new CheckpointError(`two of its tensors would be called ${shown(here)}`);
    names.set(here, below[i]);
    // Unnamed networks are as good as any where nothing has a name.
    const spare = place ? place.network !== '' || named : places.length > 0;
    if (extra || (!chosen && spare)) extras.add(here);
  });
  if (extras.size === names.size) extras.clear();
  return { networks: AUTHORS.networks, names, extras, rivals, notices };
}

/**
 * The arrangement of a file of our own, whose recipe is another: every name is as its networks have it, and
 * begins with the network's.
 */
export function ownNames(inFile: readonly string[]): Arrangement {
  const extras = new Set(inFile.filter(isExtra));
  const ours = inFile.filter((name) => !extras.has(name));
  const networks = [...new Set(ours.map((name) => name.split('.', 1)[0]))];
  const names = new Map(inFile.map((name) => [name, name]));
  return { networks, names, extras, rivals: new Map(), notices: [] };
}

const isExtra = (name: string) => EXTRA_PREFIXES.some((prefix) => name.startsWith(prefix));
const join = (network: string, rest: string) => (network === '' ? rest : `${network}.${rest}`);
const shown = (name: string) => JSON.stringify(name.slice(0, 80));

/** Names without what wrappers put in, unless two tensors would then have one name. */
function unwrapAll(names: readonly string[]): readonly string[] {
  const plain = names.map(unwrapName);
  return new Set(plain).size === names.length ? plain : names;
}

/** The names in the file of what lies below a key, and what follows the key in them. */
function belowKey(inFile: readonly string[], names: readonly string[], key: string): [string[], string[]] {
  const prefix = unwrapName(`${key}.`);
  const chosen = names.flatMap((name, i) => (name.startsWith(prefix) ? [i] : []));
  if (chosen.length === 0) {
    const top = [...new Set(names.map((name) => name.split('.', 1)[0]))];
    const list = top.slice(0, 10).map(shown).join(', ');
    throw new CheckpointError(`has no tensors below ${shown(key)}; at its top are ${list || 'none'}`);
  }
  return [chosen.map((i) => inFile[i]), chosen.map((i) => names[i].slice(prefix.length))];
}

/** More networks than any honest file has: each is compared with every name. */
const MAX_PLACES = 64;

/** Every network, those with the longest prefix first. */
function findPlaces(names: readonly string[]): Place[] {
  const places = new Map<string, Place>();
  for (const name of names) {
    for (const kind of ['generator', 'discriminator'] as const) {
      const landmark = AUTHORS.landmarks[kind];
      if (name !== landmark && !name.endsWith(`.${landmark}`)) continue;
      const prefix = name.slice(0, name.length - landmark.length);
      places.set(prefix, { prefix, network: networkIn(prefix), kind });
      if (places.size > MAX_PLACES) throw new CheckpointError(`holds more than ${MAX_PLACES} networks`);
    }
  }
  for (const place of neighbours([...places.values()], names)) places.set(place.prefix, place);
  return [...places.values()].sort((a, b) => b.prefix.length - a.prefix.length);
}

/** A network's name as a part of a prefix, or as a word of a part: `genA2B_ema`. */
const NETWORK = new RegExp(`(?<![A-Za-z0-9])(${AUTHORS.networks.join('|')})(?![A-Za-z0-9])`, 'g');

/** Characters at the end of a prefix that are looked at: an honest one has fewer. */
const PREFIX_END = 1000;

/** The network that a prefix names: the last one in it, or ''. */
function networkIn(prefix: string): string {
  return [...prefix.slice(-PREFIX_END).matchAll(NETWORK)].at(-1)?.[0] ?? '';
}

/** Networks beside those found that have no landmark, being damaged or of another kind. */
function neighbours(places: readonly Place[], names: readonly string[]): Place[] {
  const found = new Map<string, Place>();
  for (const { prefix, network } of places) {
    if (network === '') continue;
    const at = prefix.lastIndexOf(network);
    for (const other of AUTHORS.networks) {
      if (places.some((place) => place.network === other)) continue;
      const its = prefix.slice(0, at) + other + prefix.slice(at + network.length);
      if (names.some((name) => name.startsWith(its)))
        found.set(its, { prefix: its, network: other, kind: null });
    }
  }
  return [...found.values()];
}

/** Decides which places are used. */
function choose(places: readonly Place[]) {
  const taken: Place[] = [];
  const rivals = new Map<string, string[]>();
  const passedOver = new Map<string, string[]>();
  for (const [network, candidates] of candidatesOf(places)) {
    const top = candidates.find(({ prefix }) => prefix === join(network, ''));
    const one = candidates.length === 1 ? candidates[0] : top;
    if (one) taken.push(one);
    else rivals.set(network, candidates.map(keyOf).sort());
    for (const other of candidates) {
      if (!one || other === one) continue;
      passedOver.set(keyOf(other), [...(passedOver.get(keyOf(other)) ?? []), network || 'the network']);
    }
  }
  const notices = [...passedOver].map(
    ([key, networks]) =>
      `takes ${networks.join(', ')} at its top, not below ${shown(key)} (cli/convert.ts --key takes that)`,
  );
  return { taken, rivals, notices };
}

/** What may be each network. Unnamed networks are looked at only where none has a name. */
function candidatesOf(places: readonly Place[]): Map<string, Place[]> {
  const named = places.filter(({ network }) => network !== '');
  const generators = places.filter(({ kind }) => kind === 'generator');
  const candidates = new Map<string, Place[]>();
  for (const place of named) candidates.set(place.network, [...(candidates.get(place.network) ?? []), place]);
  if (named.length > 0) return candidates;
  if (generators.length > 0) candidates.set('', generators);
  else if (places.length === 1) candidates.set('', [...places]);
  return candidates;
}

/** The key below which a place is found by itself or, better, together with the networks beside it. */
function keyOf({ prefix, network }: Place): string {
  const path = prefix.slice(0, -1);
  const beside = `.${network}`;
  return network !== '' && path.endsWith(beside) ? path.slice(0, -beside.length) : path;
}
