import { bytesOf, makeTorch, u32 } from './files.ts';

// Pickles put together by hand, operation by operation.

/** Operations: a byte, letters that are operations, or other bytes. */
export type Operations = number | string | Uint8Array;

export const text = (value: string) => bytesOf('X', u32(value.length), value);
export const int = (value: number) => bytesOf('J', u32(value));
export const global = (module: string, name: string) => `c${module}\n${name}\n`;
export const pickle = (...parts: Operations[]) => bytesOf(0x80, 2, ...parts, '.');

export interface TensorParts {
  storage?: string;
  key?: string;
  count?: Uint8Array;
  offset?: Uint8Array;
  shape?: Uint8Array;
  strides?: Uint8Array;
}

/** Operations that build a tensor; by default of 4 floats in storage "0". */
export function tensor(parts: TensorParts = {}): Uint8Array {
  const { storage = 'FloatStorage', key = '0', count, offset, shape, strides } = parts;
  const head = bytesOf('(', text('storage'), global('torch', storage), text(key), text('cpu'));
  const pid = bytesOf(head, count ?? int(4), 'tQ');
  const tail = bytesOf(offset ?? int(0), '(', shape ?? int(4), 't(', strides ?? int(1), 't', 0x89, 'Nt');
  return bytesOf(global('torch._utils', '_rebuild_tensor_v2'), '(', pid, tail, 'R');
}

/** A pickle of a dictionary with one key, "a". */
export const one = (...value: Operations[]) => pickle('}', text('a'), ...value, 's');

/** A dictionary of a tensor "a", and the operations' value as "b". */
export const besideTensor = (...value: Operations[]) =>
  pickle('}', text('a'), tensor(), 's', text('b'), ...value, 's');

/** A zip checkpoint around a pickle and storage "0". */
export const file = (bytes: Uint8Array) => makeTorch(bytes, { 0: new Uint8Array(16) });
