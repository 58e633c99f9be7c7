import type { MemoryPlan } from '../plan/plan.ts';
import type { Launch } from '../record/recorder.ts';
import { show } from '../record/shape.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';

/** Names of tensors as they appear: %0, %1, … for intermediates, the label of what lives on. */
function namer(): (tensor: Tensor) => string {
  const names = new Map<number, string>();
  return (tensor) => {
    const root = rootOf(tensor);
    if (root.storage) return root.label || 'unnamed';
    const known = names.get(root.id);
    if (known) return known;
    const name = `%${names.size}`;
    names.set(root.id, name);
    return name;
  };
}

/**
 * A program as a table, a line a launch: op and pass, kernel, workgroups, what it reads and, behind an arrow,
 * what it writes. Intermediates are numbered as they appear.
 */
export function printLaunches(launches: readonly Launch[]): string {
  const nameOf = namer();
  const rows = launches.map(({ label, kernel, grid, bindings, writes }) => {
    const named = bindings.map((tensor) => `${nameOf(tensor)}${show(tensor.shape)}`);
    const pick = (written: boolean) => named.filter((_, i) => writes[i] === written).join(' ');
    const adds = Object.entries(kernel?.constants ?? {}).some(
      ([name, on]) => /^ADD/.test(name) && on === true,
    );
    const entry = kernel ? `${kernel.name}:${kernel.entry}` : 'copy';
    return [label, entry, grid.join('x'), `${pick(false)} ${adds ? '+->' : '->'} ${pick(true)}`];
  });
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column].length)));
  return rows
    .map((row, i) => {
      const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0));
      return `${String(i).padStart(4)}  ${cells.join('  ')}`.trimEnd();
    })
    .join('\n');
}

/** Where the intermediates of a program live: a line for each, numbered as `printLaunches` numbers them. */
export function printPlan(launches: readonly Launch[], plan: MemoryPlan): string {
  const nameOf = namer();
  const roots = new Map<number, Tensor>();
  for (const tensor of launches.flatMap(({ bindings }) => bindings)) {
    nameOf(tensor);
    const root = rootOf(tensor);
    if (!root.storage) roots.set(root.id, root);
  }
  const lines = [...roots.values()].map((root) => {
    const { slot, offset } = plan.rooms.get(root.id)!;
    const unit = plan.slots[slot].kind === 'texture' ? 'layer' : 'byte';
    return `${nameOf(root)}${show(root.shape)} in ${plan.slots[slot].kind} ${slot} from ${unit} ${offset}`;
  });
  const slots = plan.slots.map((slot, i) =>
    slot.kind === 'buffer'
      ? `buffer ${i}: ${slot.bytes} bytes`
      : `texture ${i}: ${slot.extent.width}x${slot.extent.height}x${slot.extent.layers} texels`,
  );
  return [...lines, ...slots, `${plan.bytes} bytes; no plan can do with less than ${plan.lowerBound}`].join(
    '\n',
  );
}
