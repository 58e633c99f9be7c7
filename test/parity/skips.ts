import { test } from 'vitest';
import { haveShared } from './golden.ts';

/** Where this checkout has no recordings of the authors' own code, a skipped test says so. */
export function skippedWithoutShared(): void {
  if (haveShared) return;
  test("recordings of the authors' own code", ({ skip }) =>
    skip('no ../shared/golden beside this checkout: our own small recordings only'));
}
