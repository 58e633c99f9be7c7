import { KernelError } from '../errors.ts';
import { checkDevice, type Device, type Pipeline, scoped } from './device.ts';
import {
  type BindingKind,
  bindingsOf,
  fullText,
  type KernelSpec,
  kernelKey,
  numbered,
  specialise,
} from './kernel.ts';
import { sharedConstants, shareText } from './launchSizes.ts';

function layoutEntry(kind: BindingKind, binding: number): GPUBindGroupLayoutEntry {
  const visibility = GPUShaderStage.COMPUTE;
  if (kind === 'readTexture' || kind === 'writeTexture') {
    const access = kind === 'readTexture' ? 'read-only' : 'write-only';
    return {
      binding,
      visibility,
      storageTexture: { access, format: 'rgba32float', viewDimension: '2d-array' },
    };
  }
  const type = kind === 'uniform' ? 'uniform' : kind === 'write' ? 'storage' : 'read-only-storage';
  return { binding, visibility, buffer: { type } };
}

async function compile(device: Device, spec: KernelSpec): Promise<Pipeline> {
  const kinds = bindingsOf(spec);
  const text = specialise(spec);
  const { code, fields } = device.sharedKernels
    ? shareText(text, spec.constants, kinds.length)
    : { code: text, fields: [] };
  if (fields.length > 0) kinds.push('uniform');
  const label = kernelKey(spec);
  const number = String(device.pipelines.size).padStart(3, '0');
  device.dump?.(
    `kernels/${number}-${spec.name.replaceAll('/', '.')}.${spec.entry}.wgsl`,
    `// ${label}\n${code}\n`,
  );
  const { result, error } = await scoped(device, 'validation', () => {
    const layout = device.gpu.createBindGroupLayout({ label, entries: kinds.map(layoutEntry) });
    const module = device.gpu.createShaderModule({ code, label });
    const layouts = device.gpu.createPipelineLayout({ bindGroupLayouts: [layout] });
    const compute = { module, entryPoint: spec.entry };
    const made = device.gpu.createComputePipelineAsync({ label, layout: layouts, compute });
    // Both ways out are taken at once: nobody listens yet when it fails early.
    return { layout, made: made.catch((reason: unknown) => new Error(String(reason))) };
  });
  const pipeline = await result.made;
  if (pipeline instanceof Error) {
    checkDevice(device);
    const why = error?.message ?? pipeline.message;
    throw new KernelError(`${label} does not compile: ${why}\n${numbered(code)}`);
  }
  return { pipeline, layout: result.layout, fields };
}

/**
 * The compiled pipeline of a kernel; compiled once per device and set of constants.
 * @throws KernelError with the numbered source when the WGSL is refused.
 */
export function pipelineFor(device: Device, spec: KernelSpec): Promise<Pipeline> {
  const key = device.sharedKernels
    ? kernelKey({ ...spec, constants: sharedConstants(fullText(spec), spec.constants) })
    : kernelKey(spec);
  let pending = device.pipelines.get(key);
  if (!pending) {
    pending = compile(device, spec);
    device.pipelines.set(key, pending);
    // What failed for want of memory, say, may succeed later.
    pending.catch(() => device.pipelines.delete(key));
  }
  return pending;
}
