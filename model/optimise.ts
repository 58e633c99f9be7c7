import { AdawnError } from '../engine/errors.ts';
import {
  type AdamOptions,
  ALIGNMENT,
  adamStep,
  addInto,
  clampRange,
  copyInto,
  type Device,
  type FlatBuffer,
  flatBuffer,
  flatRange,
  nameOf,
  place,
  placeProblem,
  type Tensor,
  vjp,
  type Watch,
  zeros,
} from '../engine/index.ts';
import type { Ensemble } from './ensemble.ts';
import type { ParameterGroup } from './parameters.ts';

/** Tells which networks are lost: NaN or infinity among their parameters or moments. */
export interface Health {
  /** Of the networks, in the order of their flags. */
  readonly names: readonly string[];
  /** A number for each network: 0, or 1 once the optimiser has met what is not finite. It stays 1. */
  readonly flags: FlatBuffer;
}

/** All well. */
export function allocateHealth(device: Device, names: readonly string[]): Health {
  return {
    names,
    flags: flatBuffer(device, [{ label: 'flags of networks', shape: [names.length] }], 'health'),
  };
}

/** Gradients of one recorded step, collected piece by piece in the flat buffers Adam reads. */
export interface Collection {
  readonly ensemble: Ensemble;
  readonly gradients: ParameterGroup;
  /** Places in the gradient buffers that hold a first piece of this step; later terms are added. */
  readonly begun: Set<Tensor>;
  /** Places that count as zero unless a piece comes, since a piece was allowed to miss them. */
  readonly zero: Set<Tensor>;
  /** Where the optimiser tells of networks that are lost; null: nowhere. */
  readonly health: Health | null;
}

/** Starts to collect the gradients of a step. */
export function collection(
  ensemble: Ensemble,
  gradients: ParameterGroup,
  health: Health | null = null,
): Collection {
  return { ensemble, gradients, begun: new Set(), zero: new Set(), health };
}

/** How a piece of the gradients is collected. */
export interface CollectOptions {
  /** `zero`: parameters that the outputs do not depend on get nothing. Default: they are an error. */
  readonly missing?: 'zero' | 'error';
  /** As in `vjp`. */
  readonly overwritten?: 'use' | 'error';
}

/** Blocks of the parameters of one network, and where each one's gradient is collected. */
function partsOf(
  { ensemble, gradients }: Collection,
  network: string,
): { targets: Tensor[]; places: Tensor[] } {
  const names = ensemble.parameters.specs.map(({ name }) => name).filter((n) => n.startsWith(`${network}.`));
  return {
    targets: names.flatMap((name) => ensemble.parameters.tensors.get(name)!),
    places: names.flatMap((name) => gradients.tensors.get(name)!),
  };
}

/**
 * Adds the gradients of sum(outputs · cotangents) by the parameters of one network: the first piece of each
 * is computed where Adam reads it (no copy) unless somebody else needs it too, later ones are added there. So
 * what a loss needs for its way back is free again as soon as it was walked, and no piece waits for the
 * others.
 * @returns the gradients by `others`, from the same walk
 * @throws AdawnError as `vjp` does
 */
export function collect(
  collecting: Collection,
  network: string,
  [outputs, cotangents]: readonly [readonly Tensor[], readonly Tensor[]],
  others: readonly Tensor[] = [],
  { missing = 'error', overwritten }: CollectOptions = {},
): Tensor[] {
  const { begun, zero } = collecting;
  const { targets, places } = partsOf(collecting, network);
  const onFinal = (target: number, piece: Tensor, owned: boolean) => {
    const at = places[target - others.length];
    if (!at) return;
    if (begun.has(at)) addInto(at, piece);
    else if (owned) put(piece, at);
    else copyInto(at, piece);
    begun.add(at);
  };
  const all = [...others, ...targets];
  const found = vjp(outputs, cotangents, all, { onFinal, overwritten, missing: 'null' });
  const needed = missing === 'error' ? all.length : others.length;
  const lost = found.slice(0, needed).indexOf(null);
  if (lost >= 0) {
    throw new AdawnError(
      `collect: ${nameOf(all[lost])} does not influence the loss; ` +
        "{ missing: 'zero' } allows that of parameters",
    );
  }
  if (missing === 'zero') for (const at of places) zero.add(at);
  return found.slice(0, others.length) as Tensor[];
}

