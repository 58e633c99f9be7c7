import { AdawnError } from '../errors.ts';
import { type Launch, nameOf, recorder } from '../record/recorder.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';

/** The launches that computed intermediates, by the tensor that owns the memory. */
function writersOf(launches: readonly Launch[]): Map<Tensor, Launch[]> {
  const writers = new Map<Tensor, Launch[]>();
  for (const item of launches) {
    item.bindings.forEach((tensor, i) => {
      if (!item.writes[i]) return;
      const root = rootOf(tensor);
      const known = writers.get(root);
      if (known) known.push(item);
      else writers.set(root, [item]);
    });
  }
  return writers;
}

/** Whether memory lived on before this program: what launches of it write there in place is a constant. */
function livesOn(root: Tensor): boolean {
  return root.storage !== null && !recorder().writes.intermediates.has(root.id);
}

function message(start: Tensor, launches: readonly Launch[]): string {
  const { backwardOf } = recorder();
  const way = launches.find((item) => backwardOf.has(item));
  const what = way
    ? `second derivative of ${backwardOf.get(way)}: no rule`
    : `${launches[0]?.label ?? nameOf(start)} has no rule for derivatives`;
  return (
    `gradients: ${what} (${nameOf(start)} was computed from a tensor that gradients are asked for): ` +
    'wrap it in constant() where it is meant to be one'
  );
}

/**
 * The graph ends at `start`, which no op declared as its output. That is right for constants and inputs, but
 * where undeclared launches computed it from a target (the gradients of most ops are such), the gradient
 * through it would silently be missing.
 * @param ends ids of tensors whose past is not looked at
 * @throws AdawnError then: it names the op
 */
export function expectDifferentiable(
  start: Tensor,
  targets: readonly Tensor[],
  ends: ReadonlySet<number | undefined>,
): void {
  if (start.base === null && livesOn(start)) return;
  const { producers, launches } = recorder();
  const wanted = new Set(targets.map(({ id }) => id));
  if (wanted.has(start.id)) return;
  const writers = writersOf(launches);
  const seen = new Set<number>();
  const stack: Tensor[] = [start];
  while (stack.length > 0) {
    const tensor = stack.pop()!;
    if (wanted.has(tensor.id)) {
      throw new AdawnError(message(start, writers.get(rootOf(start)) ?? []));
    }
    if (seen.has(tensor.id) || ends.has(tensor.id)) continue;
    seen.add(tensor.id);
    const node = producers.get(tensor.id);
    if (node) stack.push(...node.inputs.filter((input) => input !== null));
    else if (tensor.base) stack.push(tensor.base);
    else if (!livesOn(tensor)) {
      const read = (item: Launch) => item.bindings.filter((_, i) => !item.writes[i]);
      stack.push(...(writers.get(tensor) ?? []).flatMap(read));
    }
  }
}
