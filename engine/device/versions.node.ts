import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Version of the npm package that Dawn comes in. */
export function dawnVersion(): string {
  const { version } = createRequire(import.meta.url)('webgpu/package.json') as { version: string };
  return version;
}

/** Version of adawn itself. */
export function adawnVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
