/** Converts checkpoints between PyTorch's .pt and safetensors, tensor by tensor. */

import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { CheckpointError } from '../../engine/errors.ts';
import { DEFAULT_RECIPE } from '../../model/recipes.ts';
import { openCheckpoint } from './checkpoint.ts';
import { explainLack } from './explain.ts';
import { splitName } from './names.ts';
import { type TensorSource, writeSafetensors } from './safetensors.node.ts';
import { recipeSaid } from './said.ts';
import { writeTorch } from './torch/write.ts';
import type { CheckpointView } from './view.ts';

export interface ConvertOptions {
  /** Write this network alone, under bare names. */
  net?: string;
  /** .pt only: PyTorch's format before 1.6. */
  legacy?: boolean;
  /** safetensors only: keep optimiser state and metadata too. */
  keepAll?: boolean;
  /** Write only what lies below this key of the file. */
  key?: string;
  /** Replace what is at `to`, unless it is the input itself. */
  force?: boolean;
  /** Hears of choices between copies of a network, a sentence each. */
  warn?: (message: string) => void;
}

/**
 * Converts `from` to `to`, whose ending says which format to write. Returns the number of tensors.
 * @throws CheckpointError, and writes nothing, when there is a file at `to` already, and more
 */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<number> {
  const torch = isTorchName(to);
  if (torch && options.keepAll) {
    throw new CheckpointError('--keep-all: a .pt file holds the networks only; write .safetensors');
  }
  if (!torch && options.legacy) throw new CheckpointError(`--legacy is for .pt files, not ${to}`);
  const view = await openCheckpoint(from, options);
  try {
    await protect(from, to, options.force);
    const tensors = select(view, options);
    for (const notice of view.notices) options.warn?.(`${from}: ${notice}`);
    const texts = saidOf(view, options);
    if (torch) await writeTorch(to, tensors, { legacy: options.legacy, networks: view.networks, texts });
    else await writeSafetensors(to, tensors, { format: 'pt', ...texts });
    return tensors.length;
  } finally {
    await view.close();
  }
}

function isTorchName(path: string): boolean {
  const ending = extname(path).toLowerCase();
  if (ending === '.pt' || ending === '.pth') return true;
  if (ending === '.safetensors') return false;
  throw new CheckpointError(`${path}: the name must end in .pt, .pth or .safetensors`);
}

/** @throws CheckpointError when writing `to` would replace a file that nobody gave up */
async function protect(from: string, to: string, force = false): Promise<void> {
  const find = (path: string): Promise<BigIntStats | null> => stat(path, { bigint: true }).catch(() => null);
  const [input, there] = [await find(from), await find(to)];
  if (!there) return;
  if (there.isDirectory()) throw new CheckpointError(`${to} is a folder: name a file in it`);
  if (there.dev === input?.dev && there.ino === input.ino) {
    throw new CheckpointError(`${to} is the input itself: choose another name`);
  }
  if (force) return;
  const what = await describeTarget(to);
  throw new CheckpointError(`${to} exists${what}: choose another name, or replace it with --force`);
}

/** Says so of a checkpoint of a run: what is lost with it is more than weights. */
async function describeTarget(path: string): Promise<string> {
  const view = await openCheckpoint(path).catch(() => null);
  await view?.close();
  const { format = '', step } = view?.metadata ?? {};
  return format.startsWith('adawn-') ? ` and is a checkpoint of a run (step ${step})` : '';
}

/** What the new file says beside its tensors; a lone network under bare names is anybody's. */
function saidOf({ metadata }: CheckpointView, { net, keepAll }: ConvertOptions): Record<string, string> {
  if (keepAll) return metadata;
  const said = net ? null : recipeSaid(metadata);
  return said && said.recipe !== DEFAULT_RECIPE ? { config: JSON.stringify(said) } : {};
}

/** The tensors to write, under their new names. */
function select(view: CheckpointView, { net, keepAll }: ConvertOptions): TensorSource[] {
  const [rival] = [...view.rivals.keys()].filter((name) => name !== '' && (net ?? name) === name);
  if (rival && !keepAll) throw new CheckpointError(explainLack(view, rival, ''));
  const chosen = view.names().filter((name) => {
    return net ? splitName(name, view.networks).network === net : keepAll || !view.extras.has(name);
  });
  if (chosen.length === 0) {
    throw new CheckpointError(
      explainLack(view, net ?? '', net ? `has no ${net}` : 'holds nothing to convert'),
    );
  }
  return chosen.map((name) => ({
    name: net ? splitName(name, view.networks).rest : name,
    dtype: view.dtype(name),
    shape: view.shape(name),
    read: async () => (await view.readRaw(name)).data,
  }));
}
