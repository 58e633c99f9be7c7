import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// The README's program uses the engine as a package, which for now is only ever installed by this test.

const root = fileURLToPath(new URL('../..', import.meta.url));

test('the program in the README finds the weights, from a folder that has adawn as a package', async () => {
  const page = await readFile(join(root, 'README.md'), 'utf8');
  const [, source] = /```ts file=hello\.ts\n([\s\S]*?)```/.exec(page)!;
  const folder = await mkdtemp(join(tmpdir(), 'adawn-hello-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules', 'adawn'), 'junction');
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await writeFile(join(folder, 'hello.ts'), source);
    const tsx = join(root, 'node_modules', 'tsx', 'dist', 'cli.mjs');
    const ended = spawnSync(process.execPath, [tsx, 'hello.ts'], { cwd: folder, encoding: 'utf8' });
    expect(ended.status, ended.stderr).toBe(0);
    const [, first, second] = /weights Float32Array\(2\) \[ (\S+), (\S+) \]/.exec(ended.stdout)!.map(Number);
    expect(Math.abs(first - 2), ended.stdout).toBeLessThan(0.05);
    expect(Math.abs(second + 3), ended.stdout).toBeLessThan(0.05);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
