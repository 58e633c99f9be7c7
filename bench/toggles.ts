import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { UsageError } from '../cli/common/run.ts';

/** The compiled Dawn that the npm package `webgpu` loads here (its index.js). */
function dawnFile(): string {
  const folder = dirname(createRequire(import.meta.url).resolve('webgpu'));
  const arch = process.platform === 'darwin' ? 'universal' : process.arch;
  return join(folder, 'dist', `${process.platform}-${arch}`, 'dawn.node');
}

/**
 * `a,b`: names of Dawn's toggles, as `--toggles` takes them. Dawn passes over names it does not know, and a
 * measurement would be taken for one with the toggle: so they are looked for in Dawn itself.
 * @throws UsageError for a name that is not there.
 */
export function togglesOf(text: string | undefined): string[] {
  if (text === undefined) return [];
  const names = text.split(',').map((name) => name.trim());
  const strings = readFileSync(dawnFile(), 'latin1');
  const unknown = names.filter((name) => !/^\w+$/.test(name) || !strings.includes(`${name}\0`));
  if (unknown.length === 0) return names;
  throw new UsageError(
    `--toggles ${text}: Dawn has no toggle ${unknown[0] || '""'}; ` +
      'names such as disable_robustness are in its source file src/dawn/native/Toggles.cpp',
  );
}
