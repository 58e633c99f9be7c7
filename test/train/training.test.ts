import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memory } from '../../engine/device/device.ts';
import type { MemoryReport } from '../../engine/device/pool.ts';
import { train } from '../../train/loop.ts';
import type { Observer, StepRecord } from '../../train/observers.ts';
import { DEFAULT_RUN, type LoopOptions, type RunConfig } from '../../train/options.ts';
import { readLosses, runStep } from '../../train/session.ts';
import { useDevice } from '../device.ts';
import { TINY } from '../engine/models.ts';
import { countCreations, type Made } from './counting.ts';
import { drawPictures } from './pictures.ts';
import { batchOf, withSession } from './session.ts';

const gpu = useDevice();
const MODEL = { ...TINY, camWeight: 100 };
const STEPS = 50;
const EVERY = 5;

/** As the authors log them, and the two totals. */
const DIS = ['disGA', 'disGB', 'disLA', 'disLB'];
const TERMS = [
  ...DIS.flatMap((name) => [`D.${name}.ad_loss`, `D.${name}.cam_loss`]),
  ...['recon', 'identity', 'cam'].flatMap((name) => [`G.${name}_A`, `G.${name}_B`]),
  ...DIS.flatMap((name) => [`G.${name}.ad_loss`, `G.${name}.cam_loss`]),
  'D.loss',
  'G.loss',
];

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'adawn-training-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe(`${STEPS} steps of training`, () => {
  const seen: { records: StepRecord[]; samples: number[]; saved: number[]; memory: MemoryReport[] } = {
    ...{ records: [], samples: [], saved: [], memory: [] },
  };
  const made: Made[] = [];
  let out: string;

  beforeAll(async () => {
    out = join(root, 'run');
    // Two drawn pictures of each kind: fifty steps are enough to learn something about them.
    const data = join(root, 'data');
    await drawPictures(data, { train: 2, test: 1, size: 48 });
    const config: RunConfig = {
      ...DEFAULT_RUN,
      data,
      model: MODEL,
      augment: false,
      iterations: STEPS,
      lr: 2e-3,
    };
    const options: LoopOptions = {
      ...{ out, resume: false, stopAfter: Number.POSITIVE_INFINITY, keep: 2, threads: 1, tune: 'off' },
      ...{ sampleEvery: EVERY, saveEvery: EVERY },
    };
    const count = countCreations(gpu.device);
    const observer: Observer = {
      steps: (records) => void seen.records.push(...records),
      sample: (step) => void seen.samples.push(step),
      checkpoint: (step) => {
        seen.saved.push(step);
        seen.memory.push(memory(gpu.device));
        made.push(count());
      },
    };
    await train(gpu.device, config, options, [observer], new AbortController().signal);
  });

  test('observers hear of every step, in order, and of every term', () => {
    expect(seen.records.map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, i) => i + 1));
    for (const { losses } of seen.records) expect(Object.keys(losses).sort()).toEqual([...TERMS].sort());
  });

  test('samples and checkpoints come when due, and only the newest are kept', async () => {
    const due = Array.from({ length: STEPS / EVERY }, (_, i) => (i + 1) * EVERY);
    expect(seen.samples).toEqual(due);
    expect(seen.saved).toEqual(due);
  });

  test('metrics.csv has every loss term of every step, as float32 numbers', async () => {
    const [header, ...lines] = (await readFile(join(out, 'metrics.csv'), 'utf8')).trimEnd().split('\n');
    const names = header.split(',');
    expect([...names].sort()).toEqual(['step', 'lr', ...TERMS].sort());
    expect(lines.map((line) => Number.parseInt(line, 10))).toEqual(seen.records.map(({ step }) => step));
    lines.forEach((line, i) => {
      const row = Object.fromEntries(line.split(',').map((cell, c) => [names[c], Number(cell)]));
      expect(row.lr).toBeCloseTo(seen.records[i].lr, 12);
      for (const name of TERMS) expect(Math.fround(row[name]), name).toBe(seen.records[i].losses[name]);
    });
  });

  test('totals are the weighted sums of their terms', () => {
    for (const { losses } of seen.records) {
      const sum = (names: string[], weight: (name: string) => number) =>
        names.reduce((total, name) => total + weight(name) * losses[name], 0);
      const weights: Record<string, number> = { recon: 10, identity: 10, cam: 100 };
      const d = TERMS.filter((name) => /^D\.dis/.test(name));
      const g = TERMS.filter((name) => /^G\.(dis|recon|identity|cam)/.test(name));
      const weightOf = (name: string) => weights[/^G\.(recon|identity|cam)_/.exec(name)?.[1] ?? ''] ?? 1;
      expect(losses['D.loss'] / sum(d, () => 1)).toBeCloseTo(1, 5);
      expect(losses['G.loss'] / sum(g, weightOf)).toBeCloseTo(1, 5);
    }
  });

  test('lowers the losses that must fall, and none is NaN', () => {
    const mean = (name: string, from: number, to: number) =>
      seen.records.slice(from, to).reduce((sum, { losses }) => sum + losses[name], 0) / (to - from);
    for (const name of ['recon_A', 'recon_B', 'identity_A', 'identity_B', 'cam_A', 'cam_B']) {
      const [early, late] = [mean(`G.${name}`, 0, 5), mean(`G.${name}`, STEPS - 10, STEPS)];
      expect(late, `${name}: ${early.toFixed(3)} at first, ${late.toFixed(3)} at last`).toBeLessThan(
        0.75 * early,
      );
    }
    for (const { losses } of seen.records) expect(Object.values(losses).every(Number.isFinite)).toBe(true);
  });

  test('takes no more memory after the first sample and checkpoint', () => {
    // The second round still finds the pool filled by the first in another order.
    for (const report of seen.memory.slice(2)) expect(report).toEqual(seen.memory[1]);
    const grown = Object.entries(made[made.length - 1]).filter(([name, n]) => n !== made[1][name]);
    // Sampling binds its buffers anew each time; the bind groups go with it.
    expect(grown.map(([name]) => name)).toEqual(['createBindGroup']);
  });
});

test('after the first iteration nothing is created: no pipeline, buffer or bind group', async () => {
  const before = memory(gpu.device).live;
  await withSession(gpu.device, MODEL, async (session) => {
    const step = async (number: number) => {
      runStep(session, batchOf(MODEL, number), number, 1e-4);
      if (number % 2 === 1) await readLosses(session);
    };
    await step(1);
    const count = countCreations(gpu.device);
    const [made, held] = [count(), memory(gpu.device)];
    for (let number = 2; number <= 21; number++) await step(number);
    expect(count()).toEqual(made);
    expect(memory(gpu.device)).toEqual(held);
  });
  expect(memory(gpu.device).live).toBe(before);
});
