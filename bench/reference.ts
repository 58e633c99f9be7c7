import { type ConvOptions, convSizes } from '../engine/index.ts';
import { type HostArray, type HostArrays, type OpCase, uniform } from '../test/cases/types.ts';
import { relativeError, type Values } from './prepare.ts';
import type { Check } from './types.ts';

/** Elements of a big result that are computed again in float64. */
const SAMPLES = 64;

/** Relative error a sampled or projected result may have: sums of up to 65536 terms in float32. */
const TOLERANCE = 2e-5;

/** One axis of a convolution: which outputs and taps read a pixel, reflection and upsampling included. */
interface Axis {
  readonly source: (out: number, tap: number) => number;
  readonly readers: readonly (readonly (readonly [out: number, tap: number])[])[];
}

function axisOf(size: number, out: number, k: number, options: ConvOptions): Axis {
  const { stride = 1, pad = 0, upsample = 1 } = options;
  const source = (o: number, tap: number) => {
    const at = Math.abs(o * stride + tap - pad);
    const full = size * upsample;
    return Math.floor((at >= full ? 2 * (full - 1) - at : at) / upsample);
  };
  const readers: [number, number][][] = Array.from({ length: size }, () => []);
  for (let o = 0; o < out; o++) for (let tap = 0; tap < k; tap++) readers[source(o, tap)].push([o, tap]);
  return { source, readers };
}

/** Elements of a convolution and of its gradients in float64, one at a time, from the definition. */
class ConvElements {
  private readonly s;
  private readonly rows: Axis;
  private readonly columns: Axis;

  constructor(
    private readonly x: HostArray,
    private readonly w: HostArray,
    options: ConvOptions,
  ) {
    this.s = convSizes(x.shape, w.shape, null, options);
    this.rows = axisOf(this.s.H, this.s.OH, this.s.K, options);
    this.columns = axisOf(this.s.W, this.s.OW, this.s.K, options);
  }

  private xAt(n: number, oy: number, ky: number, ox: number, kx: number): number {
    const { H, W, CI } = this.s;
    return ((n * H + this.rows.source(oy, ky)) * W + this.columns.source(ox, kx)) * CI;
  }

  forward(at: number): number {
    const { OH, OW, CO, K, CI } = this.s;
    const co = at % CO;
    const ox = Math.floor(at / CO) % OW;
    const oy = Math.floor(at / CO / OW) % OH;
    const n = Math.floor(at / CO / OW / OH);
    let sum = 0;
    for (let ky = 0; ky < K; ky++) {
      for (let kx = 0; kx < K; kx++) {
        const from = this.xAt(n, oy, ky, ox, kx);
        const weight = ((co * K + ky) * K + kx) * CI;
        for (let c = 0; c < CI; c++) sum += this.x.data[from + c] * this.w.data[weight + c];
      }
    }
    return sum;
  }

  backwardInput(dy: Float64Array, at: number): number {
    const { H, W, CI, OH, OW, CO, K } = this.s;
    const ci = at % CI;
    const ix = Math.floor(at / CI) % W;
    const iy = Math.floor(at / CI / W) % H;
    const n = Math.floor(at / CI / W / H);
    let sum = 0;
    for (const [oy, ky] of this.rows.readers[iy]) {
      for (const [ox, kx] of this.columns.readers[ix]) {
        const from = ((n * OH + oy) * OW + ox) * CO;
        for (let co = 0; co < CO; co++) {
          sum += dy[from + co] * this.w.data[((co * K + ky) * K + kx) * CI + ci];
        }
      }
    }
    return sum;
  }

  backwardWeight(dy: Float64Array, at: number): number {
    const { N, CI, OH, OW, CO, K } = this.s;
    const ci = at % CI;
    const kx = Math.floor(at / CI) % K;
    const ky = Math.floor(at / CI / K) % K;
    const co = Math.floor(at / CI / K / K);
    let sum = 0;
    for (let n = 0; n < N; n++) {
      for (let oy = 0; oy < OH; oy++) {
        for (let ox = 0; ox < OW; ox++) {
          sum += dy[((n * OH + oy) * OW + ox) * CO + co] * this.x.data[this.xAt(n, oy, ky, ox, kx) + ci];
        }
      }
    }
    return sum;
  }
}

/** Compares random elements of a result with float64. */
function sampled(out: Float32Array, element: (at: number) => number): { out: number[]; ref: number[] } {
  const next = uniform(31);
  const places = Array.from({ length: Math.min(SAMPLES, out.length) }, () => Math.floor(next() * out.length));
  return { out: places.map((at) => out[at]), ref: places.map(element) };
}

/** Checks y, or the gradients named, of a convolution at random places. */
export function checkConv(
  inputs: HostArrays,
  options: ConvOptions,
  grads: readonly string[],
): (v: Values) => Check {
  const elements = new ConvElements(inputs.x, inputs.w, options);
  return ({ outputs, grads: found, seeds }) => {
    const pairs = outputs.map((y) => sampled(y, (at) => elements.forward(at)));
    grads.forEach((name, i) => {
      const rule = name === 'x' ? 'backwardInput' : 'backwardWeight';
      pairs.push(sampled(found[i], (at) => elements[rule](seeds[0], at)));
    });
    const error = Math.max(...pairs.map(({ out, ref }) => relativeError(out, ref)));
    return { error, tolerance: TOLERANCE, note: `${SAMPLES} elements` };
  };
}

/** Step of the central difference: so small that kinks of ReLU are hardly ever crossed. */
const STEP = 1e-7;

/** d sum(y dy) along a random direction of one input, from the float64 reference. */
function directional(c: Pick<OpCase, 'reference'>, inputs: HostArrays, name: string, seeds: Float64Array[]) {
  const next = uniform(77);
  const direction = inputs[name].data.map(() => next() * 2 - 1);
  const at = (h: number) => {
    const data = inputs[name].data.map((value, i) => value + h * direction[i]);
    const ys = c.reference({ ...inputs, [name]: { ...inputs[name], data } });
    return ys.map((y) => y.data);
  };
  const plus = at(STEP);
  const minus = at(-STEP);
  let slope = 0;
  plus.forEach((y, k) => {
    y.forEach((value, i) => {
      slope += ((value - minus[k][i]) / (2 * STEP)) * seeds[k][i];
    });
  });
  return { direction, slope };
}

/**
 * Checks all outputs against the float64 reference, and each gradient along one random direction: a wrong
 * element shows there with its full size.
 */
export function checkOp(
  c: Pick<OpCase, 'reference'>,
  inputs: HostArrays,
  grads: readonly string[],
): (v: Values) => Check {
  let reference: HostArray[] | null = null;
  const known = new Map<string, ReturnType<typeof directional>>();
  return ({ outputs, grads: found, seeds }) => {
    if (grads.length === 0) {
      reference ??= c.reference(inputs);
      const errors = outputs.map((y, i) => relativeError(y, reference![i].data));
      return { error: Math.max(...errors), tolerance: TOLERANCE };
    }
    const errors = grads.map((name, i) => {
      if (!known.has(name)) known.set(name, directional(c, inputs, name, seeds));
      const { direction, slope } = known.get(name)!;
      const g = found[i];
      const dot = direction.reduce((sum, d, k) => sum + d * g[k], 0);
      return Math.abs(dot - slope) / (Math.sqrt(g.reduce((sum, v) => sum + v * v, 0)) || 1);
    });
    return { error: Math.max(...errors), tolerance: 5e-4, note: 'along a random direction' };
  };
}
