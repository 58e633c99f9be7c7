import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';

// Dawn as a browser would offer it, for frameworks that look for navigator.gpu.

Object.assign(globalThis, globals);
process.env.XDG_RUNTIME_DIR ??= tmpdir(); // else Mesa complains on every start
// On globalThis: the object that create() returns crashes Dawn when it is garbage collected.
globalThis.dawn = create([]);
Object.defineProperty(globalThis, 'navigator', { value: { gpu: globalThis.dawn, userAgent: 'Node' } });

/** Part of the expected time to sleep, as in engine/waiting.ts. */
const SLEEP_SHARE = 0.8;

let wakeAt = 0;

/** Says that the coming runs take about that many milliseconds. */
export function expectMs(ms) {
  wakeAt = performance.now() + SLEEP_SHARE * ms;
}

/**
 * While a promise of Dawn's is pending, its Node binding polls without pause and takes a core from a
 * processor that plays a GPU. adawn sleeps most of the expected time first; so that it is no advantage, the
 * same is done here for the others, whatever they wait with.
 */
function sleepBefore(owner, name) {
  const native = owner.prototype[name];
  owner.prototype[name] = async function (...args) {
    const ms = wakeAt - performance.now();
    if (ms > 3) await new Promise((wake) => setTimeout(wake, ms));
    return native.apply(this, args);
  };
}

sleepBefore(globalThis.GPUBuffer, 'mapAsync');
sleepBefore(globalThis.GPUQueue, 'onSubmittedWorkDone');

/** The version of a package installed here. */
export function versionOf(name) {
  const path = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(path, 'utf8')).version;
}

/** Ends the process with Dawn's words where a device reports an error: results are garbage from then on. */
export function failOnErrors(device) {
  device.addEventListener('uncapturederror', ({ error }) => {
    console.error(`Error: the GPU reported: ${error.message.split('\n')[0]}`);
    process.exit(1);
  });
}
