import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ensemble, initialise } from '../../model/ensemble.ts';
import { createModel, ensemblesOf, freeModel, type Model } from '../../model/model.ts';
import { allocateGroup, freeGroup, getTensor, readTensor, setTensor } from '../../model/parameters.ts';
import type { ParameterSpec } from '../../model/spec.ts';
import { type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';
import { loadWeights, saveCheckpoint } from '../../train/checkpoint.ts';
import { environmentOf } from '../../train/environment.ts';
import type { HostTensor } from '../../train/formats/hostTensor.ts';
import { parseSafetensors, serializeSafetensors } from '../../train/formats/safetensors.ts';
import { DEFAULT_RUN, type RunConfig } from '../../train/options.ts';
import { runFolder } from '../../train/runFolder.ts';
import { prepareModel } from '../../train/start.ts';
import { weightsFile } from '../../train/weights.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';

const gpu = useDevice();
const CONFIG: RunConfig = { ...DEFAULT_RUN, data: 'toy-cat2dog', model: TINY };

let root: string;
/** A checkpoint of a model from seed 1. */
let checkpoint: string;
let model: Model<UgatitConfig>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-weights-'));
  model = createModel(gpu.device, ugatit, TINY);
  initialise(gpu.device, ensemblesOf(model), 1);
  checkpoint = join(root, 'seed1.safetensors');
  const environment = environmentOf(gpu.device, CONFIG, { trainA: 0, trainB: 0, sha256: '' });
  await saveCheckpoint(checkpoint, model, { step: 0, config: CONFIG, environment });
});
afterAll(async () => {
  freeModel(model);
  await rm(root, { recursive: true, force: true });
});

/** The checkpoint's tensors whose names are like that, in a file of their own. */
async function part(file: string, names: RegExp): Promise<string> {
  const { tensors } = parseSafetensors(new Uint8Array(await readFile(checkpoint)));
  const kept = new Map<string, HostTensor>([...tensors].filter(([name]) => names.test(name)));
  await writeFile(join(root, file), serializeSafetensors(kept));
  return join(root, file);
}

/** The first tensor of an ensemble, and what the checkpoint has under its name. */
async function sample({ parameters }: Ensemble) {
  const spec = parameters.specs.find(({ init }) => init.kind === 'uniform')!;
  const { tensors } = parseSafetensors(new Uint8Array(await readFile(checkpoint)));
  return [await getTensor(gpu.device, parameters, spec), tensors.get(spec.name)!.data];
}

describe('--init', () => {
  /** Starts a run from the file with another seed. */
  async function start(init: string): Promise<string[]> {
    const said: string[] = [];
    const config = { ...CONFIG, seed: 2, init };
    const folder = runFolder(join(root, 'new'));
    expect(await prepareModel(model, config, folder, false, (message) => said.push(message))).toBe(0);
    return said;
  }

  test('all networks, of the newest checkpoint in a folder', async () => {
    const checkpoints = join(root, 'run', 'checkpoints');
    await mkdir(checkpoints, { recursive: true });
    await writeFile(join(checkpoints, 'step_0000009.safetensors'), 'old');
    await writeFile(join(checkpoints, 'step_0000010.safetensors'), await readFile(checkpoint));
    const newest = join(checkpoints, 'step_0000010.safetensors');
    expect(await start(join(root, 'run'))).toEqual([
      `${newest} is taken, the newest checkpoint in ${join(root, 'run')}`,
    ]);
    for (const ensemble of ensemblesOf(model)) {
      const [now, saved] = await sample(ensemble);
      expect(now).toEqual(saved);
    }
  });

  test('the generators alone: the discriminators start from the seed', async () => {
    const file = await part('generators.safetensors', /^gen/);
    expect(await start(file)).toEqual([
      `${file} has the generators alone: disGA, disGB, disLA, disLB start from the seed`,
    ]);
    const [generator, saved] = await sample(model.trained.G.ensemble);
    expect(generator).toEqual(saved);
    const [judge, other] = await sample(model.trained.D.ensemble);
    expect(judge).not.toEqual(other);
    initialise(gpu.device, ensemblesOf(model), 2);
    expect((await sample(model.trained.D.ensemble))[0]).toEqual(judge);
  });

  test.each([
    [/^genA2B/, /has no genB2A, disGA, disGB, disLA, disLB; it has genA2B$/],
    [/^(gen|disG)/, /has no disLA, disLB; it has genA2B, genB2A, disGA, disGB$/],
    [/^dis/, /has no genA2B, genB2A; it has disGA, disGB, disLA, disLB$/],
    [/^(?!genA2B.FC)(gen|dis)/, /missing \(2\):\n {4}genA2B\.FC\.0\.weight\n {4}genA2B\.FC\.2\.weight\n/],
  ])('%s: what is missing and what is there', async (names, message) => {
    const file = await part('part.safetensors', names);
    await expect(loadWeights(file, model, () => {})).rejects.toThrow(message);
  });

  test('one network without a name', async () => {
    const { tensors } = parseSafetensors(
      new Uint8Array(await readFile(await part('one.safetensors', /^genA2B/))),
    );
    const bare = new Map([...tensors].map(([name, tensor]) => [name.slice('genA2B.'.length), tensor]));
    const file = join(root, 'bare.safetensors');
    await writeFile(file, serializeSafetensors(bare));
    await expect(loadWeights(file, model, () => {})).rejects.toThrow(
      /bare\.safetensors holds one network alone, and genA2B, genB2A, .* are needed; its 26 tensors are /,
    );
  });
});

