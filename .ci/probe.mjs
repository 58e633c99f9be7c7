// Is there an adapter that Dawn can use? Prints its name (exit 0) or the reason why not (exit 1).
// The question is put in a child process, because Dawn or a driver may crash, hang, or warn on stderr.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ANSWER = 'adapter: ';
const LIMIT_MS = 60_000;

async function ask() {
  const { create } = await import('webgpu');
  // On globalThis: the object that create() returns crashes Dawn when it is garbage collected.
  globalThis.gpu = create([]);
  const adapter = await globalThis.gpu.requestAdapter();
  if (!adapter) throw new Error('requestAdapter() returned null');
  const device = await adapter.requestDevice();
  const { vendor, architecture, description } = adapter.info;
  console.log(ANSWER + (description || `${vendor} ${architecture}`));
  device.destroy();
}

function askInChild() {
  const args = [fileURLToPath(import.meta.url), 'child'];
  const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: LIMIT_MS });
  const answer = child.stdout.split('\n').find((line) => line.startsWith(ANSWER));
  if (answer) {
    console.log(answer.slice(ANSWER.length));
    return 0;
  }
  const end = child.error?.message ?? (child.signal ? `killed by ${child.signal}` : `exit ${child.status}`);
  console.log(`no usable adapter (${end})\n${child.stderr.trim()}`);
  return 1;
}

if (process.argv[2] !== 'child') process.exitCode = askInChild();
else {
  await ask().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
