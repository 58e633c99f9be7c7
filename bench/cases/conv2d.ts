import {
  allocate,
  type ConvOptions,
  chooseConv,
  conv2d,
  convSizes,
  type Device,
  show,
  type Tensor,
  variantName,
  vjp,
  withRecorder,
} from '../../engine/index.ts';
import { values } from '../../test/cases/types.ts';
import { type OpWork, prepareOp } from '../prepare.ts';
import { checkConv } from '../reference.ts';
import type { BenchCase } from '../types.ts';

/** A convolution of the networks at a side of `size` and `ch` base channels. */
interface Layer {
  readonly kind: string;
  readonly side: number;
  readonly ci: number;
  readonly co: number;
  readonly k: number;
  readonly options: ConvOptions;
}

/** Every kind of convolution of U-GAT-IT's networks; the discriminators' trunk as deep as `size` allows. */
function layers(size: number, ch: number): Layer[] {
  const pad3 = { pad: 1 };
  const down = { pad: 1, stride: 2 };
  const up = { pad: 1, upsample: 2 } as const;
  const layer = (kind: string, side: number, ci: number, co: number, k: number, options: ConvOptions) => ({
    ...{ kind, side, ci, co, k, options },
  });
  const c = 4 * ch;
  const depth = Math.min(5, Math.floor(Math.log2(size)) - 3);
  const trunk = Array.from({ length: depth }, (_, i) =>
    layer('conv4x4s2', size >> i, i === 0 ? 3 : ch << (i - 1), ch << i, 4, down),
  );
  const deep = ch << (depth - 1);
  return [
    layer('conv7x7', size, 3, ch, 7, { pad: 3 }),
    layer('conv3x3s2', size, ch, 2 * ch, 3, down),
    layer('conv3x3s2', size / 2, 2 * ch, c, 3, down),
    layer('conv3x3', size / 4, c, c, 3, pad3),
    layer('up2conv3x3', size / 4, c, 2 * ch, 3, up),
    layer('up2conv3x3', size / 2, 2 * ch, ch, 3, up),
    layer('conv7x7', size, ch, 3, 7, { pad: 3 }),
    layer('conv1x1', size / 4, c, c, 1, {}),
    ...trunk,
    layer('conv4x4s1', size >> depth, deep, 2 * deep, 4, pad3),
    layer('conv4x4s1', (size >> depth) - 1, 2 * deep, 1, 4, pad3),
    layer('conv1x1', (size >> depth) - 1, 2 * deep, 2 * deep, 1, {}),
  ];
}

/** What is differentiated in each pass; `training` is forward and both gradients, as in a step. */
const PASSES = { forward: [], backwardInput: ['x'], backwardWeight: ['w'], training: ['x', 'w'] } as const;

/** Variants of conv2d to time beside the chosen one. */
const VARIANTS = [
  ...['columns', 'taps', 'winograd/textures', 'winograd/tiles/small', 'winograd/tiles/large'],
  ...['gather/textures', 'gather/tiles', 'gather/tiles/small', 'gather/tiles/large'],
  ...[
    'gather/tiles/f16/small',
    'gather/tiles/f16/large',
    'gather/tiles/matrix/small',
    'gather/tiles/matrix/large',
  ],
];

function caseOf(layer: Layer, pass: keyof typeof PASSES): BenchCase {
  const { kind, side, ci, co, k, options } = layer;
  const x = [1, side, side, ci];
  const w = [co, k, k, ci];
  const sizes = convSizes(x, w, null, options);
  const { OH, OW } = sizes;
  const grads = PASSES[pass];
  const run = (t: Parameters<OpWork['run']>[0]) => [conv2d(t.x, t.w, null, options)];
  const own = pass === 'training' ? (['forward', 'backwardInput', 'backwardWeight'] as const) : [pass];
  /** What conv2d chooses, here or where `forced` is asked for. */
  const chosen = (device: Device, forced?: string) => {
    const asked = forced ? { ...device, variants: { conv2d: forced } } : device;
    const { result } = withRecorder(asked, () =>
      own.map((one) => variantName(chooseConv(asked, sizes, one))),
    );
    return [...new Set(result)].join(' + ');
  };
  return {
    name: `${kind}_${ci}to${co}_${side}`,
    op: 'conv2d',
    pass,
    shape: `${show(x)} * ${show(w)} = ${show([1, OH, OW, co])}`,
    flops: 2 * OH * OW * co * k * k * ci * (pass === 'training' ? 3 : 1),
    bound: 'arithmetic',
    chosen: (device) => chosen(device),
    others: (device) => {
      const taken = chosen(device);
      const exact = (name: string) => !/f16|matrix/.test(name) || device.precision === 'mixed';
      const fitting = VARIANTS.filter(
        (name) => name !== taken && exact(name) && chosen(device, name) === name,
      );
      return Object.fromEntries(fitting.map((name) => [name, { conv2d: name }]));
    },
    // The three passes one by one say it already, and on a processor these take seconds each.
    naive: pass === 'training' ? undefined : { conv2d: 'naive' },
    onPaper(paper) {
      const t: Record<string, Tensor> = { x: allocate(paper, x, 'x'), w: allocate(paper, w, 'w') };
      withRecorder(paper, () => {
        const ys = run(t);
        if (grads.length === 0) return;
        const dy = allocate(paper, ys[0].shape, 'dy');
        vjp(
          ys,
          [dy],
          grads.map((name) => t[name]),
        );
      });
    },
    open() {
      const inputs = { x: values(x, 1), w: values(w, 2, 1 / Math.sqrt(k * k * ci)) };
      const check = checkConv(inputs, options, grads);
      const timed = pass === 'forward' || pass === 'training' ? pass : 'gradients';
      return (device) => prepareOp(device, { inputs, run, grads, timed }, check);
    },
  };
}

/** All convolutions in all passes. */
export function convCases(size: number, ch: number): BenchCase[] {
  const passes = Object.keys(PASSES) as (keyof typeof PASSES)[];
  return layers(size, ch).flatMap((layer) => passes.map((pass) => caseOf(layer, pass)));
}
