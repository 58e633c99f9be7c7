import { grid1d, recorder } from './recorder.ts';

/**
 * Invocations of a workgroup: on a processor one of its vectors, where barriers cost least and as many
 * workgroups as there can be share its cores.
 * @param onGpu how many on a GPU
 */
export function workgroupSize(onGpu = 64): number {
  return recorder().device.isCpu ? 8 : onGpu;
}

/** How kernels with `needs: LANES=vector` take C channels: by four where they can be. */
export function vectors(C: number): { readonly C: number; readonly LANES: 'vector' | 'scalar' } {
  return C % 4 === 0 ? { C: C / 4, LANES: 'vector' } : { C, LANES: 'scalar' };
}

/** A workgroup whose invocations share columns: `team` of its `wg` invocations each. */
export interface Teams {
  readonly team: number;
  readonly wg: number;
}

/**
 * Teams for a GPU: as many invocations as every adapter allows, sixteen a column, so that neighbours read 256
 * bytes in a row where columns are groups of four channels.
 */
export const TEAMS: Teams = { team: 16, wg: 256 };

/**
 * Constants of a kernel with teams. TEAM is not given where there are none: a processor's kernels would read
 * it, and could not leave out the code for teams.
 */
export function teamConstants({ team, wg }: Teams): Record<string, number> {
  return { ...(team > 1 ? { TEAM: team } : {}), WG: wg };
}

/** Grid of kernels with lib/rowsOfPart.wgsl: a team is in one workgroup, so columns fill whole ones. */
export function gridOfParts(parts: number, columns: number, { team, wg }: Teams): [number, number, number] {
  const apart = wg / team;
  const along = team > 1 ? Math.ceil(columns / apart) * apart : columns;
  return grid1d(parts * along, apart);
}
