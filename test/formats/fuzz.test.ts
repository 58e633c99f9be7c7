import { expect, test } from 'vitest';
import { CheckpointError } from '../../engine/errors.ts';
import { memorySource } from '../../train/formats/file.node.ts';
import { openZip } from '../../train/formats/torch/zip.ts';
import { bytesOf, fixture, makeZip, readAll, seeded, TWINS } from './files.ts';

// Damaged at random, with fixed seeds: a file is read or refused with a CheckpointError, in bounded time;
// anything else (a TypeError, a RangeError, a hang) fails.

const FILES = [...Object.keys(TWINS), 'odd.safetensors', 'generator.safetensors'];

/** No single file of these sizes may take longer, in milliseconds, on a busy machine. */
const LIMIT_MS = 5000;

/** Reads it all; returns whether it was accepted. `what` tells how to make the file again. */
async function attempt(bytes: Uint8Array, what: string): Promise<boolean> {
  const start = performance.now();
  try {
    await readAll(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof CheckpointError))
      throw new Error(`${what}: not a CheckpointError`, { cause: error });
    return false;
  } finally {
    const took = performance.now() - start;
    if (took > LIMIT_MS) expect.fail(`${what}: took ${took} ms`);
  }
}

/** The bytes with 1 to 4 of them changed: a bit flipped, a random byte, or an extreme one. */
function damage(bytes: Uint8Array, random: () => number): Uint8Array {
  const copy = new Uint8Array(bytes);
  for (let n = 1 + Math.floor(random() * 4); n > 0; n--) {
    const at = Math.floor(random() * copy.length);
    const kind = random();
    if (kind < 0.5) copy[at] ^= 1 << Math.floor(random() * 8);
    else copy[at] = kind < 0.75 ? random() * 256 : random() < 0.5 ? 0 : 255;
  }
  return copy;
}

test.each(FILES)('%s cut anywhere is refused', async (name) => {
  const bytes = fixture(name);
  const step = Math.max(1, Math.floor(bytes.length / 400));
  for (let length = 0; length < bytes.length; length += step) {
    const accepted = await attempt(bytes.subarray(0, length), `${name} cut at ${length}`);
    expect(accepted, `cut at ${length}`).toBe(false);
  }
});

test.each(FILES)('%s with damaged bytes', async (name) => {
  const bytes = fixture(name);
  const random = seeded(7);
  for (let i = 0; i < 250; i++) await attempt(damage(bytes, random), `${name} seed 7 #${i}`);
});

test.each(['odd.safetensors', 'generator.safetensors', 'odd.legacy.pt'])(
  '%s: the head damaged',
  async (name) => {
    const bytes = fixture(name);
    const random = seeded(11);
    const head = Math.min(bytes.length, 2200);
    for (let i = 0; i < 600; i++) {
      const copy = bytesOf(damage(bytes.subarray(0, head), random), bytes.subarray(head));
      await attempt(copy, `${name} head seed 11 #${i}`);
    }
  },
);

test.each(['six.zip.pt', 'odd.zip.pt', 'odd.protocol4.pt'])('%s: the directory damaged', async (name) => {
  const bytes = fixture(name);
  const random = seeded(13);
  const tail = Math.max(0, bytes.length - 2500);
  for (let i = 0; i < 400; i++) {
    const copy = bytesOf(bytes.subarray(0, tail), damage(bytes.subarray(tail), random));
    await attempt(copy, `${name} directory seed 13 #${i}`);
  }
});

test.each(['odd.zip.pt', 'odd.protocol4.pt', 'beside.protocol4.pt'])(
  '%s: the pickle damaged, checksums right',
  async (name) => {
    const zip = await openZip(memorySource(fixture(name)));
    const entries: { name: string; data: Uint8Array }[] = [];
    for (const entry of zip.entries.values()) entries.push({ name: entry.name, data: await zip.read(entry) });
    const random = seeded(17);
    let accepted = 0;
    for (let i = 0; i < 1000; i++) {
      const damaged = entries.map((entry) => {
        return entry.name.endsWith('data.pkl') ? { ...entry, data: damage(entry.data, random) } : entry;
      });
      if (await attempt(makeZip(damaged), `${name} pickle seed 17 #${i}`)) accepted++;
    }
    // Some damage only renames a tensor; if all of it were refused, the rest of the reader was never reached.
    expect(accepted).toBeGreaterThan(50);
  },
);

test('random operations', async () => {
  const plain = '\x80\x95(012N\x88\x89JKM\x8aGX\x8c\x8dTUBC)\x85\x86\x87t]ae}sucRbQqr\x94hj\x93.';
  const operations = `${plain}\x81\x92o\x8f\x90\x91\x8b\x8e\x96`;
  const words = [
    'torch\nFloatStorage\n',
    'collections\nOrderedDict\n',
    'torch._utils\n_rebuild_tensor_v2\n',
    'ctorch\nSize\n',
    'torch._tensor\n_rebuild_from_type_v2\n',
    'builtins\neval\n',
  ];
  const random = seeded(19);
  for (let i = 0; i < 6000; i++) {
    const parts: (number | string)[] = [0x80, 2];
    for (let n = random() * 60; n > 0; n--) {
      if (random() < 0.15) parts.push('c', words[Math.floor(random() * words.length)]);
      else if (random() < 0.3) parts.push(Math.floor(random() * 4));
      else parts.push(operations.charCodeAt(Math.floor(random() * operations.length)));
    }
    const pickle = bytesOf(...parts, '.');
    await attempt(makeZip([{ name: 'a/data.pkl', data: pickle }]), `operations seed 19 #${i}`);
  }
});
