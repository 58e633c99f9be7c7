import { AdawnError } from '../errors.ts';
import { add } from '../ops/add.ts';
import { scalar } from '../record/constants.ts';
import { type GraphNode, nameOf, recorder, writtenBy } from '../record/recorder.ts';
import { elements, expectSame, show } from '../record/shape.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';
import { expectDifferentiable } from './opaque.ts';

/** How gradients are taken. */
export interface VjpOptions {
  /**
   * Hears of each target's gradient, by the target's place in the list, as soon as it is complete: launches
   * recorded then come before those of earlier layers. `owned`: nobody but the hearer will use the tensor, so
   * it may be placed.
   */
  readonly onFinal?: (target: number, gradient: Tensor, owned: boolean) => void;
  /** `null`: the gradient of a target that influences no output is null. Default: it is an error. */
  readonly missing?: 'null' | 'error';
  /**
   * `use`: where a tensor has been overwritten since the forward pass used it, the way back takes what is
   * there now (old activations, new weights). Default: it is an error.
   */
  readonly overwritten?: 'use' | 'error';
}

/** A walk from outputs to targets. */
interface Walk {
  /** Gradients found so far, by the tensor's id. */
  readonly found: Map<number, Tensor>;
  readonly targets: readonly Tensor[];
  /** What these were computed from is not looked at. */
  readonly leaves: readonly (Tensor | null)[];
  readonly overwritten: 'use' | 'error';
}

