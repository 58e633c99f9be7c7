import { AdawnError } from '../engine/errors.ts';

/** A run that cannot go on or must not start: what happened, and what to do. */
export class TrainingError extends AdawnError {}
