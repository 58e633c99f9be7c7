import { createHash } from 'node:crypto';
import type { Device } from '../engine/index.ts';
import { adawnVersion, dawnVersion } from '../engine/node.ts';
import { type DataFingerprint, fingerprintChange } from './data/fingerprint.ts';
import type { RunConfig } from './options.ts';

/**
 * What decides the bits of a run beside its options: a continuation repeats those of a run without
 * interruption only where all of this is the same. Kept in every checkpoint.
 */
export interface Environment {
  readonly adapter: string;
  readonly driver: string;
  readonly dawn: string;
  readonly adawn: string;
  /** `kernelsHash` of the run. */
  readonly kernels: string;
  readonly pictures: DataFingerprint;
}

/** A short name for what the tuner chose: equal choices, equal names. */
export function kernelsHash({ tuned = {} }: RunConfig): string {
  const sorted = Object.entries(tuned).sort(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length === 0) return 'default';
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 8);
}

/** The environment of a run that begins or goes on now. */
export function environmentOf(device: Device, config: RunConfig, pictures: DataFingerprint): Environment {
  const { vendor, architecture, device: model, description } = device.info;
  return {
    adapter: [vendor, architecture, model].filter(Boolean).join(' '),
    driver: description,
    dawn: dawnVersion(),
    adawn: adawnVersion(),
    kernels: kernelsHash(config),
    pictures,
  };
}

const NAMES = ['adapter', 'driver', 'dawn', 'adawn', 'kernels'] as const;

function isEnvironment(value: unknown): value is Environment {
  const fields = value as Partial<Environment> | null;
  const pictures = fields?.pictures;
  return (
    NAMES.every((name) => typeof fields?.[name] === 'string') &&
    typeof pictures?.sha256 === 'string' &&
    typeof pictures.trainA === 'number' &&
    typeof pictures.trainB === 'number'
  );
}

/** The environment in a checkpoint's metadata; null in those of versions that kept none. */
export function parseEnvironment(text: string | undefined): Environment | null {
  try {
    const value: unknown = JSON.parse(text ?? 'null');
    return isEnvironment(value) ? value : null;
  } catch {
    return null;
  }
}

/** Why a run cannot go on with the bits it would have had without interruption; empty where it can. */
export function environmentChanges(before: Environment, now: Environment): string[] {
  const reasons = NAMES.filter((name) => before[name] !== now[name]).map(
    (name) => `${name} was ${before[name]} and is ${now[name]}`,
  );
  const pictures = fingerprintChange(before.pictures, now.pictures);
  return pictures ? [...reasons, pictures] : reasons;
}
