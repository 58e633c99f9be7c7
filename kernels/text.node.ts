import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('./', import.meta.url);

/** Text of `kernels/<name>.wgsl`. `name` is the path without its ending, for example `conv2d/naive`. */
export function kernelText(name: string): string {
  return readFileSync(new URL(`${name}.wgsl`, root), 'utf8');
}

/** Names of every kernel file, for the test that compiles them all. */
export function kernelNames(): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.wgsl'))
    .map((file) => file.slice(0, -'.wgsl'.length).replaceAll('\\', '/'))
    .sort();
}
