import type { Device } from '../../engine/device/device.ts';
import type { Observer } from '../../train/observers.ts';
import type { LoopOptions, RunConfig } from '../../train/options.ts';
import { Progress } from './progress.ts';

/** A second Ctrl-C counts after this time: one key press can arrive as several signals. */
const SECOND_MS = 1000;

/**
 * Aborts on the first Ctrl-C (or SIGTERM), so that the run saves and ends; a second Ctrl-C ends it at once.
 * So does the death of the process that supervises this one (kill -9): whoever resumes the run at once must
 * not meet a process that still writes to it. Files are whole at any moment.
 */
export function stopOnSignals(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  let first = 0;
  const stop = () => {
    if (!controller.signal.aborted) {
      first = performance.now();
      console.error('\nstopping after this iteration (again to stop at once, without saving)');
      controller.abort();
    } else if (performance.now() - first > SECOND_MS) process.exit(130);
  };
  const end = () => process.exit(137);
  process.on('SIGINT', stop).on('SIGTERM', stop).on('SIGHUP', stop).on('disconnect', end);
  process.channel?.unref(); // it alone must not keep the process alive
  const dispose = () => {
    process.off('SIGINT', stop).off('SIGTERM', stop).off('SIGHUP', stop).off('disconnect', end);
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
  let timing: Progress | null = null;
  return {
    tuning(done, total) {
      timing ??= new Progress(total, { label: 'timing kernels', unit: 'layers' });
      timing.update(done);
      if (done === total) timing.stop();
    },
    compiling(done, total) {
      timing?.stop();
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
