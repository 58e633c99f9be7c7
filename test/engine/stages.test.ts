import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { CARDS } from '../../bench/paper/cards.ts';
import { deviceOnPaper } from '../../bench/paper/launches.ts';
import type { Device } from '../../engine/device/device.ts';
import { gradients } from '../../engine/grad/autograd.ts';
import { relu } from '../../engine/ops/activation.ts';
import { adamStep } from '../../engine/ops/adam.ts';
import { add } from '../../engine/ops/add.ts';
import { linear } from '../../engine/ops/linear.ts';
import { mseToConstant } from '../../engine/ops/loss.ts';
import { allocate } from '../../engine/record/tensor.ts';
import { trace } from '../../engine/run/program.ts';

// docs/engine.md shows what each stage does to a small program. The prints are made here, by the program that
// the page shows, and must be those of the page: UPDATE_DOCS=1 writes them into it.

const PAGE = new URL('../../docs/engine.md', import.meta.url);

const printed: Record<string, string> = {};
let device: Device;

beforeAll(async () => {
  device = await deviceOnPaper(CARDS.h100);
  device.dump = (name, text) => {
    printed[name.replace(/^.*\/\d-|\.txt$/g, '')] = text;
  };
  const x = allocate(device, [4, 64], 'x');
  const [w, m, v] = ['w', 'm', 'v'].map((name) => allocate(device, [64, 64], name));
  const hyper = allocate(device, [4], 'hyper');
  trace(device, () => {
    const h = add(linear(x, w, null), x);
    const y = linear(h, w, null);
    relu(y); // nobody reads it
    const loss = mseToConstant(y, 1);
    const [dw] = gradients(loss, [w]);
    adamStep({ p: w, g: dw, m, v, hyper });
    return { loss };
  });
});

/** Texts in fences behind a comment `<!-- printed: NAME -->`. */
const BLOCK = /(<!-- printed: ([\w-]+) -->\n```text\n)([\s\S]*?)(```)/g;

test('docs/engine.md shows the prints of its program', () => {
  const page = readFileSync(PAGE, 'utf8');
  const now = page.replace(BLOCK, (_, start, name, __, end) => `${start}${printed[name]}${end}`);
  if (process.env.UPDATE_DOCS) writeFileSync(PAGE, now);
  const shown = [...page.matchAll(BLOCK)].map((match) => match[2]);
  expect(shown.sort()).toEqual(Object.keys(printed).sort());
  expect(process.env.UPDATE_DOCS ? now : page).toBe(now);
});
