import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Device, scoped } from '../../engine/device/device.ts';
import { release } from '../../engine/record/tensor.ts';
import { evaluate, tensorFrom } from '../../engine/run/transfer.ts';
import { cases as linear } from '../cases/linear.ts';
import { large as norm } from '../cases/norm.ts';
import { type OpCase, values } from '../cases/types.ts';
import { useDevice } from '../device.ts';
import { difference, resultsOf } from './results.ts';

const plain = useDevice();
const trusted = useDevice({ trusted: true, mixed: true, toggles: ['skip_validation'] });

/** What invocations find that read beyond an array in workgroup memory. */
async function foundBeyond({ gpu }: Device): Promise<number[]> {
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = GPUBufferUsage;
  const code = readFileSync(new URL('beyond.wgsl', import.meta.url), 'utf8');
  const module = gpu.createShaderModule({ code });
  const pipeline = gpu.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const at = gpu.createBuffer({ size: 16, usage: STORAGE | COPY_DST });
  gpu.queue.writeBuffer(at, 0, Uint32Array.of(2, 0, 0, 0));
  const y = gpu.createBuffer({ size: 32, usage: STORAGE | COPY_SRC });
  const onHost = gpu.createBuffer({ size: 32, usage: MAP_READ | COPY_DST });
  const entries = [at, y].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const group = gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(y, 0, onHost, 0, 32);
  gpu.queue.submit([encoder.finish()]);
  await onHost.mapAsync(MAP_READ);
  const found = [...new Uint32Array(onHost.getMappedRange())];
  for (const buffer of [at, y, onHost]) buffer.destroy();
  return found;
}

test('Dawn keeps indices within bounds, but not those of a device that is trusted', async () => {
  const within = Array.from({ length: 8 }, () => 77);
  expect(await foundBeyond(plain.device)).toEqual(within);
  expect(await foundBeyond(trusted.device)).not.toEqual(within);
});

test('toggles reach Dawn beside those of a trusted device, and of mixed precision', async () => {
  // One more than WebGPU allows in a set.
  const more = ({ gpu }: Device) => gpu.createQuerySet({ type: 'occlusion', count: 4097 });
  const refused = async (device: Device) =>
    (await scoped(device, 'validation', () => more(device))).error !== null;
  expect(await refused(plain.device)).toBe(true);
  expect(await refused(trusted.device)).toBe(false);
});

/** Outputs and gradients as on a GPU, whose kernels share workgroup memory. */
async function compute(device: Device, c: OpCase) {
  const { isCpu } = device;
  Object.assign(device, { isCpu: false });
  const upload = (name: string, { data, shape }: ReturnType<typeof values>) =>
    tensorFrom(device, Float32Array.from(data), shape, name);
  const inputs = Object.fromEntries(Object.entries(c.inputs).map(([name, v]) => [name, upload(name, v)]));
  const seeds = c.reference(c.inputs).map(({ shape }, i) => upload(`dy${i}`, values(shape, 900 + i)));
  try {
    return await evaluate(device, () => resultsOf(c, inputs, seeds));
  } finally {
    Object.assign(device, { isCpu });
    for (const tensor of [...Object.values(inputs), ...seeds]) release(device, tensor);
  }
}

test('kernels that meet in workgroup memory need neither bounds nor zeros', async () => {
  for (const c of [linear[0], norm[0]]) {
    const [expected, found] = [await compute(plain.device, c), await compute(trusted.device, c)];
    for (const name of Object.keys(expected)) {
      expect(difference(expected[name], found[name]), `${c.name}: ${name}`).toBeLessThan(1e-6);
    }
  }
});
