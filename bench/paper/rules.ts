import type { KernelSpec } from '../../engine/index.ts';
import { tiledRows, tiledWeights, winogradProduct } from './products.ts';
import { bytesIn, type Rule, type Site, shapeOf, tableIn } from './work.ts';

// What each kernel does per launch, as far as its time depends on it (Work in work.ts): one line a kernel, in
// the order of the folders of kernels/. `k` holds the constants of the kernel's text, computed ones too. A
// kernel without a line is reported. Grids, workgroups and workgroup memory are read off launch and text.

type Constants = Site['values'];

/** Loads and stores once what it binds, at once. */
const once: Rule = () => ({});

/** Walks in a loop of so many turns. */
const loop =
  (turns: (k: Constants, site: Site) => number): Rule =>
  (site) => ({ turns: turns(site.values, site) });

/** Leaves a binding alone that is bound for its place only. */
const idle =
  (binding: number, when: (k: Constants) => boolean): Rule =>
  (site) =>
    when(site.values) ? { touches: { [binding]: 0 } } : {};

/** Reads what it writes. */
const inPlace =
  (...bindings: number[]): Rule =>
  () => ({ inPlace: bindings });

/** Both of some rules. */
const both =
  (...rules: Rule[]): Rule =>
  (site) =>
    Object.assign({}, ...rules.map((rule) => rule(site)));

/** So many operations, all of use. */
const sums =
  (flops: (k: Constants, site: Site) => number): Rule =>
  (site) => {
    const count = flops(site.values, site);
    return { flops: count, useful: count };
  };

/** Turns of invocations that take every WG-th of some things. */
const dealt = (count: number, k: Constants) => Math.ceil(count / k.WG);

/** Numbers in workgroup memory added one by one, in waits: sixteen take as long as a load from the cache. */
const added = (count: number) => count / 16;

/** The same of kernels/lib/team.wgsl: a number and a meeting for each halving of a team. */
const team = ({ TEAM }: Constants) => (TEAM > 1 ? 1 + added(2 * Math.ceil(Math.log2(TEAM))) : 0);

/** Rounds of a workgroup that shares the parts of each of G groups among TEAM invocations. */
const shared = (k: Constants) => Math.ceil(k.G / k.APART);

/** The same of kernels/lib/total.wgsl: an eighth of the workgroup's values, a meeting, and eight. */
const total = ({ WG }: Constants) => 1 + added(WG / 8 + 8);

/** Rows and quads of the largest layer of kernels/lib/spectralLayers.wgsl, nine numbers a layer. */
function largestLayer(site: Site): { rows: number; quads: number } {
  const table = Array.from(tableIn(site, 0));
  const most = (field: number) => Math.max(...table.filter((_, i) => i % 9 === field));
  return { rows: most(1), quads: most(2) };
}

const power = sums((_, site) => bytesIn(site, 1) / 2);

/** One invocation adds what every other of its workgroup leaves. */
const meeting: Rule = ({ values: k }) => ({ waits: 2 + added(k.WG) });

/** Transforms of the Winograd convolution: six loads under way together, a meeting, stores. */
const transform: Rule = () => ({ waits: 2 });

