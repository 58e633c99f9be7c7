import { DataError } from './errors.ts';
import { drawText, TEXT_HEIGHT } from './font.ts';
import { roundHalfEven } from './heatmap.ts';
import { createPicture, type Picture } from './picture.ts';

export interface GridOptions {
  /** Pixels between the pictures and around them; default 0, as the authors' grids. */
  gap?: number;
  /** Grey value of gaps and empty cells; default 255. */
  background?: number;
  /** Text above the columns; default none. */
  columnLabels?: readonly string[];
  /** Text in the upper left corner of each row's first picture; default none. */
  rowLabels?: readonly string[];
}

/**
 * Puts pictures into rows and columns: `rows[r][c]`. All must have the size of the first; rows may be shorter
 * than the longest. The authors' sample grid is 7 rows (real, heat map, identity, heat map, fake, heat map,
 * cycle) times n columns.
 */
export function composeGrid(rows: readonly (readonly Picture[])[], options: GridOptions = {}): Picture {
  const { gap = 0, background = 255 } = options;
  const first = rows.find((row) => row.length > 0)?.[0];
  if (!first) throw new DataError('picture grid: there is no picture to put into it');
  const { width, height } = first;
  const columns = Math.max(...rows.map((row) => row.length));
  const head = options.columnLabels ? TEXT_HEIGHT + 4 : 0;
  const out = createPicture(columns * (width + gap) + gap, head + rows.length * (height + gap) + gap);
  out.data.fill(background);
  rows.forEach((row, r) => {
    row.forEach((picture, c) => {
      if (picture.width !== width || picture.height !== height) {
        throw new DataError(
          `picture grid: row ${r}, column ${c} is ${picture.width}x${picture.height}, ` +
            `the others ${width}x${height}`,
        );
      }
      paste(out, picture, gap + c * (width + gap), head + gap + r * (height + gap));
    });
    const label = options.rowLabels?.[r];
    if (label) drawText(out, label, gap + 2, head + gap + r * (height + gap) + 2);
  });
  options.columnLabels?.forEach((label, c) => {
    drawText(out, label, gap + c * (width + gap) + 2, 2);
  });
  return out;
}

/** Copies `picture` into `target` with its upper left corner at (left, top); it must fit. */
export function paste(target: Picture, picture: Picture, left: number, top: number): void {
  const bytes = picture.width * 3;
  for (let y = 0; y < picture.height; y++) {
    const row = picture.data.subarray(y * bytes, (y + 1) * bytes);
    target.data.set(row, ((top + y) * target.width + left) * 3);
  }
}

/** An image value in 0..1 as a PNG byte: times 255, rounded half to even, saturated (OpenCV's imwrite). */
export function toByte(value: number): number {
  const scaled = roundHalfEven(value * 255);
  return scaled > 0 ? Math.min(scaled, 255) : 0; // NaN becomes 0
}

/**
 * Picture number `index` of a network's output (N x height x width x 3, values in [-1, 1]) as bytes. x * 0.5
 * + 0.5 is rounded to float32 before it is scaled, as in the authors' code.
 */
export function toPicture(values: Float32Array, height: number, width: number, index = 0): Picture {
  const picture = createPicture(width, height);
  const count = picture.data.length;
  if (values.length < (index + 1) * count) {
    throw new DataError(
      `picture ${index} of ${height}x${width}x3 needs ${(index + 1) * count} values, got ${values.length}`,
    );
  }
  for (let i = 0; i < count; i++) {
    picture.data[i] = toByte(Math.fround(Math.fround(values[index * count + i] * 0.5) + 0.5));
  }
  return picture;
}
