/**
 * A restricted unpickler: a stack machine for the opcodes of protocols 2 to 5 that torch.save emits (Python's
 * pickletools.py documents them). It builds plain data only (see globals.ts), never recurses, and each opcode
 * makes at most one object, so that memory is bounded by the number of opcodes. Objects of other classes,
 * which people keep beside their weights, become inert values: names and data that nothing is done with.
 */
import { CheckpointError } from '../../../engine/errors.ts';
import { callGlobal, globalOf, setItem } from './globals.ts';
import { PyDict, PyInert, PyList, PyTuple, type PyValue } from './values.ts';

/** Longest pickle looked at: a full U-GAT-IT checkpoint has 60 KB. */
export const MAX_PICKLE_BYTES = 32 * 1024 * 1024;

/** Each may allocate an object of some 200 bytes. A tensor takes about 45: room for 10,000 of them. */
const MAX_OPCODES = 500_000;

/** Numbers and the like take a few bytes: people keep every loss of a run beside its weights. */
const SMALL = new Set([0x47, 0x4a, 0x4b, 0x4d, 0x4e, 0x88, 0x89]);
const SMALL_COST = 1 / 8;

/** Torch's own integers have at most 10 bytes; longer ones stay inert, since they would only cost time. */
const MAX_LONG_BYTES = 16;

const UTF8 = new TextDecoder();

interface Machine {
  bytes: Uint8Array;
  view: DataView;
  at: number;
  stack: PyValue[];
  /** Stack heights at the open MARKs; nothing below the last one may be popped. */
  marks: number[];
  memo: Map<number, PyValue>;
  persistent: (pid: PyValue) => PyValue;
  /** Objects that may still be made. */
  budget: number;
}

type Opcode = (m: Machine) => void;

/** Runs the pickle at `start`; `end` is the position after its STOP. */
export function unpickle(
  bytes: Uint8Array,
  persistent: (pid: PyValue) => PyValue,
  start = 0,
): { value: PyValue; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const state = { stack: [], marks: [], memo: new Map(), budget: MAX_OPCODES };
  const m: Machine = { bytes, view, at: start, persistent, ...state };
  for (;;) {
    const code = bytes[take(m, 1)];
    spend(m, SMALL.has(code) ? SMALL_COST : 1);
    if (code === STOP) return { value: pop(m), end: m.at };
    const run = OPCODES.get(code);
    if (!run) throw unknownOpcode(code, m.at - 1);
    run(m);
  }
}

function spend(m: Machine, count: number): void {
  m.budget -= count;
  if (m.budget < 0) throw new CheckpointError(`pickle: more than ${MAX_OPCODES} operations`);
}

function unknownOpcode(code: number, at: number): CheckpointError {
  const hex = `0x${code.toString(16).padStart(2, '0')}`;
  return new CheckpointError(`pickle: refused: operation ${hex} at byte ${at} is not needed by a state_dict`);
}

/** Moves over `length` bytes and returns where they start. */
function take(m: Machine, length: number): number {
  const start = m.at;
  if (!(length >= 0 && start + length <= m.bytes.length)) {
    throw new CheckpointError(`pickle: truncated: wants ${length} bytes at ${start} of ${m.bytes.length}`);
  }
  m.at = start + length;
  return start;
}

function pop(m: Machine): PyValue {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) throw new CheckpointError('pickle: pops from an empty stack');
  return m.stack.pop()!;
}

function top(m: Machine): PyValue {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) throw new CheckpointError('pickle: the stack is empty');
  return m.stack.at(-1)!;
}

/** Everything above the last MARK. */
function popToMark(m: Machine): PyValue[] {
  const mark = m.marks.pop();
  if (mark === undefined) throw new CheckpointError('pickle: no MARK to go back to');
  return m.stack.splice(mark);
}

function popTuple(m: Machine, length: number): void {
  const items = Array.from({ length }, () => pop(m)).reverse();
  m.stack.push(new PyTuple(items));
}

function u8(m: Machine): number {
  return m.bytes[take(m, 1)];
}

