import { describe, expect, test } from 'vitest';
import { encodeSizes, sharedConstants, shareText } from '../../engine/device/launchSizes.ts';

const TEXT = `
const ROWS: u32 = 8u;
const TILE: u32 = 4u; // sizes an array
const WIDE: u32 = 2u * TILE;
const HALF: u32 = ROWS / 2u;
const QUARTER: u32 = HALF / 2u;
const SCALE: f32 = 1.0;
const SHIFT: i32 = 0;
const FLIP: bool = false;
const KIND: u32 = 1u;
// static: KIND
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
var<workgroup> tile: array<f32, WIDE>;
@compute @workgroup_size(TILE) fn main(@builtin(global_invocation_id) id: vec3u) {
  const twice = 2u * QUARTER;
  if (id.x >= ROWS) { return; } // ROWS in a comment
  if (KIND == 1u && FLIP) { y[id.x] = SCALE * f32(twice) + f32(SHIFT); }
}
`;

const ALL = { ROWS: 6, TILE: 4, SCALE: 0.5, SHIFT: -3, FLIP: true, KIND: 1 };

describe('kernels that read their sizes from a block', () => {
  test('constants move, those that size arrays and workgroups or are listed stay', () => {
    const { code, fields } = shareText(TEXT, ALL, 1);
    expect(fields.map(({ name }) => name)).toEqual(['ROWS', 'SCALE', 'SHIFT', 'FLIP']);
    expect(code).not.toMatch(/^const (ROWS|SCALE|SHIFT|FLIP):/m);
    expect(code).toMatch(/^const TILE: u32 = 4u;/m);
    expect(code).toMatch(/^const KIND: u32 = 1u;/m);
    expect(code).toContain('if (id.x >= launch_sizes.ROWS)');
    expect(code).toMatch(/@binding\(1\) var<uniform> launch_sizes/);
  });

  test('constants computed from moved ones are written out, from others they stay', () => {
    const { code } = shareText(TEXT, ALL, 1);
    expect(code).toContain('2u * ((launch_sizes.ROWS / 2u) / 2u)');
    expect(code).toMatch(/^const WIDE: u32 = 2u \* TILE;/m);
    expect(code).not.toMatch(/const (HALF|QUARTER)/);
    // A const of a function that reads the block is a let.
    expect(code).toMatch(/^ {2}let twice =/m);
  });

  test('booleans travel as numbers', () => {
    const { code, fields } = shareText(TEXT, ALL, 1);
    expect(code).toContain('(launch_sizes.FLIP != 0u)');
    expect(code).toMatch(/FLIP: u32/);
    const view = new DataView(encodeSizes(fields, ALL).buffer);
    expect(view.byteLength).toBe(16);
    expect([view.getUint32(0, true), view.getFloat32(4, true), view.getInt32(8, true)]).toEqual([6, 0.5, -3]);
    expect(view.getUint32(12, true)).toBe(1);
  });

  test('only given constants move; a kernel without any keeps its text', () => {
    expect(shareText(TEXT, { TILE: 4 }, 1)).toEqual({ code: TEXT, fields: [] });
    expect(shareText(TEXT, { SCALE: 2 }, 1).fields.map(({ name }) => name)).toEqual(['SCALE']);
    expect(shareText(TEXT, { SCALE: 2 }, 1).code).toMatch(/^const ROWS: u32 = 8u;/m);
  });

  test('launches that differ in moved constants share a pipeline, others do not', () => {
    const key = (constants: Record<string, number | boolean>) =>
      JSON.stringify(sharedConstants(TEXT, constants));
    expect(key({ ...ALL, ROWS: 100, SCALE: 7 })).toBe(key(ALL));
    expect(key({ ...ALL, TILE: 8 })).not.toBe(key(ALL));
    expect(key({ ...ALL, KIND: 2 })).not.toBe(key(ALL));
  });
});
