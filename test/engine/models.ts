import type { Device } from '../../engine/device/device.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import { allocate, type Tensor } from '../../engine/record/tensor.ts';
import { type Recording, trace } from '../../engine/run/program.ts';
import { type Losses, trainingStep } from '../../model/ugatit/trainingStep.ts';
import { createUgatit, DEFAULTS, type UgatitConfig } from '../../model/ugatit/ugatit.ts';

/** The smallest model that has every part. */
export const TINY: UgatitConfig = { ...DEFAULTS, size: 32, ch: 4, nRes: 1, disLayers: [4, 3] };

/** The training step of a model, on paper: launches and memory plan of the kernels this device would use. */
export function traceStep(device: Device, config: UgatitConfig): Recording<Losses> {
  const paper = paperDevice(device);
  const model = createUgatit(paper, config);
  const shape = [config.batch, config.size, config.size, 3];
  const [a, b]: Tensor[] = ['A', 'B'].map((domain) => allocate(paper, shape, domain));
  const hyper = allocate(paper, [4], 'Adam numbers');
  return trace(paper, () => trainingStep(model, a, b, hyper).losses);
}
