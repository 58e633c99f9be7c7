import { AdawnError } from '../errors.ts';
import { add } from '../ops/add.ts';
import { scalar } from '../record/constants.ts';
import { type GraphNode, recorder } from '../record/recorder.ts';
import { elements, show } from '../record/shape.ts';
import type { Tensor } from '../record/tensor.ts';

/**
 * Nodes on a path from a target to an output, in recording order, and the tensors on those paths. What
 * `leaves` were computed from is not looked at.
 */
function reach(
  outputs: readonly Tensor[],
  targets: readonly Tensor[],
  leaves: readonly (Tensor | null)[],
): { nodes: GraphNode[]; wanted: Set<number> } {
  const { producers } = recorder();
  const ends = new Set(leaves.map((leaf) => leaf?.id));
  const seen = new Set<GraphNode>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const { id } = stack.pop()!;
    const node = ends.has(id) ? undefined : producers.get(id);
    if (!node || seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) if (input) stack.push(input);
  }
  // In recording order a node's inputs are decided before the node itself.
  const wanted = new Set(targets.map((t) => t.id));
  const nodes: GraphNode[] = [];
  for (const node of [...seen].sort((a, b) => a.order - b.order)) {
    if (!node.inputs.some((input) => input && wanted.has(input.id))) continue;
    nodes.push(node);
    for (const output of node.outputs) wanted.add(output.id);
  }
  return { nodes, wanted };
}

/** Gradients by the tensor's id. */
type Found = Map<number, Tensor>;

function accumulate(found: Found, to: Tensor, grad: Tensor): void {
  const before = found.get(to.id);
  found.set(to.id, before ? add(before, grad) : grad);
}

/** How many of the nodes use each tensor. */
function usesOf(nodes: readonly GraphNode[]): Map<number, number> {
  const uses = new Map<number, number>();
  for (const { inputs } of nodes) {
    for (const id of new Set(inputs.map((t) => t?.id))) if (id) uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  return uses;
}

/**
 * Takes the gradients of `outputs`, which are in `found`, on to the targets.
 * @param onFinal called for each tensor when the last node that uses it was walked
 */
function walk(
  outputs: readonly Tensor[],
  targets: readonly Tensor[],
  leaves: readonly (Tensor | null)[],
  found: Found,
  onFinal: (id: number) => void = () => {},
): void {
  const { nodes, wanted } = reach(outputs, targets, leaves);
  const uses = usesOf(nodes);
  for (const node of nodes.reverse()) {
    passOn(node, wanted, found);
    for (const id of new Set(node.inputs.map((t) => t?.id))) {
      if (!id) continue;
      const left = uses.get(id)! - 1;
      uses.set(id, left);
      if (left === 0) onFinal(id);
    }
  }
}

/** The gradients of a node's outputs as gradients of its inputs. */
function passOn(node: GraphNode, wanted: ReadonlySet<number>, found: Found): void {
  const { op, inputs, backward } = node;
  const dy = node.outputs.map((output) => found.get(output.id) ?? null);
  if (dy.every((g) => g === null)) return;
  const need = inputs.map((input) => input !== null && wanted.has(input.id));
  if (typeof backward !== 'function') {
    // Walked as if its ops were nodes of this graph, so that gradients are summed in the same order.
    const again = backward.recompute();
    again.forEach((output, i) => {
      if (dy[i]) found.set(output.id, dy[i]);
    });
    const targets = inputs.filter((input, i): input is Tensor => input !== null && need[i]);
    walk(again, targets, inputs, found);
    return;
  }
  const dx = backward(dy, need);
  inputs.forEach((input, i) => {
    if (!input || !need[i]) return;
    if (!dx[i]) throw new AdawnError(`${op}: no gradient rule for input ${i} ${show(input.shape)}`);
    accumulate(found, input, dx[i]);
  });
}

/**
 * Vector-Jacobian product: gradients of sum(outputs · cotangents) with respect to `targets`, in their order
 * (reverse mode). Only paths that lead to targets are walked, so a discriminator's step never enters the
 * generator. A tensor used several times receives the sum of its gradients.
 * @param onFinal hears of each target's gradient, by the target's place in the list, as soon as it is
 *   complete: launches recorded then come before those of earlier layers
 * @throws AdawnError when a target influences no output.
 */
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Tensor[],
  onFinal: (target: number, gradient: Tensor) => void = () => {},
): Tensor[] {
  const found: Found = new Map();
  outputs.forEach((output, i) => {
    accumulate(found, output, cotangents[i]);
  });
  const waiting = new Map(targets.map((target, i) => [target.id, i]));
  const final = (id: number) => {
    const [target, gradient] = [waiting.get(id), found.get(id)];
    if (target === undefined || !gradient) return;
    waiting.delete(id);
    onFinal(target, gradient);
  };
  walk(outputs, targets, [], found, final);
  return targets.map((target) => {
    const grad = found.get(target.id);
    if (!grad) throw new AdawnError(`gradients: ${target.label || 'a target'} does not influence the loss`);
    final(target.id);
    return grad;
  });
}

/** Gradients of a scalar loss with respect to `targets`, in their order. */
export function gradients(loss: Tensor, targets: readonly Tensor[]): Tensor[] {
  if (elements(loss.shape) !== 1) {
    throw new AdawnError(`gradients: the loss must be one number, found ${show(loss.shape)}`);
  }
  return vjp([loss], [scalar(1)], targets);
}
