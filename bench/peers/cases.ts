import type { ParameterSpec } from '../../model/spec.ts';
import { generatorSpecs } from '../../model/ugatit/networks.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';
import { values } from '../../test/cases/types.ts';
import type { HostTensor, HostTensors, Task } from './protocol.ts';

/** One thing that every framework computes. */
export interface PeerCase {
  readonly name: string;
  readonly pass: 'forward' | 'training' | 'iteration';
  readonly shape: string;
  readonly task: Task;
  /** Of the definition, a multiply-add is two; null where traffic is all. */
  readonly flops: number | null;
  /** Largest ‖ours − theirs‖ / ‖theirs‖ of any result for which a time counts. */
  readonly tolerance: number;
  inputs(): HostTensors;
}

/** The networks: light, small enough that a processor needs seconds at most. */
export const NETWORKS: UgatitConfig = { ...DEFAULTS, size: 64, ch: 16, nRes: 4, disLayers: [5, 4] };

/** Iterations of a training step whose losses are compared. */
export const COMPARED = 2;

const NONE = { pad: 0, stride: 1, ch: 0, nRes: 0, disLayers: [0, 0], iterations: 0 } as const;

function random(shape: readonly number[], seed: number, scale = 1): HostTensor {
  return { shape, data: Float32Array.from(values(shape, seed, scale).data) };
}

/** Channels of different mean and spread: on even ones instance and layer norm agree. */
function uneven(shape: readonly number[], seed: number): HostTensor {
  const { data } = random(shape, seed);
  const [, c, h, w] = shape;
  const channel = (i: number) => Math.floor(i / (h * w)) % c;
  return {
    shape,
    data: data.map((v, i) => v * (0.5 + channel(i) / c) + ((channel(i) % 7) - 3) * 0.3),
  };
}

/** Forward alone, and forward with all gradients. */
function both(layer: Omit<PeerCase, 'pass' | 'task'> & { task: Omit<Task, 'backward'> }): PeerCase[] {
  const { task, flops } = layer;
  return [
    {
      ...layer,
      pass: 'forward',
      task: { ...task, backward: false },
      inputs() {
        const { dy: _, ...inputs } = layer.inputs();
        return inputs;
      },
    },
    {
      ...layer,
      pass: 'training',
      task: { ...task, backward: true },
      flops: flops === null ? null : 3 * flops,
    },
  ];
}

interface Conv {
  readonly side: number;
  readonly ci: number;
  readonly co: number;
  readonly k: number;
  readonly pad: number;
  readonly stride?: number;
}

function conv({ side, ci, co, k, pad, stride = 1 }: Conv): PeerCase[] {
  const out = Math.floor((side + 2 * pad - k) / stride) + 1;
  return both({
    name: `conv${k}x${k}${stride > 1 ? `s${stride}` : ''}_${ci}to${co}_${side}`,
    shape: `[1,${ci},${side},${side}] * [${co},${ci},${k},${k}], reflected by ${pad}`,
    task: { ...NONE, kind: 'conv', pad, stride },
    flops: 2 * out * out * co * ci * k * k,
    tolerance: 1e-4,
    inputs: () => ({
      x: random([1, ci, side, side], 1),
      w: random([co, ci, k, k], 2, 1 / Math.sqrt(k * k * ci)),
      dy: random([1, co, out, out], 3),
    }),
  });
}

function norm(kind: 'instance' | 'adailn', c: number, side: number): PeerCase[] {
  const weights = () => ({
    rho: { shape: [c], data: random([c], 2).data.map((v) => Math.abs(v) % 1) },
    gamma: random([1, c], 3),
    beta: random([1, c], 4),
  });
  return both({
    name: `${kind}_${c}_${side}`,
    shape: `[1,${c},${side},${side}]`,
    task: { ...NONE, kind },
    flops: null,
    tolerance: 1e-3,
    inputs: () => ({
      x: uneven([1, c, side, side], 1),
      ...(kind === 'adailn' ? weights() : {}),
      dy: random([1, c, side, side], 5),
    }),
  });
}

/** Like PyTorch's constructors: uniform weights, rho 0.9 or 0, unit vectors for the spectral norm. */
function parameter({ authorsShape: shape, init }: ParameterSpec, seed: number): HostTensor {
  const x = random(shape, seed);
  const length = Math.sqrt(x.data.reduce((sum, v) => sum + v * v, 0));
  if (init.kind === 'constant') return { shape, data: x.data.fill(init.value) };
  const scale = init.kind === 'unit' ? 1 / length : init.value / 2;
  return { shape, data: x.data.map((v) => v * scale) };
}

const parameters = (specs: readonly ParameterSpec[], seed: number, prefix = ''): HostTensors =>
  Object.fromEntries(specs.map((spec, i) => [`${prefix}${spec.name}`, parameter(spec, seed + i)]));

const picture = (size: number, seed: number) => {
  const { shape, data } = random([1, 3, size, size], seed, 0.4);
  return { shape, data: data.map((v) => Math.min(Math.max(v, -1), 1)) };
};

function generatorCase(): PeerCase {
  const { size, ch, nRes } = NETWORKS;
  return {
    name: `generator_light_${size}_ch${ch}`,
    pass: 'forward',
    shape: `light ${size}x${size}, ch ${ch}, n_res ${nRes}, batch 1`,
    task: { ...NONE, kind: 'generator', backward: false, ch, nRes },
    flops: null,
    tolerance: 1e-3,
    inputs: () => ({
      x: picture(size, 1),
      ...parameters(generatorSpecs(NETWORKS, Number.POSITIVE_INFINITY), 100),
    }),
  };
}

function stepCase(): PeerCase {
  const { size, ch, nRes, disLayers } = NETWORKS;
  return {
    name: `step_light_${size}_ch${ch}`,
    pass: 'iteration',
    shape: `light ${size}x${size}, ch ${ch}, n_res ${nRes}, D ${disLayers.join(',')}, batch 1`,
    task: { ...NONE, kind: 'step', backward: true, ch, nRes, disLayers, iterations: COMPARED },
    flops: null,
    tolerance: 1e-2,
    inputs() {
      const networks = ugatit.networks(NETWORKS);
      const nets = Object.keys(networks).map((name, i) =>
        parameters(networks[name].specs(Number.POSITIVE_INFINITY), 1000 * (i + 1), `${name}.`),
      );
      return Object.assign({ a: picture(size, 1), b: picture(size, 2) }, ...nets);
    },
  };
}

/** Everything there is to compare. */
export function peerCases(): PeerCase[] {
  return [
    ...conv({ side: 16, ci: 256, co: 256, k: 3, pad: 1 }),
    ...conv({ side: 64, ci: 256, co: 256, k: 3, pad: 1 }),
    ...conv({ side: 64, ci: 3, co: 64, k: 7, pad: 3 }),
    ...conv({ side: 64, ci: 64, co: 3, k: 7, pad: 3 }),
    ...conv({ side: 64, ci: 64, co: 128, k: 4, pad: 1, stride: 2 }),
    ...norm('instance', 256, 64),
    ...norm('adailn', 256, 64),
    generatorCase(),
    stepCase(),
  ];
}
