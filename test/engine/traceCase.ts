import type { Device } from '../../engine/device/device.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import { vjp } from '../../engine/grad/autograd.ts';
import type { Launch } from '../../engine/record/recorder.ts';
import { allocate, type Tensor } from '../../engine/record/tensor.ts';
import { trace } from '../../engine/run/program.ts';
import type { OpCase } from '../cases/types.ts';

/** What a case and its gradients launch on such a device; nothing runs. */
export function traceCase(device: Device, c: OpCase): Launch[] {
  const paper = paperDevice(device);
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape }] of Object.entries(c.inputs)) inputs[name] = allocate(paper, shape, name);
  const { launches } = trace(paper, () => {
    const ys = c.run(inputs);
    const dys = ys.map((y) => allocate(paper, y.shape, 'dy'));
    const grads =
      c.grad.length > 0
        ? vjp(
            ys,
            dys,
            c.grad.map((name) => inputs[name]),
          )
        : [];
    return Object.fromEntries([...ys, ...grads].map((tensor, i) => [`${i}`, tensor]));
  });
  return [...launches];
}