/** Has a result that nobody else uses lie at `at`: computed there where that can be, else copied. */
function put(result: Tensor, at: Tensor): void {
  if (placeProblem(result, at) === null) place(result, at);
  else copyInto(at, result);
}

/** Zeros where no piece of the gradients came, after `collect` allowed that. */
function fillMissing({ begun, zero }: Collection, places: readonly Tensor[]): void {
  for (const at of places) {
    if (begun.has(at)) continue;
    if (!zero.has(at)) throw new AdawnError(`optimise: no gradient of ${nameOf(at)} was collected`);
    put(zeros(at.shape), at);
    begun.add(at);
  }
}

/** A stretch of a shard that holds nothing but tensors of some networks, in bytes. */
interface Range {
  readonly from: number;
  end: number;
  /** The networks in it, in order, and where each one ends. */
  readonly parts: { readonly network: string; end: number }[];
}

/** The stretches of a shard that tensors of these networks fill. */
function rangesOf({ views }: FlatBuffer, networks: readonly string[]): Range[] {
  const ranges: Range[] = [];
  let range: Range | null = null;
  for (const { label, storage } of views) {
    const network = networks.find((name) => label.startsWith(`${name}.`));
    const { offset: from, bytes } = storage!;
    const end = from + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (!network) {
      range = null;
      continue;
    }
    if (!range) ranges.push((range = { from, end, parts: [] }));
    range.end = end;
    const last = range.parts[range.parts.length - 1];
    if (last?.network === network) last.end = end;
    else range.parts.push({ network, end });
  }
  return ranges;
}

/** What Adam is to tell of the networks in a range. */
function watchOf({ from, parts }: Range, health: Health): Watch {
  return {
    ends: parts.map(({ end }) => (end - from) / 4),
    slots: parts.map(({ network }) => health.names.indexOf(network)),
    flags: health.flags.views[0],
  };
}

/**
 * One Adam launch for each range of the flat buffers that the networks fill. Part of the program being
 * recorded.
 * @param hyper what `adamHyper(step, lr, adam)` gives, uploaded once per step
 * @throws AdawnError when the gradient of a parameter was never collected
 */
export function optimise(
  collecting: Collection,
  networks: readonly string[],
  hyper: Tensor,
  adam: AdamOptions,
): void {
  const { ensemble, gradients, health } = collecting;
  const { parameters, moments } = ensemble;
  for (const network of networks) fillMissing(collecting, partsOf(collecting, network).places);
  if (!moments) throw new Error('model bug: an ensemble without moments cannot be trained');
  parameters.shards.forEach((shard, i) => {
    for (const filled of rangesOf(shard, networks)) {
      const { from, end } = filled;
      const range = (group: ParameterGroup, label: string) =>
        flatRange(group.shards[i], from, (end - from) / 4, label);
      adamStep({
        p: range(parameters, 'parameters'),
        g: range(gradients, 'gradients'),
        m: range(moments.first, 'Adam m'),
        v: range(moments.second, 'Adam v'),
        hyper,
        ...adam,
        watch: health ? watchOf(filled, health) : undefined,
      });
    }
  });
}

/** Clamps every rho of the ensemble to [0, 1]: one launch over their common range. */
export function clipRho({ parameters }: Ensemble): void {
  if (parameters.rhoCount === 0) return;
  clampRange(flatRange(parameters.shards[0], 0, parameters.rhoCount, 'rhos'), 0, 1);
}
