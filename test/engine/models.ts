import type { Device } from '../../engine/device/device.ts';
import { paperDevice } from '../../engine/device/paper.ts';
import type { Tensor } from '../../engine/record/tensor.ts';
import { type Recording, trace } from '../../engine/run/program.ts';
import { allocateInputs, createModel, recordStep } from '../../model/model.ts';
import { DEFAULTS, type UgatitConfig, ugatit } from '../../model/ugatit/ugatit.ts';

/** The smallest model that has every part. */
export const TINY: UgatitConfig = { ...DEFAULTS, size: 32, ch: 4, nRes: 1, disLayers: [4, 3] };

/** The training step of a model, on paper: launches and memory plan of the kernels this device would use. */
export function traceStep(device: Device, config: UgatitConfig): Recording<Record<string, Tensor>> {
  const paper = paperDevice(device);
  const model = createModel(paper, ugatit, config);
  const inputs = allocateInputs(model);
  return trace(paper, () => ({ ...recordStep(model, inputs).all }));
}
