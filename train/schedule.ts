/**
 * Learning rate of iteration `step` (from 1): constant for the first half, then falling linearly to 0 at the
 * end (the authors' decay_flag). With an odd count theirs ends at -lr/half; here it stays at 0.
 */
export function learningRate(step: number, iterations: number, lr: number, decay = true): number {
  if (!decay) return lr;
  const half = Math.floor(iterations / 2);
  if (step <= half || half === 0) return lr;
  return Math.max(0, lr * (1 - (step - half) / half));
}
