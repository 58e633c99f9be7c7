import type { Device } from '../../engine/index.ts';
import type { Observer } from '../../train/observers.ts';
import { type LoopOptions, type RunConfig, recipeOf } from '../../train/options.ts';
import { Progress } from './progress.ts';
import { describeError } from './run.ts';

/** A second Ctrl-C counts after this time: one key press can arrive as several signals. */
const SECOND_MS = 1000;

type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';
const SIGNALS: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Ends the process as the system does on this signal. `process.exit` would run the driver's and Dawn's own
 * ends, which crash while Dawn compiles or computes. Files are whole at any moment.
 */
function die(signal: Signal): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

/**
 * Whether a lost terminal (SIGHUP) is to end the run: only if it has one. Node takes an inherited "ignore"
 * (nohup's) back, but after nohup, or without any terminal, none of the three streams is one.
 */
export const endsOnHangup = (streams: readonly { isTTY?: boolean }[]) =>
  streams.some(({ isTTY }) => isTTY === true);

/**
 * Aborts on the first Ctrl-C (or SIGTERM, or the loss of the terminal), so that the run saves and ends; a
 * second Ctrl-C ends it at once. The death of the process that supervises this one (kill -9) aborts too, and
 * so does an error that nobody caught: what was trained is saved first.
 */
export function stopOnSignals(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const hangup = endsOnHangup([process.stdin, process.stdout, process.stderr]);
  let first = 0;
  const stop = (signal: Signal) => {
    if (signal === 'SIGHUP' && !hangup) return;
    if (!controller.signal.aborted) {
      first = performance.now();
      const how = signal === 'SIGHUP' ? 'the terminal is gone: ' : '';
      console.error(
        `\n${how}stopping after the iterations under way (again to stop at once, without saving)`,
      );
      // Node would abort at its end, since it cannot reset a terminal that is gone.
      if (signal === 'SIGHUP') process.once('exit', () => die(signal));
      controller.abort();
    } else if (performance.now() - first > SECOND_MS) die(signal);
  };
  const crash = (error: unknown) => {
    console.error(`\nerror: ${describeError(error)}`);
    process.exitCode = 1;
    controller.abort();
  };
  const end = () => controller.abort();
  for (const name of SIGNALS) process.on(name, stop);
  process.on('uncaughtException', crash).on('disconnect', end);
  process.channel?.unref(); // it alone must not keep the process alive
  const dispose = () => {
    for (const name of SIGNALS) process.off(name, stop);
    process.off('uncaughtException', crash).off('disconnect', end);
  };
  return { signal: controller.signal, dispose };
}

/** The two losses that say most, in a few digits: `D 0.493, G 21.5`. */
function headline(losses: Readonly<Record<string, number>>): string {
  const totals = Object.entries(losses).filter(([name]) => /\bloss$/.test(name) && !name.includes('_'));
  const shown = (totals.length >= 2 ? totals : Object.entries(losses)).slice(0, 2);
  return shown.map(([name, v]) => `${name.replace(/\.loss$/, '')} ${v.toPrecision(3)}`).join(', ');
}

/** Says what is done before the first step. */
function beginning(): Observer {
  let compiled = 0;
  let timing: Progress | null = null;
  return {
    tuning(done, total) {
      timing ??= new Progress(total, { label: 'timing kernels', unit: 'layers' });
      timing.update(done);
      if (done === total) timing.stop();
    },
    kernels(hash, chosen) {
      timing?.stop();
      if (chosen > 0) console.error(`kernels ${hash}: the tuner chose those of ${chosen} layers`);
    },
    compiling(done, total) {
      // A line at the start says enough: the compiler works in bursts.
      if (compiled === 0) console.error(`compiling ${total} kernels`);
      compiled = done;
    },
  };
}

/** The progress bar of a training run: step, rate, time left, D and G loss. */
export function progressObserver(device: Device, config: RunConfig, options: LoopOptions): Observer {
  const { title, describe } = recipeOf(config);
  console.log(`${title} ${describe(config.model)} on ${config.data}, ${device.name}`);
  let bar: Progress | null = null;
  let last: number | undefined;
  return {
    ...beginning(),
    steps(records) {
      if (records.length === 0) return;
      const { step, losses } = records[records.length - 1];
      last ??= Math.min(config.iterations, records[0].step - 1 + options.stopAfter);
      // The rate counts from here: before, kernels were compiled.
      bar ??= new Progress(last, { start: step });
      bar.update(step, headline(losses));
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
