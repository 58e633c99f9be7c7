import { afterAll, beforeAll } from 'vitest';
import { type NodeOpenOptions, openDevice } from '../engine/device/device.node.ts';
import { closeDevice, type Device } from '../engine/device/device.ts';

/** Opens a device before the tests of a file and closes it after them. */
export function useDevice(options: NodeOpenOptions = {}): { readonly device: Device } {
  const holder: { device: Device } = { device: undefined as unknown as Device };
  beforeAll(async () => {
    holder.device = await openDevice(options);
  });
  afterAll(async () => {
    await closeDevice(holder.device);
  });
  return holder;
}