function u16(m: Machine): number {
  return m.view.getUint16(take(m, 2), true);
}

function u32(m: Machine): number {
  return m.view.getUint32(take(m, 4), true);
}

function i32(m: Machine): number {
  return m.view.getInt32(take(m, 4), true);
}

function u64(m: Machine): number {
  return Number(m.view.getBigUint64(take(m, 8), true));
}

function rawBytes(m: Machine, length: number): Uint8Array {
  const start = take(m, length);
  return new Uint8Array(m.bytes.subarray(start, start + length));
}

function text(m: Machine, length: number): string {
  const start = take(m, length);
  return UTF8.decode(m.bytes.subarray(start, start + length));
}

/** The rest of a line, as GLOBAL's two names are written. */
function line(m: Machine): string {
  const end = m.bytes.subarray(m.at, m.at + 1024).indexOf(10);
  if (end < 0) throw new CheckpointError(`pickle: a name at byte ${m.at} has no end`);
  const value = text(m, end);
  take(m, 1);
  return value;
}

/** A little-endian two's complement integer. */
function long(m: Machine, length: number): PyValue {
  const start = take(m, length);
  if (length > MAX_LONG_BYTES) return new PyInert('int', null);
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(m.bytes[start + i]);
  value = BigInt.asIntN(length * 8, value);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function setMemo(m: Machine, index: number): void {
  m.memo.set(index, top(m));
}

function getMemo(m: Machine, index: number): void {
  const value = m.memo.get(index);
  if (value === undefined) throw new CheckpointError(`pickle: memo ${index} was never set`);
  m.stack.push(value);
}

function setItems(m: Machine, items: PyValue[]): void {
  const object = top(m);
  const dict = object instanceof PyInert ? (object.entries ??= new PyDict()) : object;
  if (!(dict instanceof PyDict) || items.length % 2 !== 0) {
    throw new CheckpointError('pickle: sets items of something that is not a dictionary');
  }
  for (let i = 0; i < items.length; i += 2) setItem(dict, items[i], items[i + 1]);
}

/** Adds to a list, or to an inert object that is a kind of list or set. */
function append(m: Machine, items: PyValue[]): void {
  const object = top(m);
  const list = object instanceof PyInert ? (object.items ??= new PyList()) : object;
  if (!(list instanceof PyList)) throw new CheckpointError('pickle: appends to something that is not a list');
  for (const item of items) list.items.push(item);
}

/** Sets attributes: an inert object keeps them, a state_dict's own (`_metadata`) are of no use here. */
function build(m: Machine): void {
  const state = pop(m);
  const object = top(m);
  if (object instanceof PyInert) object.state = state;
  else if (!(object instanceof PyDict)) {
    throw new CheckpointError('pickle: refused: sets attributes of something that can have none');
  }
}

function stackGlobal(m: Machine): void {
  const name = pop(m);
  const module = pop(m);
  if (typeof name !== 'string' || typeof module !== 'string') {
    throw new CheckpointError('pickle: a global whose name is not a string');
  }
  m.stack.push(globalOf(module, name));
}

function reduce(m: Machine): void {
  const args = pop(m);
  m.stack.push(callGlobal(pop(m), args, (count) => spend(m, count)));
}

/** NEWOBJ_EX: as NEWOBJ, with named arguments. No class that is known here takes any. */
function newObject(m: Machine): void {
  pop(m);
  reduce(m);
}

/** OBJ, with which Python 2 writes objects of its old-style classes: the class, then the arguments. */
function oldObject(m: Machine): void {
  const [callee = null, ...args] = popToMark(m);
  m.stack.push(callGlobal(callee, new PyTuple(args), (count) => spend(m, count)));
}

/** A frozenset; it comes whole, unlike a set, which is filled afterwards. */
function frozenSet(m: Machine): void {
  m.stack.push(new PyInert('builtins.frozenset', new PyTuple(popToMark(m))));
}

function checkProtocol(m: Machine): void {
  const protocol = u8(m);
  if (protocol < 2 || protocol > 5) throw new CheckpointError(`pickle: protocol ${protocol}, needs 2 to 5`);
}

function persistentLoad(m: Machine): void {
  m.stack.push(m.persistent(pop(m)));
}

function setOne(m: Machine): void {
  const value = pop(m);
  setItems(m, [pop(m), value]);
}

function push(read: (m: Machine) => PyValue): Opcode {
  return (m) => m.stack.push(read(m));
}

const STOP = 0x2e;

const OPCODES: ReadonlyMap<number, Opcode> = new Map<number, Opcode>([
  [0x80, checkProtocol],
  [0x95, (m) => void take(m, 8)], // FRAME: a length, of no use here
  [0x28, (m) => m.marks.push(m.stack.length)], // MARK
  [0x30, (m) => void pop(m)], // POP
  [0x31, (m) => void popToMark(m)], // POP_MARK
  [0x32, push(top)], // DUP
  [0x4e, push(() => null)], // NONE
  [0x88, push(() => true)], // NEWTRUE
  [0x89, push(() => false)], // NEWFALSE
  [0x4a, push(i32)], // BININT
  [0x4b, push(u8)], // BININT1
  [0x4d, push(u16)], // BININT2
  [0x8a, push((m) => long(m, u8(m)))], // LONG1
  [0x8b, push((m) => long(m, i32(m)))], // LONG4
  [0x47, push((m) => m.view.getFloat64(take(m, 8), false))], // BINFLOAT, the only big-endian one
  [0x58, push((m) => text(m, u32(m)))], // BINUNICODE
  [0x8c, push((m) => text(m, u8(m)))], // SHORT_BINUNICODE
  [0x8d, push((m) => text(m, u64(m)))], // BINUNICODE8
  [0x54, push((m) => text(m, i32(m)))], // BINSTRING: Python 2's str
  [0x55, push((m) => text(m, u8(m)))], // SHORT_BINSTRING
  [0x42, push((m) => rawBytes(m, u32(m)))], // BINBYTES
  [0x43, push((m) => rawBytes(m, u8(m)))], // SHORT_BINBYTES
  [0x8e, push((m) => rawBytes(m, u64(m)))], // BINBYTES8
  [0x96, push((m) => rawBytes(m, u64(m)))], // BYTEARRAY8
  [0x29, push(() => new PyTuple([]))], // EMPTY_TUPLE
  [0x85, (m) => popTuple(m, 1)], // TUPLE1
  [0x86, (m) => popTuple(m, 2)],
  [0x87, (m) => popTuple(m, 3)],
  [0x74, push((m) => new PyTuple(popToMark(m)))], // TUPLE
  [0x5d, push(() => new PyList())], // EMPTY_LIST
  [0x61, (m) => append(m, [pop(m)])], // APPEND
  [0x65, (m) => append(m, popToMark(m))], // APPENDS
  [0x7d, push(() => new PyDict())], // EMPTY_DICT
  [0x73, setOne], // SETITEM
  [0x75, (m) => setItems(m, popToMark(m))], // SETITEMS
  [0x8f, push(() => new PyInert('builtins.set', null))], // EMPTY_SET
  [0x90, (m) => append(m, popToMark(m))], // ADDITEMS
  [0x91, frozenSet], // FROZENSET
  [0x63, push((m) => globalOf(line(m), line(m)))], // GLOBAL
  [0x93, stackGlobal], // STACK_GLOBAL
  [0x52, reduce], // REDUCE
  [0x81, reduce], // NEWOBJ: a class instead of a function
  [0x92, newObject], // NEWOBJ_EX
  [0x6f, oldObject], // OBJ
  [0x62, build], // BUILD
  [0x51, persistentLoad], // BINPERSID
  [0x71, (m) => setMemo(m, u8(m))], // BINPUT
  [0x72, (m) => setMemo(m, u32(m))], // LONG_BINPUT
  [0x94, (m) => setMemo(m, m.memo.size)], // MEMOIZE
  [0x68, (m) => getMemo(m, u8(m))], // BINGET
  [0x6a, (m) => getMemo(m, u32(m))], // LONG_BINGET
]);
