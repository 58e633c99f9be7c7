import { DeviceError } from '../errors.ts';
import type { Device, Precision } from './device.ts';

export const PRECISIONS: readonly Precision[] = ['full', 'mixed'];

/**
 * Has what is recorded from now on computed in this precision.
 * @throws DeviceError where the adapter has no 16-bit floats.
 */
export function usePrecision(device: Device, precision: Precision): void {
  if (precision === 'mixed' && !device.gpu.features.has('shader-f16')) {
    throw new DeviceError(
      `mixed precision needs 16-bit floats in shaders (shader-f16), which ${device.name} does not offer: ` +
        'compute in full precision',
    );
  }
  device.precision = precision;
}
