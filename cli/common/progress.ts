/** Where progress goes: standard error, so that a command's output can be piped. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** What is being done, in front of everything else. */
  label?: string;
  /** The unit behind the rate; default 'steps'. */
  unit?: string;
  /** Steps already done before this run (a resumed training); they do not count for the rate. Default 0. */
  start?: number;
  /** Without a terminal: at least this many seconds between two lines; default 30. */
  lineSeconds?: number;
  stream?: ProgressStream;
  /** Seconds now; for tests. */
  now?: () => number;
}

/** Redraw a terminal's bar at most this often, in seconds. */
const REDRAW_SECONDS = 0.1;

/** A rate over less than this many seconds is not shown. */
const MEANINGFUL_SECONDS = 0.5;

/** The rate is taken over a window of about this many seconds, so that it follows the present speed. */
const RATE_SECONDS = 20;

/**
 * Progress of a command with a known number of steps: step, steps/s, time left, and free text. On a terminal
 * one line that is redrawn; elsewhere (a file, a CI log) a plain line now and then, the last step always
 * included.
 */
export class Progress {
  private readonly stream: ProgressStream;
  private readonly now: () => number;
  private readonly tty: boolean;
  private readonly started: number;
  private marks: { time: number; step: number }[];
  private step: number;
  private text = '';
  private lastDrawn = Number.NEGATIVE_INFINITY;
  private lineOpen = false;
  private readonly total: number;
  private readonly options: ProgressOptions;

  constructor(total: number, options: ProgressOptions = {}) {
    this.total = total;
    this.options = options;
    this.stream = options.stream ?? process.stderr;
    this.now = options.now ?? (() => performance.now() / 1000);
    this.tty = this.stream.isTTY === true && process.env.TERM !== 'dumb';
    this.started = this.now();
    this.step = options.start ?? 0;
    this.marks = [{ time: this.started, step: this.step }];
  }

  /** Says that `step` steps are done in all; `text` (losses and the like) stays until it is replaced. */
  update(step: number, text?: string): void {
    this.step = step;
    if (text !== undefined) this.text = text;
    const time = this.now();
    const due = time - this.lastDrawn >= (this.tty ? REDRAW_SECONDS : (this.options.lineSeconds ?? 30));
    if (due || step >= this.total) this.draw(time);
  }

  /** One more step done. */
  tick(text?: string): void {
    this.update(this.step + 1, text);
  }

  /** Prints a line of its own above the bar. */
  log(line: string): void {
    if (this.lineOpen) this.stream.write('\r\x1b[K');
    this.stream.write(`${line}\n`);
    if (this.lineOpen) this.draw(this.now());
  }

  /** Ends the bar's line; call it when done, and before an error is printed. */
  stop(): void {
    if (this.lineOpen) this.stream.write('\n');
    this.lineOpen = false;
  }

  /** The present line, without the bar. */
  line(time = this.now()): string {
    const { label, unit = 'steps' } = this.options;
    const rate = this.rate(time);
    const left = this.total - this.step;
    const parts = [`${label ? `${label} ` : ''}${this.step}/${this.total}`];
    if (rate > 0) {
      parts.push(
        rate >= 1
          ? `${rate.toFixed(rate < 10 ? 2 : 0)} ${unit}/s`
          : `${(1 / rate).toFixed(2)} s per ${unit.replace(/s$/, '')}`,
      );
      parts.push(
        left > 0 ? `${formatDuration(left / rate)} left` : `took ${formatDuration(time - this.started)}`,
      );
    }
    if (this.text) parts.push(this.text);
    return parts.join(', ');
  }

  private rate(time: number): number {
    const newest = this.marks[this.marks.length - 1];
    if (time - newest.time > 1 && this.step > newest.step) this.marks.push({ time, step: this.step });
    while (this.marks.length > 2 && time - this.marks[1].time > RATE_SECONDS) this.marks.shift();
    const oldest = this.marks[0];
    const elapsed = time - oldest.time;
    // The first moments say nothing about the speed, also where they are all there is.
    return elapsed > MEANINGFUL_SECONDS ? (this.step - oldest.step) / elapsed : 0;
  }

  private draw(time: number): void {
    this.lastDrawn = time;
    const line = this.line(time);
    if (!this.tty) {
      this.stream.write(`${line}\n`);
      return;
    }
    const columns = this.stream.columns ?? 80;
    const share = this.total > 0 ? Math.min(1, this.step / this.total) : 1;
    const width = Math.min(24, columns - line.length - 4);
    const filled = Math.round(share * width);
    const bar = width >= 8 ? `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ` : '';
    this.stream.write(`\r\x1b[K${(bar + line).slice(0, columns - 1)}`);
    this.lineOpen = true;
    if (this.step >= this.total) this.stop();
  }
}

/** Seconds in words: `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}
