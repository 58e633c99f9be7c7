import { describe, expect, test } from 'vitest';
import { openCheckpoint, openCheckpointSource } from '../../train/formats/checkpoint.ts';
import { memorySource } from '../../train/formats/file.node.ts';
import { matchTensors } from '../../train/formats/match.ts';
import { serializeSafetensors } from '../../train/formats/safetensors.ts';
import type { CheckpointView } from '../../train/formats/view.ts';
import { generatorOptions } from '../../train/weights.ts';
import { bytesOf, fixturePath } from './files.ts';
import { file, global, pickle, tensor, text } from './pickles.ts';

// What is said of files that do not hold what is wanted: what they have, and a way out that exists.

/** A view of a file whose tensors have these names, and one element unless a shape is given. */
async function viewOf(tensors: Record<string, number[]> | string[]): Promise<CheckpointView> {
  const entries = Array.isArray(tensors) ? tensors.map((name) => [name, [1]]) : Object.entries(tensors);
  const shapes = entries as [string, number[]][];
  const list = shapes.map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((product, n) => product * n, 1));
    return [name, { dtype: 'F32' as const, shape, data }] as const;
  });
  return openCheckpointSource(memorySource(serializeSafetensors(list), 'x.bin'));
}

function refusal(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return (error as Error).message;
  }
}

const noGenerator = (view: CheckpointView) => refusal(() => generatorOptions(view, 'genA2B'));

describe('a generator that is not there', () => {
  test.each([
    [
      ['net.layer1.weight', 'net.layer1.bias', 'net.layer2.weight', 'net.layer2.bias'],
      'its 4 tensors are net.layer1.weight, net.layer1.bias, net.layer2.weight and 1 more, all below "net"',
    ],
    [['a', 'b.c'], 'its 2 tensors are a, b.c'],
    [[], 'it holds no tensors'],
    [
      ['genA2B.HourGlass1.HG.0.x', 'genA2B.gap_fc.weight'],
      "it looks like photo2cartoon's, whose networks are",
    ],
    [['gen2B.UpBlock0.1.weight', 'disA.lamda'], "it looks like NICE-GAN's, whose networks are others; its 2"],
    [['model.1.weight', 'model.10.conv_block.1.weight'], "it looks like CycleGAN's"],
  ])('%j', async (names, what) => {
    const message = noGenerator(await viewOf(names));
    expect(message).toContain(`x.bin holds no generator of U-GAT-IT; ${what}`);
    expect(message).not.toMatch(/--/);
  });

  test('a part of one, and the other one', async () => {
    const part = await viewOf({ 'genA2B.DownBlock.1.weight': [4, 3, 7, 7] });
    expect(noGenerator(part)).toMatch(
      /but a part of one \(FC\.0\.weight is missing, or no matrix\); it has gen/,
    );
    const other = await viewOf(['genB2A.x', 'disGA.x']);
    expect(noGenerator(other)).toBe('x.bin has no genA2B; it has genB2A, disGA: try the other --direction');
    expect(noGenerator(await viewOf(['disGA.x']))).toBe('x.bin has no genA2B; it has disGA');
    const numbered = {
      'DownBlock.1.weight': [4, 3, 7, 7],
      'UpBlock1_999999999.x': [1],
      'FC.0.weight': [2, 2],
    };
    expect(noGenerator(await viewOf(numbered))).toContain('holds no generator of U-GAT-IT');
  });

  test('a whole model under its key', async () => {
    const state = ['}', text('_modules'), '}s', text('_parameters'), '}s'];
    const model = bytesOf(global('networks', 'ResnetGenerator'), ')', 0x81, ...state, 'b');
    const bytes = pickle('}', text('genA2B'), model, 's', text('step'), 'K', 3, 's');
    const view = await openCheckpointSource(memorySource(file(bytes), 'x.bin'));
    expect(noGenerator(view)).toBe(
      'x.bin holds no generator of U-GAT-IT; it holds no tensors; only its own Python code can read genA2B ' +
        '(a whole model of the class networks.ResnetGenerator): there, save the state_dict() of "genA2B"',
    );
    const legacy = bytesOf(
      '(',
      text('module'),
      global('n', 'G'),
      text('n.py'),
      text('pass'),
      'tQ',
      ')',
      0x81,
    );
    const root = file(pickle(legacy, ...state, 'b'));
    await expect(openCheckpointSource(memorySource(root, 'x.bin'))).rejects.toThrow(
      'x.bin: holds a whole model of the class n.G, which only its own Python code can open: there, save',
    );
  });
});

describe('a model that does not fit', () => {
  const shapesOf = (view: CheckpointView, network: string) =>
    new Map(view.names().flatMap((n) => (n.startsWith(`${network}.`) ? [[n, [...view.shape(n)]]] : [])));

  test('only options that the command has are advised', async () => {
    const view = await openCheckpoint(fixturePath('six.zip.pt'));
    const wider = new Map(
      [...shapesOf(view, 'genA2B')].map(([name, shape]) => [name, shape.map((n) => 2 * n)]),
    );
    expect(refusal(() => matchTensors(wider, view))).toMatch(/these options would fit: --ch 1$/);
    const size = refusal(() => matchTensors(wider, view, { options: ['--size'] }));
    expect(size).toMatch(/wrong shape[\s\S]*no option makes it fit$/);
    await view.close();
  });

  test('a counter too many is left out with a warning; a block too many is another model', async () => {
    const view = await openCheckpoint(fixturePath('six.zip.pt'));
    const said: string[] = [];
    const expected = shapesOf(view, 'genB2A');
    expected.delete('genB2A.conv1x1.bias');
    matchTensors(expected, view, { warn: (message) => said.push(message) });
    expect(said).toEqual([
      `${fixturePath('six.zip.pt')}: the model has no place for genB2A.conv1x1.bias, left out; ` +
        'a network that needs them is another than this, and gives other pictures',
    ]);
    const fewer = new Map([...expected].filter(([name]) => !name.includes('UpBlock1_1')));
    expect(refusal(() => matchTensors(fewer, view))).toMatch(/not in the model \(5\):[\s\S]*fit: --n-res 1$/);
    await view.close();
  });

  test('what could not be read is named beside what is missing', async () => {
    const quantised = bytesOf(global('torch._utils', '_rebuild_qtensor'), ')R');
    const bytes = pickle('}', text('genA2B.a'), tensor(), 's', text('genA2B.b'), quantised, 's');
    const view = await openCheckpointSource(memorySource(file(bytes), 'x.bin'));
    const expected = new Map([
      ['genA2B.a', [4]],
      ['genA2B.b', [4]],
    ]);
    const message = refusal(() => matchTensors(expected, view));
    expect(message).toMatch(/missing \(1\):\n {4}genA2B\.b\n/);
    expect(message).toContain('only its own Python code can read genA2B.b (torch._utils._rebuild_qtensor)\n');
  });
});
