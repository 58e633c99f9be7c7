import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Header } from '../header.ts';
import type { Result } from '../types.ts';

/** What a run found out. */
export interface BenchReport {
  readonly header: Header;
  readonly results: readonly Result[];
}

export async function writeReport(slug: string, report: BenchReport): Promise<void> {
  const folder = fileURLToPath(new URL(`../results/${slug}/`, import.meta.url));
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}results.json`, `${JSON.stringify(report, null, 1)}\n`);
}
