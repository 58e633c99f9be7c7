import { gridOfParts, TEAMS, type Teams, teamConstants, vectors } from '../record/lanes.ts';
import { intermediate, launch, recorder } from '../record/recorder.ts';
import type { Tensor } from '../record/tensor.ts';

const ALONE: Teams = { team: 1, wg: 64 };

/** Rows that one invocation adds up. */
const MOST_ALONE = 32;

/** Rows that one team on a GPU adds up, since another launch takes longer; and those of a group of more. */
const MOST_OF_TEAM = 512;
const ROWS_OF_GROUP = 256;

/** Sums of groups of rows, in which each invocation adds `PER`: [groups, c], or [c] of one group. */
function pass(x: Tensor, ROWS: number, c: number, PER: number, teams: Teams, label: string): Tensor {
  const GROUPS = Math.ceil(ROWS / (PER * teams.team));
  const y = intermediate(GROUPS === 1 ? [c] : [GROUPS, c], label);
  const columns = recorder().device.isCpu ? { C: c } : vectors(c);
  launch({
    kernel: 'sumRows/main',
    constants: { ROWS, ...columns, PER, GROUPS, ...teamConstants(teams) },
    label,
    bind: [x, y],
    grid: gridOfParts(GROUPS, columns.C, teams),
  });
  return y;
}

/**
 * Sums x over all but its last dimension: [.., C] -> [C], in a fixed order. The bias gradient.
 * Many rows take two launches or more, so that long pictures use the whole GPU.
 */
export function sumRows(x: Tensor, label = 'sumRows'): Tensor {
  const c = x.shape[x.shape.length - 1];
  const rows = x.shape.slice(0, -1).reduce((p, d) => p * d, 1);
  if (rows <= MOST_ALONE) return pass(x, rows, c, rows, ALONE, label);
  if (recorder().device.isCpu) {
    const sums = pass(x, rows, c, Math.ceil(rows / Math.ceil(Math.sqrt(rows))), ALONE, label);
    return pass(sums, sums.shape[0], c, sums.shape[0], ALONE, label);
  }
  const per = Math.ceil((rows <= MOST_OF_TEAM ? rows : ROWS_OF_GROUP) / TEAMS.team);
  const sums = pass(x, rows, c, per, TEAMS, label);
  return rows <= MOST_OF_TEAM ? sums : sumRows(sums, label);
}
