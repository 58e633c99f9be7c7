import type { Device } from '../../engine/device.ts';
import type { Observer } from '../../train/observers.ts';
import type { LoopOptions, RunConfig } from '../../train/options.ts';
import { Progress } from './progress.ts';

/** Aborts on the first Ctrl-C (or SIGTERM), so that the run saves and ends; a second one ends it at once. */
export function stopOnSignals(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    console.error('\nstopping after this iteration (again to stop at once, without saving)');
    controller.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const dispose = () => {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
  };
  return { signal: controller.signal, dispose };
}

/** The progress bar of a training run: step, rate, time left, D and G loss. */
export function progressObserver(device: Device, config: RunConfig, options: LoopOptions): Observer {
  const { model } = config;
  const { light, size, ch, batch } = model;
  const kind = `${light ? 'light' : 'full'} ${size}x${size}, ch ${ch}, batch ${batch}`;
  console.log(`U-GAT-IT ${kind} on ${config.data}, ${device.name}`);
  let bar: Progress | null = null;
  let compiled = 0;
  return {
    compiling(done, total) {
      // A line at the start and one at the end say enough: the compiler works in bursts.
      if (compiled === 0) console.error(`compiling ${total} kernels`);
      compiled = done;
    },
    steps(records) {
      if (records.length === 0) return;
      const { step, losses } = records[records.length - 1];
      const first = records[0].step - 1;
      bar ??= new Progress(Math.min(config.iterations, first + options.stopAfter), { start: first });
      bar.update(step, `D ${losses['D.loss'].toFixed(3)}, G ${losses['G.loss'].toFixed(1)}`);
    },
    sample(_, files) {
      bar?.log(`sample pictures: ${files.join(' ')}`);
    },
    warning(message) {
      if (bar) bar.log(`warning: ${message}`);
      else console.error(`warning: ${message}`);
    },
    checkpoint(_, file) {
      bar?.log(`saved ${file}`);
    },
    end() {
      bar?.stop();
    },
  };
}
