import type { Spectrum } from '../../record/spectrum.ts';
import type { Tensor } from '../../record/tensor.ts';
import type { SigmaGradient } from './sigmaGradient.ts';
import type { ConvEpilogue, ConvSizes } from './sizes.ts';

/** One way to compute a convolution and the gradients of its x and w (null where `need` asks for none). */
export interface ConvKernels {
  /** Whether these kernels take a spectrum and outer products; else they get null for both. */
  readonly takesSpectrum?: boolean;
  forward(
    x: Tensor,
    w: Tensor,
    b: Tensor | null,
    sizes: ConvSizes,
    epilogue: ConvEpilogue,
    spectrum: Spectrum | null,
  ): Tensor;
  backward(
    x: Tensor,
    w: Tensor,
    dy: Tensor,
    sizes: ConvSizes,
    need: readonly boolean[],
    outer: SigmaGradient | null,
  ): [dx: Tensor | null, dw: Tensor | null];
}

/** A convolution of known sizes and the gradients of its x and w, whatever kernels compute them. */
export interface ConvPasses {
  forward(x: Tensor, w: Tensor, b: Tensor | null, epilogue: ConvEpilogue, spectrum: Spectrum | null): Tensor;
  backward(
    x: Tensor,
    w: Tensor,
    dy: Tensor,
    need: readonly boolean[],
    outer: SigmaGradient | null,
  ): [dx: Tensor | null, dw: Tensor | null];
}
