import { AdawnError } from '../../engine/errors.ts';

/** A wrong argument of a command. */
export class UsageError extends AdawnError {}

/**
 * What to print for anything thrown: the message alone where it was written for the user (every error that
 * adawn throws on purpose), or the stack when it is a bug of ours.
 */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AdawnError && !process.env.ADAWN_TRACE) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return error.message; // the system says no
  return error.stack ?? error.message;
}

/**
 * Runs a command's main function. A failure prints one clear sentence on standard error and makes the exit
 * code 1 (ADAWN_TRACE=1 adds the stack). The process ends by itself once nothing is left to do, so that
 * devices and files can be closed in order.
 */
export async function runCli(main: () => Promise<void> | void): Promise<void> {
  // What we say cannot be written: `adawn ... | head` closes it early, a lost connection takes the terminal
  // away, the disk with the log is full. None of that is a reason to end the work.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  try {
    await main();
  } catch (error) {
    console.error(`error: ${describeError(error)}`);
    process.exitCode = 1;
  }
}

/**
 * For yargs' `.fail()`: turns its complaints (unknown option, missing argument) into a UsageError that names
 * the way out, and passes on what the command itself threw.
 */
export function failWithUsage(message: string | null, error: Error | undefined): never {
  if (error) throw error;
  const what = message ? namedOnce(message.replace(/:?\s*\n\s*/g, ': ')) : 'wrong arguments';
  throw new UsageError(`${what} (--help shows the usage)`);
}

/** yargs names a wrong option twice, as `data-rot, dataRot`: once is enough. */
function namedOnce(message: string): string {
  const [, names] = /^Unknown arguments: (.*)$/.exec(message) ?? [];
  if (names === undefined) return message;
  const all = names.split(', ');
  const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const copies = new Set(all.filter((name) => name.includes('-')).map(camel));
  const left = all.filter((name) => !copies.has(name));
  return `Unknown argument${left.length > 1 ? 's' : ''}: ${left.join(', ')}`;
}

/**
 * For yargs' `.check()`: every option is given once (yargs makes a list of two values, or even their sum),
 * numbers are numbers, and no value is missing.
 */
export const checkValues = checkValuesBut();

/** `checkValues` for a command of which some options may be given more than once (--NAME). */
export function checkValuesBut(...lists: string[]): (argv: Record<string, unknown>) => true {
  return (argv) => {
    const names = process.argv.slice(2).flatMap((word) => /^--[^=]+/.exec(word) ?? []);
    const twice = names.find((name, i) => !lists.includes(name) && names.indexOf(name) !== i);
    if (twice) throw new UsageError(`${twice} is given twice`);
    for (const [name, value] of Object.entries(argv)) {
      const values = lists.includes(`--${name}`) && Array.isArray(value) ? value : [value];
      if (values.some(Number.isNaN)) throw new UsageError(`--${name} takes a number`);
      const missing = values.length === 0 || values.includes('') || values.includes(undefined);
      if (missing) throw new UsageError(`--${name} needs a value`);
    }
    return true;
  };
}

/** Checks that an option is a whole number of at least `least`; returns it. Throws UsageError otherwise. */
export function wholeNumber(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} must be a whole number of at least ${least}, got ${value}`);
}
