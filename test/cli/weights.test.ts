import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSafetensors, serializeSafetensors } from '../../train/formats/safetensors.ts';
import { drawPictures } from '../train/pictures.ts';
import { inPairs, run } from './process.ts';

const SIX = fileURLToPath(new URL('../formats/fixtures/six.safetensors', import.meta.url));

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-cli-weights-'));
  await drawPictures(join(root, 'drawn'), { train: 1, test: 1, size: 40 });
});
afterAll(() => rm(root, { recursive: true, force: true }));

test('translate takes the newest checkpoint of a run, and warns of what it leaves out', async () => {
  const { tensors } = parseSafetensors(new Uint8Array(await readFile(SIX)));
  const counter = { dtype: 'F64' as const, shape: [1], data: new Float64Array(1) };
  const counted = new Map([...tensors, ['genA2B.total_ops', counter] as const]);
  const checkpoints = join(root, 'run', 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  const newest = join(checkpoints, 'step_0000012.safetensors');
  await writeFile(newest, serializeSafetensors(counted));
  await writeFile(join(checkpoints, 'step_0000007.safetensors'), 'an older one');
  const input = join(root, 'drawn', 'trainA', 'cat-0000.png');
  const translate = (weights: string, output: string) =>
    run('translate', '--weights', weights, '--input', input, '--output', join(root, output), '--size', '32');
  const [plain, folder] = await inPairs([() => translate(SIX, 'a'), () => translate(join(root, 'run'), 'b')]);
  expect([plain.code, folder.code]).toEqual([0, 0]);
  expect(plain.err).not.toMatch(/taken|warning/);
  expect(folder.err).toContain(`${newest} is taken, the newest checkpoint in ${join(root, 'run')}\n`);
  expect(folder.err).toContain(`warning: ${newest}: the model has no place for genA2B.total_ops, left out\n`);
  const pictures = await Promise.all(['a', 'b'].map((name) => readFile(join(root, name, 'cat-0000.png'))));
  expect(pictures[0].equals(pictures[1])).toBe(true);
});