describe('the file that a path means', () => {
  const ofFolder = async (name: string, files: string[]) => {
    await mkdir(join(root, name), { recursive: true });
    for (const file of files) await writeFile(join(root, name, file), '');
    const said: string[] = [];
    return { path: await weightsFile(join(root, name), (message) => said.push(message)), said };
  };

  test('a file, and what does not exist, is itself', async () => {
    for (const path of [checkpoint, join(root, 'nothing.pt')]) {
      expect(await weightsFile(path, () => expect.fail('nothing to say'))).toBe(path);
    }
  });

  test('checkpoints/ itself', async () => {
    const { path, said } = await ofFolder('cs', [
      'step_0000002.safetensors',
      'step_0000011.safetensors',
      'x.pt',
    ]);
    expect(path).toBe(join(root, 'cs', 'step_0000011.safetensors'));
    expect(said).toHaveLength(1);
  });

  test('a folder of other files names one', async () => {
    await expect(ofFolder('authors', ['b.pt', 'a.png', 'a.pth'])).rejects.toThrow(
      `authors is a folder without checkpoints of a run: name a file, such as ${join(root, 'authors')}/a.pth`,
    );
    await expect(ofFolder('empty', [])).rejects.toThrow(/empty is a folder .*: name a file with weights$/);
  });
});

test('tensors are read in pieces of a few megabytes, each in the order of the authors', async () => {
  const { device } = gpu;
  const common = { init: { kind: 'constant', value: 0 }, role: 'parameter' } as const;
  const specs: ParameterSpec[] = [
    { ...common, name: 'conv', layout: 'conv', shape: [130, 3, 3, 4101], authorsShape: [130, 4101, 3, 3] },
    { ...common, name: 'map', layout: 'mapLinear', shape: [5, 30, 30, 1000], authorsShape: [5, 900_000] },
    {
      ...common,
      name: 'blocks',
      layout: 'mapLinear',
      shape: [5, 9, 9, 3],
      authorsShape: [5, 243],
      blocks: [3, 2],
    },
    { ...common, name: 'v', layout: 'convVector', shape: [3, 3, 7], authorsShape: [63] },
    { ...common, name: 'vector', layout: 'plain', shape: [77], authorsShape: [77] },
    { ...common, name: 'wide', layout: 'plain', shape: [1, 4_300_000], authorsShape: [1, 4_300_000] },
  ];
  const group = allocateGroup(device, specs, 'pieces');
  for (const spec of specs) {
    const count = spec.authorsShape.reduce((product, n) => product * n, 1);
    const values = Float32Array.from({ length: count }, (_, i) => i);
    setTensor(device, group, spec, values);
    const lengths: number[] = [];
    for await (const piece of readTensor(device, group, spec)) lengths.push(piece.length);
    const back = Buffer.from((await getTensor(device, group, spec)).buffer);
    expect(back.equals(Buffer.from(values.buffer)), spec.name).toBe(true);
    expect(Math.max(...lengths) * 4, spec.name).toBeLessThanOrEqual(16 * 2 ** 20);
    if (count * 4 > 16 * 2 ** 20) expect(lengths.length, spec.name).toBeGreaterThan(1);
  }
  freeGroup(device, group);
});
