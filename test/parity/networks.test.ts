import { describe, expect, test } from 'vitest';
import { useDevice } from '../device.ts';
import { goldenFiles } from './golden.ts';
import { networkErrors } from './networks.ts';
import { skippedWithoutShared } from './skips.ts';

const gpu = useDevice();

/** max |difference| / max |value| of any tensor against float64. */
const LIMIT = 1e-4;
/** Times PyTorch float32's own largest error in that network. */
const TIMES_TORCH = 10;

describe('whole networks against PyTorch in float64', () => {
  skippedWithoutShared();
  for (const { set, path, name } of goldenFiles('nets', '.f64.safetensors')) {
    test(`${set}: ${name}`, async () => {
      const errors = await networkErrors(gpu.device, path);
      const torch = Math.max(...errors.map((e) => e.torch ?? 0));
      const worst = errors.reduce((a, b) => (b.ours > a.ours ? b : a));
      const [ours, theirs] = [worst.ours, torch].map((e) => e.toExponential(1));
      console.log(`${name}: worst ${worst.name} ${ours}, PyTorch's float32 ${theirs}`);
      for (const { name: tensor, ours } of errors) {
        expect(ours, tensor).toBeLessThan(LIMIT);
        const against = `${tensor} against ${TIMES_TORCH} times PyTorch's float32`;
        expect(ours, against).toBeLessThan(TIMES_TORCH * torch);
      }
    });
  }
});
