import { grid1d, intermediate, launch, recorder } from '../../record/recorder.ts';
import { elements } from '../../record/shape.ts';
import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';
import { kernelsOf } from './algorithms.ts';
import { type ConvPass, chooseConv } from './choose.ts';
import type { ConvKernels, ConvPasses } from './kernels.ts';
import type { SigmaGradient } from './sigmaGradient.ts';
import type { ConvSizes } from './sizes.ts';

const WG = 64;

/** x / sigma, each sample by its call's: for kernels that cannot divide their sums. */
function divided(x: Tensor, { calls, sigma }: Spectrum): Tensor {
  const y = intermediate(x.shape, 'x / sigma');
  const count = elements(x.shape);
  launch({
    kernel: 'conv2d/divideSamples',
    constants: { CALLS: calls, SIZE: count / calls, WG },
    label: 'conv2d.divideSamples',
    bind: [x, sigma, y],
    grid: grid1d(count, WG),
  });
  return y;
}

/** dw += the outer products, in place: for kernels that cannot add them. */
function addOuter(dw: Tensor, { spectrum, dsigma }: SigmaGradient): void {
  const { calls, u, v } = spectrum;
  const [O, M] = [u.shape[1], v.shape[1]];
  launch({
    kernel: 'conv2d/addOuter',
    constants: { O, M, CALLS: calls, WG },
    label: 'conv2d.addOuter',
    bind: [dsigma, u, v, dw],
    grid: grid1d(O * M, WG),
  });
}

/** The passes of a convolution, each by the variant that is chosen for it when it is recorded. */
export function passesOf(s: ConvSizes): ConvPasses {
  const kernelsFor = (pass: ConvPass): ConvKernels => kernelsOf(chooseConv(recorder().device, s, pass));
  return {
    forward(x, w, b, epilogue, spectrum) {
      const kernels = kernelsFor('forward');
      if (!spectrum || kernels.takesSpectrum) return kernels.forward(x, w, b, s, epilogue, spectrum);
      return kernels.forward(divided(x, spectrum), w, b, s, epilogue, null);
    },
    backward(x, w, dy, [needX, needW], outer) {
      const toInput = needX ? kernelsFor('backwardInput') : null;
      const toWeight = needW ? kernelsFor('backwardWeight') : null;
      const own = toWeight?.takesSpectrum ? outer : null;
      // What both need of dy, a variant computes once.
      const [dx, dw] =
        toInput === toWeight || !toInput || !toWeight
          ? ((toInput ?? toWeight)?.backward(x, w, dy, s, [needX, needW], own) ?? [null, null])
          : [
              toInput.backward(x, w, dy, s, [true, false], null)[0],
              toWeight.backward(x, w, dy, s, [false, true], own)[1],
            ];
      if (dw && outer && !own) addOuter(dw, outer);
      return [dx, dw];
    },
  };
}
