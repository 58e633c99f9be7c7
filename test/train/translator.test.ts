import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createModel, freeModel } from '../../model/model.ts';
import { ugatit } from '../../model/ugatit/ugatit.ts';
import { writeSampleGrid } from '../../train/samples.ts';
import { openTranslator } from '../../train/translate.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';

const gpu = useDevice();
const WEIGHTS = fileURLToPath(new URL('../formats/fixtures/six.safetensors', import.meta.url));

let root: string;
beforeAll(async () => {
  // What the engine keeps for all programs (constants) is there from the first on.
  (await openTranslator(gpu.device, WEIGHTS, 'AtoB', 32)).close();
  root = await mkdtemp(join(tmpdir(), 'adawn-translator-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const live = () => gpu.device.pool.memory().live;

test('a translator that is closed gives its memory back', async () => {
  const before = live();
  const translator = await openTranslator(gpu.device, WEIGHTS, 'AtoB', 32);
  expect(live()).toBeGreaterThan(before);
  translator.close();
  expect(live()).toBe(before);
});

test('and so does one that cannot be opened, for its file', async () => {
  const before = live();
  const bytes = await readFile(WEIGHTS);
  const at = bytes.indexOf('genA2B.UpBlock2'); // in the header, which says what there is
  bytes.write('genA2B.UpBlockX', at);
  const path = join(root, 'other.safetensors');
  await writeFile(path, bytes);
  await expect(openTranslator(gpu.device, path, 'AtoB', 32)).rejects.toThrow('does not fit the model');
  expect(live()).toBe(before);
});

/** Runs what compiles kernels, none of which the GPU takes. */
async function withoutKernels(work: () => Promise<unknown>): Promise<void> {
  gpu.device.pipelines.clear();
  const refuse = vi.spyOn(gpu.device.gpu, 'createComputePipelineAsync');
  refuse.mockRejectedValue(new Error('no kernels today'));
  try {
    await expect(work()).rejects.toThrow('no kernels today');
  } finally {
    refuse.mockRestore();
    gpu.device.pipelines.clear();
  }
}

test('or for its program, whose kernels are refused', async () => {
  const before = live();
  await withoutKernels(() => openTranslator(gpu.device, WEIGHTS, 'AtoB', 32));
  expect(live()).toBe(before);
});

test('so does a grid of samples', async () => {
  const model = createModel(gpu.device, ugatit, TINY);
  const { signal } = new AbortController();
  const write = () =>
    writeSampleGrid(model, ugatit.ways.A2B, { a: [], b: [] }, join(root, 'grid.png'), signal);
  await withoutKernels(write); // constants stay
  const before = live();
  await withoutKernels(write);
  expect(live()).toBe(before);
  freeModel(model);
});
