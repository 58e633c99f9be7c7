import { AdawnError } from './errors.ts';
import { add } from './ops/add.ts';
import { type GraphNode, recorder } from './recorder.ts';
import { scalar } from './scalar.ts';
import { elements, show } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** Nodes on a path from a target to the loss, and the tensors on those paths. */
function reach(
  outputs: readonly Tensor[],
  targets: readonly Tensor[],
): { nodes: GraphNode[]; wanted: Set<number> } {
  const { producers } = recorder();
  const seen = new Set<GraphNode>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const node = producers.get(stack.pop()!.id);
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

/**
 * Vector-Jacobian product: gradients of sum(outputs · cotangents) with respect to `targets`, in their order
 * (reverse mode). Only paths that lead to targets are walked, so a discriminator's step never enters the
 * generator. A tensor used several times receives the sum of its gradients.
 * @throws AdawnError when a target influences no output.
 */
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Tensor[],
): Tensor[] {
  const { nodes, wanted } = reach(outputs, targets);
  const found = new Map<number, Tensor>();
  const accumulate = (to: Tensor, grad: Tensor) => {
    const before = found.get(to.id);
    found.set(to.id, before ? add(before, grad) : grad);
  };
  outputs.forEach((output, i) => {
    accumulate(output, cotangents[i]);
  });
  for (const node of nodes.reverse()) {
    const dy = node.outputs.map((output) => found.get(output.id) ?? null);
    if (dy.every((g) => g === null)) continue;
    const need = node.inputs.map((input) => input !== null && wanted.has(input.id));
    const dx = node.backward(dy, need);
    node.inputs.forEach((input, i) => {
      if (!input || !need[i]) return;
      if (!dx[i]) throw new AdawnError(`${node.op}: no gradient rule for input ${i} ${show(input.shape)}`);
      accumulate(input, dx[i]);
    });
  }
  return targets.map((target) => {
    const grad = found.get(target.id);
    if (!grad) throw new AdawnError(`gradients: ${target.label || 'a target'} does not influence the loss`);
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
