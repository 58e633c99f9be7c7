import { cases as adam } from './adam.ts';
import { cases as cam } from './cam.ts';
import { cases as camLogits } from './camLogits.ts';
import { cases as conv2d } from './conv2d.ts';
import { cases as conv2dSpectrum } from './conv2dSpectrum.ts';
import { cases as elementwise } from './elementwise.ts';
import { cases as linear } from './linear.ts';
import { cases as loss } from './loss.ts';
import { cases as norm } from './norm.ts';
import { cases as spectralNorm } from './spectralNorm.ts';
import type { OpCase } from './types.ts';

/** Every configuration of every op; the benchmark reads them too. */
export const allCases: OpCase[] = [
  ...conv2d,
  ...conv2dSpectrum,
  ...elementwise,
  ...linear,
  ...adam,
  ...cam,
  ...camLogits,
  ...spectralNorm,
  ...norm,
  ...loss,
];