/** Nodes on a path from a target to an output, in recording order, and the tensors on those paths. */
function reach(outputs: readonly Tensor[], { targets, leaves }: Walk) {
  const { producers } = recorder();
  const ends = new Set(leaves.map((leaf) => leaf?.id));
  const seen = new Set<GraphNode>();
  const starts = new Set<Tensor>();
  const stack = [...outputs];
  while (stack.length > 0) {
    const tensor = stack.pop()!;
    if (ends.has(tensor.id)) continue;
    const node = producers.get(tensor.id);
    if (!node) starts.add(tensor);
    if (!node || seen.has(node)) continue;
    seen.add(node);
    for (const input of node.inputs) if (input) stack.push(input);
  }
  for (const start of starts) expectDifferentiable(start, targets, ends);
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

function accumulate(found: Map<number, Tensor>, to: Tensor, grad: Tensor): void {
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
function goBack(outputs: readonly Tensor[], walk: Walk, onFinal: (id: number) => void = () => {}): void {
  const { nodes, wanted } = reach(outputs, walk);
  const uses = usesOf(nodes);
  const asked = new Set(walk.targets.map((t) => t.id));
  for (const node of nodes.reverse()) {
    passOn(node, wanted, walk);
    // Nobody will look at these again.
    for (const { id } of node.outputs) if (!asked.has(id)) walk.found.delete(id);
    for (const id of new Set(node.inputs.map((t) => t?.id))) {
      if (!id) continue;
      const left = uses.get(id)! - 1;
      uses.set(id, left);
      if (left === 0) onFinal(id);
    }
  }
}

/** A rule that reads what was overwritten meanwhile would give the gradient of something else. */
function expectUnchanged({ op, reads, versions }: GraphNode): void {
  const now = writtenBy(reads);
  const changed = reads.find((_, i) => now[i] !== versions[i]);
  if (!changed) return;
  throw new AdawnError(
    `gradients: ${nameOf(changed)} was overwritten after ${op} had used it: take the gradients before, or ` +
      "run the forward pass again; { overwritten: 'use' } takes what is there now",
  );
}

/** Records what `build` does as the way back of an op. */
function differentiating<T>(op: string, build: () => T): T {
  const rec = recorder();
  const before = rec.differentiating;
  rec.differentiating = op;
  try {
    return build();
  } finally {
    rec.differentiating = before;
  }
}

/** The gradients of a node's outputs as gradients of its inputs. */
function passOn(node: GraphNode, wanted: ReadonlySet<number>, walk: Walk): void {
  const { op, inputs, backward } = node;
  const { found, overwritten } = walk;
  const dy = node.outputs.map((output) => found.get(output.id) ?? null);
  if (dy.every((g) => g === null)) return;
  if (overwritten === 'error') expectUnchanged(node);
  const need = inputs.map((input) => input !== null && wanted.has(input.id));
  if (typeof backward !== 'function') {
    // Walked as if its ops were nodes of this graph, so that gradients are summed in the same order.
    const again = backward.recompute();
    again.forEach((output, i) => {
      if (dy[i]) found.set(output.id, dy[i]);
    });
    const targets = inputs.filter((input, i): input is Tensor => input !== null && need[i]);
    goBack(again, { ...walk, targets, leaves: inputs });
    return;
  }
  const dx = differentiating(op, () => backward(dy, need));
  inputs.forEach((input, i) => {
    if (!input || !need[i]) return;
    if (!dx[i]) throw new AdawnError(`gradients: ${op} has no rule for its input ${i}, ${nameOf(input)}`);
    expectSame(`gradients of ${op}`, `input ${i}`, input.shape, 'its gradient', dx[i].shape);
    accumulate(found, input, dx[i]);
  });
}

/** Tells of gradients whether anybody else holds the memory they lie in: another gradient, or the caller. */
function sharingOf(found: ReadonlyMap<number, Tensor>, cotangents: readonly Tensor[]) {
  const given = new Set(cotangents.map(rootOf));
  return (gradient: Tensor): boolean => {
    const root = rootOf(gradient);
    let holders = 0;
    for (const other of found.values()) if (rootOf(other) === root) holders++;
    return holders > 1 || given.has(root);
  };
}

/**
 * Vector-Jacobian product: gradients of sum(outputs · cotangents) with respect to `targets`, in their order
 * (reverse mode). Only paths that lead to targets are walked, so a discriminator's step never enters the
 * generator. A tensor used several times receives the sum of its gradients. Gradients are tensors like
 * others: they can be differentiated again as far as the ops of the way back have rules themselves.
 * @throws AdawnError when a target influences no output, when an op on the way has no rule (also: no rule for
 *   a second derivative), when a tensor that a rule reads was overwritten since; ShapeError when a rule gives
 *   a gradient of another shape than its input.
 */
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Tensor[],
  options: VjpOptions & { readonly missing: 'null' },
): (Tensor | null)[];
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Tensor[],
  options?: VjpOptions,
): Tensor[];
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: readonly Tensor[],
  { onFinal = () => {}, missing = 'error', overwritten = 'error' }: VjpOptions = {},
): (Tensor | null)[] {
  const found = new Map<number, Tensor>();
  outputs.forEach((output, i) => {
    expectSame('gradients', `output ${i}`, output.shape, 'its cotangent', cotangents[i].shape);
    accumulate(found, output, cotangents[i]);
  });
  const shared = sharingOf(found, cotangents);
  const waiting = new Map(targets.map((target, i) => [target.id, i]));
  const final = (id: number) => {
    const [target, gradient] = [waiting.get(id), found.get(id)];
    if (target === undefined || !gradient) return;
    waiting.delete(id);
    onFinal(target, gradient, !shared(gradient));
  };
  goBack(outputs, { found, targets, leaves: [], overwritten }, final);
  return targets.map((target) => {
    const grad = found.get(target.id);
    if (grad) final(target.id);
    else if (missing === 'error') {
      throw new AdawnError(
        `gradients: ${nameOf(target)} does not influence the loss: leave it out, or ask for ` +
          "{ missing: 'null' }",
      );
    }
    return grad ?? null;
  });
}

/**
 * Gradients of a scalar loss with respect to `targets`, in their order; see `vjp`.
 * @throws AdawnError when the loss is not one number, and as `vjp` does
 */
export function gradients(
  loss: Tensor,
  targets: readonly Tensor[],
  options: Pick<VjpOptions, 'overwritten'> = {},
): Tensor[] {
  if (elements(loss.shape) !== 1) {
    throw new AdawnError(`gradients: the loss must be one number, found ${show(loss.shape)}`);
  }
  return vjp([loss], [scalar(1)], targets, options);
}
