import { describe, expect, test } from 'vitest';
import { openDevice } from '../../engine/device/device.node.ts';
import { closeDevice, type Device, hasTensorCores } from '../../engine/device/device.ts';
import { bindingsOf, type KernelSpec, kernelKey, specialise } from '../../engine/device/kernel.ts';
import { shareText } from '../../engine/device/launchSizes.ts';
import { pipelineFor } from '../../engine/device/pipelines.ts';
import { chooseConv } from '../../engine/ops/conv2d/choose.ts';
import { convSizes } from '../../engine/ops/conv2d/sizes.ts';
import { TILE_NAMES } from '../../engine/ops/conv2d/tile.ts';
import { withRecorder } from '../../engine/record/recorder.ts';
import { DEFAULTS, type UgatitConfig } from '../../model/ugatit/ugatit.ts';
import { allCases } from '../cases/index.ts';
import { useDevice } from '../device.ts';
import { TINY, traceStep } from './models.ts';
import { traceCase } from './traceCase.ts';

// The null backend runs the real WGSL compiler, line and column included, and no kernel.
const gpu = useDevice({ backend: 'null' });

type Kernels = Map<string, KernelSpec>;

function collect(into: Kernels, launches: readonly { kernel: KernelSpec | null }[]): void {
  for (const { kernel } of launches) if (kernel) into.set(kernelKey(kernel), kernel);
}

/** What sort of adapter kernels are chosen for. */
const KINDS = {
  'a GPU': { isCpu: false, subgroupSize: 32 },
  'a GPU without subgroups of one size': { isCpu: false, subgroupSize: 0 },
  'a processor': { isCpu: true, subgroupSize: 8 },
};

function as(kind: keyof typeof KINDS): Device {
  return { ...gpu.device, ...KINDS[kind] };
}

/** Compiles all, with sizes in the text and in a block; gives the first lines of what is refused. */
async function compileAll(kernels: Kernels, device: Device): Promise<string[]> {
  const refused: string[] = [];
  for (const sharedKernels of [false, true]) {
    const compiler = { ...device, sharedKernels, pipelines: new Map() };
    const all = [...kernels.values()].map((spec) => pipelineFor(compiler, spec).catch((e: Error) => e));
    for (const result of await Promise.all(all)) {
      if (result instanceof Error) refused.push(result.message.split('\n').slice(0, 3).join(' '));
    }
  }
  return refused;
}

/** What the compiler says of kernels' texts, with sizes in the text and in a block. */
async function complaints({ gpu: on }: Device, kernels: readonly KernelSpec[]): Promise<string[]> {
  const found: string[] = [];
  const texts = kernels.flatMap((spec) => {
    const text = specialise(spec);
    return [text, shareText(text, spec.constants, bindingsOf(spec).length).code];
  });
  for (const code of new Set(texts)) {
    on.pushErrorScope('validation');
    const { messages } = await on.createShaderModule({ code }).getCompilationInfo();
    found.push(...messages.map(({ lineNum, message }) => `${lineNum}: ${message}`));
    await on.popErrorScope();
  }
  return found;
}

const MODELS: Record<string, UgatitConfig> = {
  'light 96': { ...DEFAULTS, size: 96, ch: 16 },
  'full 64': { ...DEFAULTS, size: 64, ch: 16, light: false, disLayers: [6, 5] },
  'tiny, batch 2': { ...TINY, batch: 2 },
  'tiny full, batch 2, odd channels': { ...TINY, ch: 3, light: false, batch: 2 },
};

for (const kind of Object.keys(KINDS) as (keyof typeof KINDS)[]) {
  describe(`kernels for ${kind} compile`, () => {
    test('of the training step', async () => {
      const kernels: Kernels = new Map();
      for (const config of Object.values(MODELS)) collect(kernels, traceStep(as(kind), config).launches);
      expect(kernels.size).toBeGreaterThan(50);
      expect(await compileAll(kernels, gpu.device)).toEqual([]);
    });

    test('of every op, in every variant', async () => {
      const kernels: Kernels = new Map();
      for (const c of allCases) {
        for (const variant of [null, ...(c.variants ?? [])]) {
          const device = { ...as(kind), variants: variant ? { [c.op]: variant } : {} };
          collect(kernels, traceCase(device, c));
        }
      }
      expect(await compileAll(kernels, gpu.device)).toEqual([]);
    });
  });
}

