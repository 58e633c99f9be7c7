/** Converts checkpoints between PyTorch's .pt and safetensors, tensor by tensor. */
import { extname } from 'node:path';
import { CheckpointError } from '../../engine/errors.ts';
import { type CheckpointView, openCheckpoint } from './checkpoint.ts';
import { EXTRA_PREFIXES, NETWORKS, splitName } from './names.ts';
import { type TensorSource, writeSafetensors } from './safetensors.node.ts';
import { writeTorch } from './torch/write.ts';

export interface ConvertOptions {
  /** Write this network alone, under bare names. */
  net?: string;
  /** .pt only: PyTorch's format before 1.6. */
  legacy?: boolean;
  /** safetensors only: keep optimiser state and metadata too. */
  keepAll?: boolean;
}

/** Converts `from` to `to`, whose ending says which format to write. Returns the number of tensors. */
export async function convert(from: string, to: string, options: ConvertOptions = {}): Promise<number> {
  const torch = isTorchName(to);
  if (torch && options.keepAll) {
    throw new CheckpointError('--keep-all: a .pt file holds the networks only; write .safetensors');
  }
  if (!torch && options.legacy) throw new CheckpointError(`--legacy is for .pt files, not ${to}`);
  const view = await openCheckpoint(from);
  try {
    const tensors = select(view, options);
    if (torch) await writeTorch(to, tensors, { legacy: options.legacy });
    else await writeSafetensors(to, tensors, { format: 'pt', ...(options.keepAll ? view.metadata : {}) });
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

/** The tensors to write, under their new names. */
function select(view: CheckpointView, { net, keepAll }: ConvertOptions): TensorSource[] {
  const names = view.names();
  const lone = !names.some((name) => splitName(name).network !== '');
  const isExtra = (name: string) =>
    lone ? EXTRA_PREFIXES.some((prefix) => name.startsWith(prefix)) : splitName(name).network === '';
  const chosen = net
    ? names.filter((name) => splitName(name).network === net)
    : names.filter((name) => keepAll || !isExtra(name));
  if (chosen.length === 0) throw new CheckpointError(nothingChosen(view, net));
  return chosen.map((name) => ({
    name: net ? splitName(name).rest : name,
    dtype: view.dtype(name),
    shape: view.shape(name),
    read: async () => (await view.readRaw(name)).data,
  }));
}

function nothingChosen(view: CheckpointView, net: string | undefined): string {
  const there = NETWORKS.filter((network) => view.names().some((name) => name.startsWith(`${network}.`)));
  const what = there.length > 0 ? there.join(', ') : 'tensors without the name of a network';
  return net ? `${view.path}: has no ${net}, only ${what}` : `${view.path}: holds no tensors of a network`;
}
