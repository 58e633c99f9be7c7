import { differentiable } from '../record/recorder.ts';
import type { Tensor } from '../record/tensor.ts';
import { activate, activationGradient } from './activation.ts';
import { passesOf } from './conv2d/passes.ts';
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
  const passes = passesOf(sizes);
  const epilogue = { BIAS: b !== null, ACT: ACTIVATIONS.indexOf(activation), SLOPE: slope };
  if (spectrum) {
    // The way back needs the activation's inverse.
    const fused = activation === 'none' || (activation === 'leaky_relu' && slope > 0);
    const own = fused ? epilogue : { ...epilogue, ACT: 0 };
    const y = normalised(passes, [x, w, b], spectrum, own);
    return fused ? y : activate(activation, slope, y);
  }
  const y = passes.forward(x, w, b, epilogue, null);
  differentiable('conv2d', [x, w, b], [y], ([dy], need) => {
    const dz = activation === 'none' ? dy! : activationGradient(activation, slope, dy!, y);
    const [dx, dw] = passes.backward(x, w, dz, need, null);
    return [dx, dw, need[2] ? sumRows(dz, 'conv2d.backwardBias') : null];
  });
  return y;
}