describe('kernels of mixed precision', () => {
  const mixed = (kind: keyof typeof KINDS): Device => ({ ...as(kind), precision: 'mixed' });

  test('compile', async () => {
    const kernels: Kernels = new Map();
    const configs = [MODELS['light 96'], MODELS['tiny full, batch 2, odd channels']];
    for (const config of configs) collect(kernels, traceStep(mixed('a GPU'), config).launches);
    expect([...kernels.keys()].join()).toMatch(/operandsHalf/);
    expect([...kernels.keys()].join()).not.toMatch(/tileMatrix/);
    expect(await compileAll(kernels, gpu.device)).toEqual([]);
  });

  test('for tensor cores are legal', async () => {
    const device = await openDevice({ backend: 'null', mixed: true });
    const kernels: Kernels = new Map();
    try {
      for (const c of allCases.filter(({ op }) => op === 'conv2d')) {
        for (const size of TILE_NAMES) {
          const variants = { conv2d: `gather/tiles/matrix/${size}` };
          collect(kernels, traceCase({ ...mixed('a GPU'), tensorCores: true, variants }, c));
        }
      }
      const matrix = [...kernels.values()].filter(({ constants }) => constants.CORE === 'tileMatrix');
      expect(matrix.length).toBeGreaterThan(30);
      const before = gpu.device.gpu;
      expect(before.features.has('chromium-experimental-subgroup-matrix' as GPUFeatureName)).toBe(false);
      // Modules, not pipelines: the null backend has 16 KiB of workgroup memory, and these take up to 25.
      expect(await complaints(device, matrix)).toEqual([]);
    } finally {
      await closeDevice(device);
    }
  });
});

describe('tensor cores', () => {
  const ALL = ['chromium-experimental-subgroup-matrix', 'subgroups', 'shader-f16'];
  const HALF = { componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 };
  const fit = (changes: object = {}, features = ALL, memory = 49152) => {
    const sizes = { subgroupMinSize: 32, subgroupMaxSize: 32 };
    const info = { ...sizes, subgroupMatrixConfigs: [{ ...HALF, M: 8 }, HALF], ...changes };
    const adapter = {
      features: new Set(features),
      limits: { maxComputeWorkgroupStorageSize: memory },
    } as unknown as GPUDevice;
    return hasTensorCores(adapter, info as unknown as GPUAdapterInfo);
  };

  test('are used where adapter, sizes and memory fit, and nowhere else', () => {
    expect(fit()).toBe(true);
    expect(fit({ subgroupMatrixConfigs: undefined })).toBe(false);
    expect(fit({ subgroupMatrixConfigs: [] })).toBe(false);
    expect(fit({ subgroupMatrixConfigs: [{ ...HALF, resultComponentType: 'f16' }] })).toBe(false);
    expect(fit({ subgroupMatrixConfigs: [{ ...HALF, K: 8 }] })).toBe(false);
    expect(fit({ subgroupMinSize: 8 })).toBe(false);
    for (const missing of ALL) {
      const others = ALL.filter((feature) => feature !== missing);
      expect(fit({}, others), missing).toBe(false);
    }
    expect(fit({}, ALL, 16384)).toBe(false);
  });

  test('are tried by the tuner only where they fit', () => {
    const sizes = convSizes([1, 64, 64, 128], [128, 3, 3, 128], null, { pad: 1 });
    const triedOn = (parts: Partial<Device>) => {
      const noted: Device['tuning']['noted'] = new Map();
      const device: Device = {
        ...as('a GPU'),
        precision: 'mixed',
        ...parts,
        tuning: { best: new Map(), noted },
      };
      const { result } = withRecorder(device, () => chooseConv(device, sizes, 'forward'));
      expect(result.operands).toBe(device.precision === 'mixed' ? 'f16' : undefined);
      return [...noted.values()].flatMap(({ candidates }) => candidates).join(' ');
    };
    expect(triedOn({ tensorCores: true })).toContain('gather/tiles/matrix/large');
    expect(triedOn({ tensorCores: false })).not.toContain('matrix');
    expect(triedOn({ tensorCores: true, precision: 'full' })).not.toMatch(/matrix|f16/);
    const forced = { ...as('a GPU'), variants: { conv2d: 'gather/tiles/matrix/large' } };
    expect(withRecorder(forced, () => chooseConv(forced, sizes, 'forward')).result.operands).toBeUndefined();
  });
});

test('a kernel that is refused says where', async () => {
  const spec = { name: 'add/main', entry: 'nowhere', constants: {} };
  await expect(pipelineFor(gpu.device, spec)).rejects.toThrow(
    /add\/main:nowhere.*does not compile[\s\S]*\n {3}1 /,
  );
});
