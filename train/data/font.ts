import type { Picture } from './picture.ts';

/** Height of a line of text in pixels, margins included. */
export const TEXT_HEIGHT = 9;

/**
 * A 5x7 pixel font for the labels of picture grids: a glyph is seven base-32 digits (0-9, a-v), one per row
 * from the top, whose five bits are the pixels from the left.
 */
const glyphs: Record<string, string> = Object.fromEntries(
  (
    'A:ehhvhhh B:uhhuhhu C:ehggghe D:uhhhhhu E:vgguggv F:vgguggg G:ehgnhhf H:hhhvhhh I:e44444e J:72222ic ' +
    'K:hikokih L:ggggggv M:hrllhhh N:hhpljhh O:ehhhhhe P:uhhuggg Q:ehhhlid R:uhhukih S:fgge11u T:v444444 ' +
    'U:hhhhhhe V:hhhhha4 W:hhhllla X:hha4ahh Y:hha4444 Z:v1248gv 0:ehjlphe 1:4c4444e 2:eh1248v 3:v2421he ' +
    '4:26aiv22 5:vgu11he 6:68guhhe 7:v124888 8:ehhehhe 9:ehhf12c -:000v000 .:00000cc /:01248g0 >:8421248 ' +
    '_:000000v (:2488842 ):8422248 %:op248j3 +:044v440 =:00v0v00 ,:000004c'
  )
    .split(' ')
    .map((entry) => [entry[0], entry.slice(2)]),
);

/**
 * Draws one line of text, black on a white plate, with its upper left corner at (left, top). Small letters
 * become capitals; characters the font lacks are left blank; what leaves the picture is cut off.
 */
export function drawText(picture: Picture, text: string, left: number, top: number): void {
  const set = (x: number, y: number, value: number) => {
    if (x < 0 || y < 0 || x >= picture.width || y >= picture.height) return;
    picture.data.fill(value, (y * picture.width + x) * 3, (y * picture.width + x) * 3 + 3);
  };
  for (let y = -1; y < 8; y++) for (let x = -1; x < text.length * 6; x++) set(left + x, top + y, 255);
  [...text.toUpperCase()].forEach((character, i) => {
    const glyph = glyphs[character];
    if (!glyph) return;
    for (let y = 0; y < 7; y++) {
      const bits = Number.parseInt(glyph[y], 32);
      for (let x = 0; x < 5; x++) if ((bits >> (4 - x)) & 1) set(left + i * 6 + x, top + y, 0);
    }
  });
}
