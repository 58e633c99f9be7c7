import type { Device } from '../device/device.ts';
import type { MemoryPlan } from '../plan/plan.ts';
import type { Launch } from '../record/recorder.ts';
import { printLaunches, printPlan } from './print.ts';

/** Programs recorded so far on devices that dump. */
const programs = new WeakMap<Device, number>();

/** Writes a program's stages where the device dumps (see `Device.dump`); does nothing elsewhere. */
export function dumpOf(device: Device) {
  const { dump } = device;
  const number = (programs.get(device) ?? 0) + 1;
  if (dump) programs.set(device, number);
  const folder = `program-${String(number).padStart(3, '0')}`;
  let stages = 0;
  return {
    stage(name: string, launches: readonly Launch[]): void {
      dump?.(`${folder}/${stages++}-${name}.txt`, `${printLaunches(launches)}\n`);
    },
    plan(launches: readonly Launch[], plan: MemoryPlan): void {
      dump?.(`${folder}/${stages++}-plan.txt`, `${printPlan(launches, plan)}\n`);
    },
  };
}
