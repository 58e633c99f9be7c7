import { integers } from '../../record/constants.ts';
import { workgroupSize } from '../../record/lanes.ts';
import { grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import type { SpectralLayer, Spectrum, Updates } from '../../record/spectrum.ts';
import {
  ALIGNMENT,
  makeTensor,
  type Storage,
  storageOf,
  type Tensor,
  windowOf,
} from '../../record/tensor.ts';

const FLOATS = ALIGNMENT / 4;

const aligned = (floats: number) => Math.ceil(floats / FLOATS) * FLOATS;

/** Floats of one buffer that several tensors lie in. */
interface Cover {
  readonly tensor: Tensor;
  /** Where each of them starts. */
  readonly starts: readonly number[];
}

/** The part of a buffer from the first of some tensors to the last; null where they do not share one. */
function spanOf(tensors: readonly Tensor[]): Storage | null {
  const places = tensors.map(storageOf).filter((place) => place !== null);
  if (places.length === 0 || places.length < tensors.length) return null;
  const { buffer, lease } = places[0];
  if (places.some((p) => p.buffer !== buffer)) return null;
  const offset = Math.min(...places.map((p) => p.offset));
  return { buffer, lease, offset, bytes: Math.max(...places.map((p) => p.offset + p.bytes)) - offset };
}

/** Of tensors that are one alone, or share a buffer. */
function coverOf(tensors: readonly Tensor[]): Cover {
  if (tensors.length === 1) return { tensor: tensors[0], starts: [0] };
  const storage = spanOf(tensors)!;
  const tensor = makeTensor([storage.bytes / 4], { label: 'weights under spectral norm', storage });
  return { tensor, starts: tensors.map((t) => (storageOf(t)!.offset - storage.offset) / 4) };
}

/** Whether one binding each can show all weights, all u and all v of some layers. */
function fitTogether(layers: readonly SpectralLayer[]): boolean {
  return (['w', 'u', 'v'] as const).every((name) => {
    const span = spanOf(layers.map((layer) => layer[name]));
    return span !== null && span.bytes <= recorder().device.maxBinding;
  });
}

/** Runs of layers that one launch can serve, in order. */
function batchesOf(layers: readonly SpectralLayer[]): SpectralLayer[][] {
  const batches: SpectralLayer[][] = [];
  for (const layer of layers) {
    const last = batches[batches.length - 1];
    if (last && fitTogether([...last, layer])) last.push(layer);
    else batches.push([layer]);
  }
  return batches;
}

/**
 * Lanes and what each owns. A processor wants long runs of memory and few workgroups; a GPU wants tens of
 * thousands of invocations, so rows are cut into slices there.
 */
interface Tiling {
  readonly wide: { readonly WG: number; readonly J: number; readonly PER: number };
  readonly long: { readonly WG: number; readonly R: number };
}

function tilingOf(): Tiling {
  if (recorder().device.isCpu) return { wide: { WG: 8, J: 4, PER: 2 ** 20 }, long: { WG: 8, R: 4 } };
  return { wide: { WG: 64, J: 1, PER: 64 }, long: { WG: 64, R: 4 } };
}

/** Layers of one batch as the kernels read them, and the sizes that follow. */
interface Table {
  readonly layers: Tensor;
  /** Workgroups of the products with columns and with rows. */
  readonly columns: number;
  readonly blocks: number;
  /** Slices of rows of the tallest layer. */
  readonly slices: number;
  /** What all calls leave of u and of v. */
  readonly keptU: Kept;
  readonly keptV: Kept;
}

/** Vectors behind one another: where each begins, and floats of all. */
interface Kept {
  readonly starts: readonly number[];
  readonly floats: number;
}

function keptOf(counts: readonly number[]): Kept {
  let floats = 0;
  const starts = counts.map((count) => {
    const start = floats;
    floats += aligned(count);
    return start;
  });
  return { starts, floats };
}

interface Bound {
  readonly w: Cover;
  readonly u: Cover;
  readonly v: Cover;
}

function tableOf(sizes: readonly { O: number; M: number }[], bound: Bound, calls: number): Table {
  const { wide, long } = tilingOf();
  const fields: number[] = [];
  const keptU = keptOf(sizes.map(({ O }) => calls * O));
  const keptV = keptOf(sizes.map(({ M }) => calls * M));
  let [columns, blocks, slices] = [0, 0, 1];
  sizes.forEach(({ O, M }, i) => {
    const starts = [bound.w.starts[i] / 4, O, M / 4, bound.u.starts[i], bound.v.starts[i] / 4];
    fields.push(...starts, keptU.starts[i], keptV.starts[i] / 4, columns, blocks);
    const own = Math.ceil(O / wide.PER);
    slices = Math.max(slices, own);
    columns += own * Math.ceil(M / 4 / (wide.WG * wide.J));
    blocks += Math.ceil(O / long.R);
  });
  return { layers: integers(fields), columns, blocks, slices, keptU, keptV };
}

/** t = Wᵀ u of all layers, laid out like v. */
function columnProducts(LAYERS: number, { w, u, v }: Bound, table: Table): Tensor {
  const { wide } = tilingOf();
  const [floats] = v.tensor.shape;
  const QUADS = Math.ceil(floats / 4);
  const { layers, slices } = table;
  const label = 'spectralNorm.columns';
  const part = intermediate([slices * QUADS * 4], label);
  const constants = { LAYERS, QUADS, ...wide };
  const kernel = 'spectralNorm/columns';
  const bind = [layers, w.tensor, u.tensor, part];
  launch({ kernel, constants, label, bind, grid: [table.columns, 1, 1] });
  if (slices === 1) return part;
  const t = intermediate([QUADS * 4], label);
  const grid = grid1d(QUADS, wide.WG);
  launch({ kernel, entry: 'join', constants, label, bind: [layers, part, part, t], grid });
  return t;
}

/** s = W t of all layers, laid out like u. */
function rowProducts(LAYERS: number, { w, u }: Bound, table: Table, t: Tensor): Tensor {
  const { long } = tilingOf();
  const label = 'spectralNorm.rows';
  const s = intermediate(u.tensor.shape, label);
  const bind = [table.layers, w.tensor, t, s];
  const grid = [table.blocks, 1, 1] as const;
  launch({ kernel: 'spectralNorm/rows', constants: { LAYERS, ...long }, label, bind, grid });
  return s;
}

function spectraOf(batch: readonly SpectralLayer[], { calls, update }: Updates): Spectrum[] {
  const LAYERS = batch.length;
  const sizes = batch.map(({ u, v }) => ({ O: u.shape[0], M: v.shape[0] }));
  const [w, u, v] = (['w', 'u', 'v'] as const).map((name) => coverOf(batch.map((layer) => layer[name])));
  const bound = { w, u, v };
  const table = tableOf(sizes, bound, calls);
  const keptU = intermediate([table.keptU.floats], 'u');
  const keptV = intermediate([table.keptV.floats], 'v');
  const sigma = intermediate([LAYERS * FLOATS], 'sigma');
  const WG = workgroupSize(256);
  for (let CALL = 0; CALL < calls; CALL++) {
    const t = update ? columnProducts(LAYERS, bound, table) : v.tensor;
    const s = rowProducts(LAYERS, bound, table, t);
    launch({
      kernel: 'spectralNorm/finish',
      entry: update ? 'main' : 'fixed',
      constants: { LAYERS, CALL, WG },
      label: 'spectralNorm.finish',
      bind: [table.layers, update ? t : s, s, u.tensor, v.tensor, keptU, keptV, sigma],
      grid: [LAYERS, 1, 1],
    });
  }
  return sizes.map(({ O, M }, i) => ({
    calls,
    sigma: windowOf(sigma, i * FLOATS, [calls]),
    u: windowOf(keptU, table.keptU.starts[i], [calls, O]),
    v: windowOf(keptV, table.keptV.starts[i], [calls, M]),
  }));
}

/** Spectra of layers whose rows are whole vec4s: three launches a call for all that share their buffers. */
export function batched(layers: readonly SpectralLayer[], updates: Updates): Spectrum[] {
  return batchesOf(layers).flatMap((batch) => spectraOf(batch, updates));
}