export const RULES: Readonly<Record<string, Rule>> = {
  'activation/main': once,
  'adam/main': both(
    inPlace(0, 2, 3),
    loop((k) => k.PER),
  ),
  'adam/clamp': inPlace(0),
  'add/main': once,
  'add/into': inPlace(1),
  'cam/addSlices': loop((k) => k.SLICES),
  'cam/heat:forward': loop((k) => k.C),
  'cam/heat:backward': once,
  'cam/pool': loop((k) => k.PER),
  'cam/poolBackward': loop((k) => k.PER),
  'cam/poolJoin': loop((k) => k.SLICES),
  'cam/scale': once,
  'cam/scaleBackward': loop((k) => k.PER),
  'cam/weight': loop((k) => k.PER),
  'cam/weightBackward': loop((k) => k.PER),
  'camLogits/backwardInput': once,
  'camLogits/backwardSpectral': loop((k) => k.N),
  'camLogits/backwardWeight': loop((k) => k.N),
  // One invocation adds what the others leave.
  'camLogits/forward': both(
    loop((k) => dealt(k.C, k)),
    meeting,
  ),
  // Of the wider of both only its part.
  'concat/main': ({ values: k }) => ({ touches: { 0: 4 * k.ROWS * k.COUNT, 1: 4 * k.ROWS * k.COUNT } }),
  'conv2d/addOuter': both(
    inPlace(3),
    loop((k) => k.CALLS),
  ),
  'conv2d/backwardEpilogue': both(
    loop((k) => k.PER),
    idle(5, (k) => !k.SUMS),
    ({ values: k }) => ({ waits: 1 + team(k) }),
  ),
  'conv2d/columns:main': once,
  'conv2d/columns:backward': loop((k) => (k.K / k.S) ** 2),
  'conv2d/divideSamples': once,
  'conv2d/finishColumns': loop((k) => k.SLICES),
  // One workgroup: an invocation adds its run of slices for the bias, and again for sigma of each call.
  'conv2d/finishEpilogue': ({ values: k }) => {
    const rounds = Math.ceil(k.CV / k.APART);
    return {
      turns: rounds * k.CALLS * k.RUN * (1 + k.BIAS),
      waits: 1 + k.BIAS * rounds * team(k) + k.CALLS * total(k),
    };
  },
  // Next to an edge a pixel's image is added to what it holds by then; in a corner, where few are, three are.
  'conv2d/fold': () => ({ waits: 2 }),
  // A load a tap that sees a pixel; of a stride S only every S-th tap on each axis does.
  'conv2d/gatherTaps:main': loop((k) => k.K ** 2),
  'conv2d/gatherTaps:backward': loop((k) => (k.UP * Math.ceil(k.K / k.S)) ** 2),
  // Of each number of a plane a load as well, mostly of what a neighbour has loaded.
  'conv2d/spreadTaps:main': both(
    loop((k) => k.K),
    (site) => ({ asked: 2 * bytesIn(site, 1) }),
  ),
  'conv2d/spreadTaps:backward': both(
    loop((k) => k.UP ** 2 * k.K),
    (site) => ({ asked: 2 * bytesIn(site, 1) }),
  ),
  'conv2d/sumTaps': once,
  'conv2d/tiledRows': tiledRows,
  'conv2d/tiledWeights': tiledWeights,
  'conv2d/transpose': once,
  // Splits, and of each the places of an element: the table holds six numbers, then places of K² elements.
  'conv2d/unpackWeights': (site) => {
    const places = (shapeOf(site, 0)[0] - 6) / site.launch.grid[2];
    const turns = shapeOf(site, 1)[0] * places;
    return { turns: turns + site.values.CALLS, asked: (turns + 1) * bytesIn(site, 5) };
  },
  'conv2d/winograd/input': both(transform, (site) => ({
    asked: bytesIn(site, 2) * 2, // 36 pixels of a tile for 36 values
  })),
  'conv2d/winograd/inputBackward': both(transform, inPlace(1)),
  'conv2d/winograd/output': both(
    transform,
    idle(2, (k) => !k.BIAS),
  ),
  'conv2d/winograd/outputBackward': transform,
  // A pixel lies in (6 / 4)² tiles.
  'conv2d/winograd/overlap': loop((k, site) => (2.25 * shapeOf(site, 2)[3]) / 4 / k.SPREAD),
  'conv2d/winograd/productTiled': winogradProduct,
  'conv2d/winograd/weight': transform,
  'conv2d/winograd/weightBackward': both(
    transform,
    loop((_, site) => shapeOf(site, 1)[0] / 36),
  ),
  'fill/main': once,
  'halfScale/main:partial': both(
    loop((k) => k.N / 4 / (k.GROUPS * k.WG)),
    meeting,
  ),
  'halfScale/main:main': both(
    loop((k) => k.N / 4 / (k.GROUPS * k.WG)),
    meeting,
  ),
  'linear/backwardInput': both(
    loop((k) => k.PER),
    sums((k) => 8 * k.N * k.K4 * k.O),
  ),
  'linear/backwardWeight': both(
    loop((k) => k.PER),
    sums((k) => 8 * (k.NB + k.CALLS) * k.K4 * k.O),
  ),
  'linear/finish': loop((k) => k.SLICES),
  // Then some of the invocations add a number of each.
  'linear/forward': both(
    loop((k) => k.STEPS),
    sums((k) => 8 * k.N * k.K4 * k.O),
    meeting,
  ),
  'loss/main:backward': once,
  'loss/main:finish': both(
    loop((k) => dealt(k.PARTS, k)),
    ({ values: k }) => ({ waits: 1 + total(k) }),
  ),
  'loss/main:forward': both(
    loop((k) => dealt(k.PER, k)),
    ({ values: k }) => ({ waits: 1 + total(k) }),
  ),
  'loss/pair:backward': once,
  'loss/pair:forward': both(
    loop((k) => dealt(Math.max(k.COUNT0, k.COUNT1), k)),
    ({ values: k }) => ({ waits: 1 + total(k) }),
  ),
  'norm/apply': loop((k) => k.PER),
  'norm/backwardApply': loop((k) => k.PER),
  // Writes and reads again what it has added; samples one after the other.
  'norm/backwardCoefficients': ({ values: k }) => ({
    turns: k.N * shared(k) * k.RUN,
    waits: k.N * (2 + shared(k) * team(k) + (k.KIND ? total(k) : 0)),
  }),
  'norm/backwardSums': both(
    loop((k) => k.PER),
    ({ values: k }) => ({ waits: 1 + team(k) }),
  ),
  'norm/coefficients': ({ values: k }) => ({
    turns: shared(k) * k.RUN,
    waits: 2 + shared(k) * team(k) + (k.KIND ? 2 * total(k) : 0),
  }),
  'norm/smallInstance': loop((k) => 2 * k.ROWS),
  'norm/smallInstanceBackward': loop((k) => 2 * k.ROWS),
  'norm/smallLayer': both(
    loop((k) => 2 * k.ROWS),
    ({ values: k }) => ({ waits: 1 + 2 * total(k) }),
  ),
  'norm/smallLayerBackward': both(
    loop((k) => 2 * k.N * k.ROWS),
    ({ values: k }) => ({
      waits: k.N * (1 + total(k)),
    }),
  ),
  'norm/statistics': both(
    loop((k) => k.PER),
    ({ values: k }) => ({ waits: 1 + team(k) }),
  ),
  'spectralNorm/columns:join': loop((k, site) => bytesIn(site, 1) / 16 / k.QUADS),
  'spectralNorm/columns:main': both(
    power,
    loop((k) => k.PER),
  ),
  'spectralNorm/finish': (site) => {
    const { rows, quads } = largestLayer(site);
    const k = site.values;
    return { turns: 2 * (dealt(rows, k) + dealt(quads, k)), waits: 2 + 2 * total(k) };
  },
  // Then R of the invocations add a number of each.
  'spectralNorm/rows': both(
    power,
    loop((k, site) => dealt(largestLayer(site).quads, k)),
    meeting,
  ),
  'sumRows/main': both(
    loop((k) => k.PER),
    ({ values: k }) => ({ waits: 1 + team(k) }),
  ),
  'weightedSum/main': once,
};

/** Kernels by tensor cores: nothing is assumed of their rate. */
const isMatrix = ({ constants }: KernelSpec) => constants.CORE === 'tileMatrix';

/** The rule of a kernel's entry point, or of all its entry points. */
export function ruleOf(kernel: KernelSpec): Rule | undefined {
  if (isMatrix(kernel)) return undefined;
  return RULES[`${kernel.name}:${kernel.entry}`] ?? RULES[kernel.name];
}
