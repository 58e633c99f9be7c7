import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCheckpoint } from '../../train/formats/checkpoint.ts';
import { contents } from '../formats/files.ts';
import { run } from './process.ts';

// What comes after training, with a recipe that none of the commands knows: two convolutions, one for each
// direction, whose names and options are not U-GAT-IT's.

const RECIPE = `
import { l1Loss, scalar } from 'adawn';
import { conv, declare, type Recipe, type CommonOptions, type Scope } from 'adawn/model';
import type { Tensor } from 'adawn';

const layer = { to: 3, k: 3, pad: 1, bias: true, activation: 'tanh' } as const;
const tint = (p: Scope, x: Tensor) => conv(p, 'tint', x, layer);

const network = {
  optimiser: 'both',
  specs: (most: number) => declare((p, input) => tint(p, input([1, 16, 16, 3])), most),
};

export const recipe: Recipe<CommonOptions> = {
  name: 'tints',
  title: 'Tints',
  options: {
    size: { default: 16, takes: 'whole', multiple: 8, help: 'side of the pictures' },
    batch: { default: 1, takes: 'whole', help: 'pictures a step' },
  },
  describe: ({ size }) => \`\${size}x\${size}\`,
  networks: () => ({ there: network, back: network }),
  optimisers: () => ({ both: {} }),
  step({ real, scope, collect, update }) {
    const loss = (name: string, x: Tensor, y: Tensor) => l1Loss(tint(scope(name), x), y);
    const losses = { there: loss('there', real.A, real.B), back: loss('back', real.B, real.A) };
    for (const [name, loss] of Object.entries(losses)) collect(name, [[loss], [scalar(1)]]);
    update(['there', 'back']);
    return { all: losses, totals: ['there', 'back'] };
  },
  ways: {
    forth: { from: 'A', to: 'B', network: 'there', back: 'back' },
    home: { from: 'B', to: 'A', network: 'back', back: 'there' },
  },
  translate: (p, x) => ({ image: tint(p, x) }),
};
`;

let root: string;
let runFolder: string;
let cat: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-recipes-'));
  runFolder = join(root, 'run');
  await writeFile(join(root, 'tints.ts'), RECIPE);
  const trained = await run(
    'train',
    ...['--model', join(root, 'tints.ts'), '--data', 'toy-cat2dog', '--iterations', '2', '--out', runFolder],
  );
  expect(trained.code, trained.err).toBe(0);
  // Any picture does.
  cat = join(runFolder, 'samples', (await readdir(join(runFolder, 'samples'))).sort()[0]);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const translate = (weights: string, out: string, ...options: string[]) =>
  run('translate', '--weights', weights, '--input', cat, '--output', join(root, out), ...options);

async function pictureIn(out: string): Promise<Buffer> {
  const [name] = (await readdir(join(root, out))).filter((file) => !file.startsWith('.'));
  return readFile(join(root, out, name));
}

async function tensorsOf(path: string): Promise<Record<string, string>> {
  const view = await openCheckpoint(path);
  try {
    return await contents(view);
  } finally {
    await view.close();
  }
}

test('a run of any recipe is translated in its directions, and its weights go to .pt and back', async () => {
  const there = await translate(runFolder, 'there');
  expect(there.code, there.err).toBe(0);
  const back = await translate(runFolder, 'back', '--direction', 'BtoA');
  expect(back.code, back.err).toBe(0);
  expect(await pictureIn('there')).not.toEqual(await pictureIn('back'));

  const [pt, again] = [join(root, 'tints.pt'), join(root, 'again.safetensors')];
  const written = await run('convert', runFolder, pt);
  expect(written.out, written.err).toBe(`${pt}: 4 tensors\n`);
  const returned = await run('convert', pt, again);
  expect(returned.out, returned.err).toBe(`${again}: 4 tensors\n`);
  const names = ['back.tint.bias', 'back.tint.weight', 'there.tint.bias', 'there.tint.weight'];
  expect(Object.keys(await tensorsOf(pt))).toEqual(names);
  const checkpoint = join(runFolder, 'checkpoints', 'step_0000002.safetensors');
  expect(await tensorsOf(checkpoint)).toMatchObject(await tensorsOf(again));
  // Both still say what they are.
  const unasked = await translate(again, 'again');
  expect(unasked.err).toMatch(
    /^error: .* the recipe in .*tints\.ts, a program that is not run unasked: add/m,
  );
  expect(unasked.code).toBe(1);
  const moved = join(root, 'moved.ts');
  await copyFile(join(root, 'tints.ts'), moved);
  const once = await translate(again, 'again', '--model', moved);
  expect(once.code, once.err).toBe(0);
  expect(await pictureIn('again')).toEqual(await pictureIn('there'));
});

test('one network alone has bare names', async () => {
  const one = join(root, 'one.pt');
  const { out, err } = await run('convert', runFolder, one, '--net', 'back');
  expect(out, err).toBe(`${one}: 2 tensors\n`);
  expect(Object.keys(await tensorsOf(one))).toEqual(['tint.bias', 'tint.weight']);
});

test('an iteration of it is timed', async () => {
  const step = ['step', '--model', join(root, 'tints.ts'), '--size', '24', '--iterations', '1'];
  const { code, out, err } = await run('../bench/main', ...step);
  expect(code, err).toBe(0);
  expect(out).toMatch(/, Tints 24x24, precision full\niteration /);
});

test('what a recipe does not have is refused in one sentence', async () => {
  const refused: [Promise<{ code: number | null; err: string }>, RegExp][] = [
    [run('convert', runFolder, join(root, 'x.pt'), '--net', 'genA2B'), /has no genA2B; it has there, back$/m],
    [translate(runFolder, 'x', '--direction', 'up'), /Given: "up", Choices: "AtoB", "BtoA"/],
    [
      translate(runFolder, 'x', '--heatmap'),
      /^error: --heatmap: Tints does not show where it looks: leave it/m,
    ],
    [
      translate(runFolder, 'x', '--size', '30'),
      /^error: --size must be a multiple of 8, got 30: use --size 32/m,
    ],
  ];
  for (const [answer, message] of refused) {
    const { code, err } = await answer;
    expect(err).toMatch(message);
    expect(code).toBe(1);
  }
  await rm(join(root, 'tints.ts'));
  const gone = await translate(runFolder, 'x');
  expect(gone.err).toMatch(
    /^error: .*run was trained with a recipe that is needed again: .*tints\.ts does not load/m,
  );
});
