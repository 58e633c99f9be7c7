import { UsageError } from './run.ts';

/** `7,5`: layers of the global and the local discriminators. */
export function disLayersOf(text: string): [number, number] {
  const numbers = text.split(',').map(Number);
  if (numbers.length !== 2 || numbers.some((n) => !Number.isInteger(n))) {
    throw new UsageError(`--dis-layers takes two whole numbers such as 7,5, got "${text}"`);
  }
  return [numbers[0], numbers[1]];
}
