import { differentiable, recorder } from '../record/recorder.ts';
import type { Tensor } from '../record/tensor.ts';
import { activate, activationGradient } from './activation.ts';
import { chooseConv } from './conv2d/choose.ts';
import { PATHS } from './conv2d/paths.ts';
import { ACTIVATIONS, type ConvOptions, convSizes } from './conv2d/sizes.ts';
import { normalised } from './conv2d/spectralConv.ts';
import { sumRows } from './sumRows.ts';

/**
 * Convolution of a reflection-padded, optionally upsampled picture, with bias and activation fused:
 * torch.nn.Upsample, ReflectionPad2d, Conv2d and the activation in one op.
 * @param x [N,H,W,CI]
 * @param w [CO,K,K,CI]
 * @param b [CO] or null
 * @returns [N,OH,OW,CO]
 * @throws ShapeError when the sizes do not fit.
 */
export function conv2d(x: Tensor, w: Tensor, b: Tensor | null, options: ConvOptions = {}): Tensor {
  const sizes = convSizes(x.shape, w.shape, b?.shape ?? null, options);
  const { activation = 'none', slope = 0.2, spectrum } = options;
  const kernels = PATHS[chooseConv(recorder().device, sizes)];
  const epilogue = { BIAS: b !== null, ACT: ACTIVATIONS.indexOf(activation), SLOPE: slope };
  if (spectrum) {
    // The way back needs the activation's inverse.
    const fused = activation === 'none' || (activation === 'leaky_relu' && slope > 0);
    const own = fused ? epilogue : { ...epilogue, ACT: 0 };
    const y = normalised(kernels, [x, w, b], spectrum, sizes, own);
    return fused ? y : activate(activation, slope, y);
  }
  const y = kernels.forward(x, w, b, sizes, epilogue, null);
  differentiable('conv2d', [x, w, b], [y], ([dy], need) => {
    const dz = activation === 'none' ? dy! : activationGradient(activation, slope, dy!, y);
    const [dx, dw] = kernels.backward(x, w, dz, sizes, need, null);
    return [dx, dw, need[2] ? sumRows(dz, 'conv2d.backwardBias') : null];
  });
  return y;
}
