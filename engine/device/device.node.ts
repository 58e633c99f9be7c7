import { mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DeviceError } from '../errors.ts';
import { type Device, type OpenOptions, openOn } from './device.ts';

/** Held for the life of the process: when Dawn's instance is collected, Dawn crashes. */
const holder = globalThis as unknown as { adawnInstances?: Map<string, GPU> };

export interface NodeOpenOptions extends OpenOptions {
  /** Part of an adapter's name (`nvidia`, `llvmpipe`), case-insensitive. */
  readonly adapter?: string;
  /** Dawn backend: `vulkan`, `metal`, `d3d12`, or `null` (compiles WGSL, runs nothing). */
  readonly backend?: string;
  /** Time stamps to the nanosecond instead of Dawn's usual 0.07 ms (it rounds them against spying pages). */
  readonly exactStamps?: boolean;
  /**
   * For mixed precision: 16-bit floats on NVIDIA's Vulkan drivers, where Dawn hides them (some versions
   * failed its conformance tests; `npm test` checks their values), and Dawn's unsafe features, which tensor
   * cores are one of.
   */
  readonly mixed?: boolean;
  /**
   * Kernels run as they are written: Dawn neither keeps indices within bounds (nor has the driver do so) nor
   * clears workgroup memory first, as browsers must for kernels of strangers. Ours depend on neither; some
   * load a vec4 across the end of a tensor and use the part that is inside.
   */
  readonly trusted?: boolean;
  /** Dawn's toggles to enable besides; Dawn ignores names it does not know. */
  readonly toggles?: readonly string[];
}

async function instance(options: NodeOpenOptions): Promise<GPU> {
  // Mesa complains on every start when this is unset.
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  const flags: string[] = [];
  if (options.backend) flags.push(`backend=${options.backend}`);
  if (options.adapter) flags.push(`adapter=${options.adapter}`);
  if (options.exactStamps) flags.push('disable-dawn-features=timestamp_quantization');
  // In one flag: a second one would replace the first.
  const mixed = options.mixed ? ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'] : [];
  const trusted = options.trusted ? ['disable_robustness', 'disable_workgroup_init'] : [];
  const toggles = [...mixed, ...trusted, ...(options.toggles ?? [])];
  if (toggles.length > 0) flags.push(`enable-dawn-features=${toggles.join(',')}`);
  const key = flags.join(' ');
  holder.adawnInstances ??= new Map();
  const known = holder.adawnInstances.get(key);
  if (known) return known;
  const { create, globals } = await import('webgpu').catch((cause: unknown) => {
    throw new DeviceError('the npm package "webgpu" (Dawn) does not load here: run `npm run setup`', {
      cause,
    });
  });
  Object.assign(globalThis, globals);
  const gpu = create(flags) as GPU;
  holder.adawnInstances.set(key, gpu);
  return gpu;
}

/** What stands against opening an adapter; where others were found by another name, which. */
function noAdapter({ adapter }: NodeOpenOptions, cause: unknown): DeviceError {
  // Dawn lists them in its message: ` * backend: 'vulkan', name: 'llvmpipe (LLVM 15.0.6, 256 bits)'`
  const lines = String(cause ?? '').matchAll(/\* backend: '[^']*', name: '([^'\n]*)'/g);
  const names = [...new Set([...lines].map(([, name]) => `"${name}"`))];
  if (adapter && names.length > 0) {
    return new DeviceError(
      `no adapter matching "${adapter}" found: give a part of ${names.join(' or of ')}, ` +
        'or none for the best one',
    );
  }
  const which = adapter ? `no adapter matching "${adapter}"` : 'no WebGPU adapter';
  return new DeviceError(
    `${which} found: run \`npm run setup\` to install a driver, or \`npx tsx cli/doctor.ts\` to see why`,
  );
}

/** Writes texts into files of a folder, made where it is missing. */
function dumpInto(folder: string | undefined): Device['dump'] {
  if (!folder) return null;
  return (name, text) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
}

/**
 * Opens the best adapter of this machine through Dawn.
 * With the environment variable ADAWN_DUMP, every program that is recorded on it and every kernel's text are
 * written into the folder it names.
 * @throws DeviceError that says what to do where there is no adapter.
 */
export async function openDevice(options: NodeOpenOptions = {}): Promise<Device> {
  const gpu = await instance(options);
  let cause: unknown;
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch((error) => {
    cause = error;
    return null;
  });
  if (!adapter) throw noAdapter(options, cause);
  const device = await openOn(adapter, options);
  device.dump = dumpInto(process.env.ADAWN_DUMP);
  return device;
}
