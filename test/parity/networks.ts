import type { Device } from '../../engine/device/device.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import { release, type Tensor } from '../../engine/record/tensor.ts';
import { dispose, record, run } from '../../engine/run/program.ts';
import { read, tensorFrom } from '../../engine/run/transfer.ts';
import { allocateEnsemble, type Ensemble, freeEnsemble } from '../../model/ensemble.ts';
import { toAuthors } from '../../model/layout.ts';
import { getTensor, setTensor } from '../../model/parameters.ts';
import { type Scope, scopeOf } from '../../model/scope.ts';
import type { ParameterSpec } from '../../model/spec.ts';
import { discriminator, discriminatorSpecs, generator, generatorSpecs } from '../../model/ugatit/networks.ts';
import { type Golden, maxError, nhwc, openGolden, toNhwc } from './golden.ts';

/** Error of one tensor, ours and PyTorch float32's, against float64 (max |difference| / max |value|). */
export interface TensorError {
  readonly name: string;
  readonly ours: number;
  readonly torch: number | null;
}

interface NetConfig {
  kind: 'light' | 'full' | 'dis';
  ch: number;
  n_res?: number;
  n_layers?: number;
  h: number;
  w: number;
}

const OUTPUTS = ['out', 'cam_logit', 'heatmap'] as const;

function specsOf(config: NetConfig, maxBinding: number): ParameterSpec[] {
  if (config.kind === 'dis')
    return discriminatorSpecs({ ch: config.ch, layers: config.n_layers! }, maxBinding);
  const { ch, n_res: nRes = 0, h: size } = config;
  return generatorSpecs({ light: config.kind === 'light', ch, nRes, size }, maxBinding);
}

function build(config: NetConfig, p: Scope, x: Tensor): Tensor[] {
  if (config.kind === 'dis') {
    const dis = { ch: config.ch, layers: config.n_layers! };
    const { logit, camLogit, heatmap } = discriminator(p, dis, x, { calls: 1, update: true });
    return [logit, camLogit, heatmap];
  }
  const { ch, n_res: nRes = 0, h: size } = config;
  const { image, camLogit, heatmap } = generator(p, { light: config.kind === 'light', ch, nRes, size }, x);
  return [image, camLogit, heatmap];
}

const isMap = (shape: readonly number[]) => shape.length === 4;

function uploadLike(device: Device, golden: Golden, name: string): Tensor {
  const shape = golden.shape(name);
  const values = golden.f32(name);
  return isMap(shape)
    ? tensorFrom(device, toNhwc(values, shape), nhwc(shape), name)
    : tensorFrom(device, values, shape, name);
}

function loadParameters(device: Device, ensemble: Ensemble, golden: Golden): void {
  for (const group of [ensemble.parameters, ensemble.u, ensemble.v]) {
    for (const spec of group.specs) {
      setTensor(device, group, spec, golden.f32(`param.${spec.name.slice('net.'.length)}`));
    }
  }
}

/** PyTorch float32's error, from its recorded tensor or from the table of distances. */
function torchError(f64: Golden, f32: Golden, name: string): number | null {
  if (f32.has(name)) return maxError(f32.f64(name), f64.f64(name));
  const names = f32.metadata.names as { results?: string[] } | undefined;
  const row = names?.results?.indexOf(name) ?? -1;
  if (row < 0) return null;
  const [distance, largest] = f32.f64('results.noise').subarray(2 * row);
  return distance / (largest || 1);
}

/** Runs one recorded network forward and backward; the error of every output, gradient and buffer. */
export async function networkErrors(device: Device, path: string): Promise<TensorError[]> {
  const golden = openGolden(path);
  const f32 = openGolden(path.replace('.f64.', '.f32.'));
  const config = golden.metadata.config as NetConfig;
  const specs = specsOf(config, device.maxBinding);
  const ensemble = allocateEnsemble(device, new Map([['net', specs]]), 'net', false);
  loadParameters(device, ensemble, golden);
  const x = uploadLike(device, golden, 'input');
  const cotangents = OUTPUTS.map((name) => uploadLike(device, golden, `cot.${name}`));
  const { parameters } = ensemble;
  const blocks = parameters.specs.flatMap((spec) => parameters.tensors.get(spec.name)!);
  const program = await record(device, () => {
    const ys = build(config, scopeOf(ensemble, 'net'), x);
    const grads = vjp(ys, cotangents, [x, ...blocks]);
    const named = grads.map((g, i) => [`grad${i}`, g] as const);
    return Object.fromEntries([...OUTPUTS.map((name, i) => [name, ys[i]] as const), ...named]);
  });
  run(program);
  const errors: TensorError[] = [];
  const compare = (name: string, ours: Float32Array, ref: Float64Array) => {
    errors.push({ name, ours: maxError(ours, ref), torch: torchError(golden, f32, name) });
  };
  const asMap = (name: string) => {
    const shape = golden.shape(name);
    return isMap(shape) ? toNhwc(golden.f64(name), shape) : golden.f64(name);
  };
  for (const name of OUTPUTS) {
    compare(`fwd.${name}`, await read(device, program.outputs[name]), asMap(`fwd.${name}`));
  }
  compare('grad.input', await read(device, program.outputs.grad0), asMap('grad.input'));
  let at = 1;
  for (const spec of parameters.specs) {
    const parts: number[] = [];
    for (const _ of parameters.tensors.get(spec.name)!) {
      parts.push(...(await read(device, program.outputs[`grad${at++}`])));
    }
    const name = `grad.${spec.name.slice('net.'.length)}`;
    compare(name, toAuthors(spec, Float32Array.from(parts)), golden.f64(name));
  }
  for (const group of [ensemble.u, ensemble.v]) {
    for (const spec of group.specs) {
      const name = `buffer_after.${spec.name.slice('net.'.length)}`;
      compare(name, await getTensor(device, group, spec), golden.f64(name));
    }
  }
  dispose(program);
  for (const tensor of [x, ...cotangents]) release(device, tensor);
  freeEnsemble(device, ensemble);
  return errors;
}
