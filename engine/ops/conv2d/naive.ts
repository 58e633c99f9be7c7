import { grid1d, intermediate, launch } from '../../record/recorder.ts';
import { elements } from '../../record/shape.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { ConvKernels } from './kernels.ts';

const WG = 64;

function run(entry: string, bind: Tensor[], constants: Record<string, number | boolean>): Tensor {
  const result = bind[3];
  launch({
    kernel: 'conv2d/naive',
    entry,
    constants: { ...constants, WG },
    label: `conv2d.${entry}`,
    bind,
    grid: grid1d(elements(result.shape), WG),
  });
  return result;
}

/** The convolution as defined: twin of the fast kernels, and last resort for layers that suit none. */
export const naive: ConvKernels = {
  forward(x, w, b, sizes, epilogue) {
    const y = intermediate([sizes.N, sizes.OH, sizes.OW, sizes.CO], 'conv2d');
    return run('forward', [x, w, b ?? w, y], { ...sizes, ...epilogue });
  },
  backward(x, w, dy, sizes, need) {
    const constants = { ...sizes };
    const backwardInput = () =>
      run('backwardInput', [dy, w, w, intermediate(x.shape, 'conv2d dx')], constants);
    const backwardWeight = () =>
      run('backwardWeight', [x, dy, dy, intermediate(w.shape, 'conv2d dw')], constants);
    return [need[0] ? backwardInput() : null, need[1] ? backwardWeight() : null];
  },
};
