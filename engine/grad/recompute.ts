import { AdawnError } from '../errors.ts';
import { forgettingActivations } from '../record/memo.ts';
import { differentiable, type GraphNode, nameOf, recorder } from '../record/recorder.ts';
import { rootOf, type Tensor } from '../record/tensor.ts';

/** The nodes recorded since there were `first` of them. */
function nodesFrom(first: number): Set<GraphNode> {
  return new Set([...recorder().producers.values()].filter(({ order }) => order >= first));
}

/** Gradients would be lost where the ops read anything that is neither theirs nor declared. */
function expectClosed(nodes: ReadonlySet<GraphNode>, inputs: readonly Tensor[]): void {
  const known = new Set(inputs.map(({ id }) => id));
  for (const { outputs } of nodes) for (const { id } of outputs) known.add(id);
  for (const { op, inputs: used } of nodes) {
    const foreign = used.find((t) => t && t.constant === null && !known.has(t.id));
    if (foreign) throw new AdawnError(`checkpoint: ${op} reads ${nameOf(foreign)}, which is no input`);
  }
}

/** Recording them a second time must change nothing. */
function expectPure(first: number): void {
  for (const { label, bindings, writes } of recorder().launches.slice(first)) {
    const written = bindings.find((t, i) => writes[i] && rootOf(t).storage !== null);
    if (written) {
      throw new AdawnError(`checkpoint: ${label} writes ${nameOf(written)}, and would do it twice`);
    }
  }
}

/**
 * What `build` gives, without keeping what it computes in between: on the way back `build` is recorded a
 * second time, right before the gradients that need it. Costs its forward pass once more, and saves all of
 * its memory but `inputs`. The same kernels sum in the same order, so results are equal to the bit.
 * @param inputs everything differentiable that `build` reads: activations and weights; or a function that
 *   knows them once `build` has run
 * @param build records ops on them, the same at every call; it may not write tensors that live on
 * @throws AdawnError when it reads what is no input or writes what lives on
 */
export function checkpoint(
  inputs: readonly Tensor[] | (() => readonly Tensor[]),
  build: () => Tensor,
): Tensor {
  const { nodes: firstNode, launches } = recorder();
  const firstLaunch = launches.length;
  // A padded copy kept from now to the way back would be an activation kept.
  const y = forgettingActivations(build);
  const inside = nodesFrom(firstNode);
  if (![...inside].some(({ outputs }) => outputs.includes(y))) {
    throw new AdawnError(`checkpoint: ${nameOf(y)} is not computed by it`);
  }
  const all = typeof inputs === 'function' ? inputs() : inputs;
  expectClosed(inside, all);
  expectPure(firstLaunch);
  // The last node of a tensor is what the autograd finds: this hides those inside.
  differentiable('checkpoint', all, [y], { recompute: () => [build()] });
  return y;
}
