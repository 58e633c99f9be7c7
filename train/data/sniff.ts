/** The picture formats we read, told by their first bytes and never by the file's name. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'bmp' | 'pnm';

/** What the first bytes of a file say: a picture format, or in words what it is instead. */
export type Sniffed = { format: PictureFormat } | { problem: string };

/** How many bytes `sniff` wants to see (fewer are fine when the file is shorter). */
export const SNIFF_BYTES = 64;

const startsWith = (head: Uint8Array, text: string, at = 0): boolean =>
  head.length >= at + text.length && [...text].every((c, i) => head[at + i] === c.charCodeAt(0));

const formats: [PictureFormat, (head: Uint8Array) => boolean][] = [
  ['jpeg', (h) => startsWith(h, '\xff\xd8')],
  ['png', (h) => startsWith(h, '\x89PNG\r\n\x1a\n')],
  ['webp', (h) => startsWith(h, 'RIFF') && startsWith(h, 'WEBP', 8)],
  ['gif', (h) => startsWith(h, 'GIF87a') || startsWith(h, 'GIF89a')],
  ['tiff', (h) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((magic) => startsWith(h, magic))],
  ['bmp', (h) => startsWith(h, 'BM')],
  ['pnm', (h) => h.length > 2 && h[0] === 80 && h[1] >= 49 && h[1] <= 54 && isSpace(h[2])],
];

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13) || byte === 35;

/** Looks at the first bytes of a file (`SNIFF_BYTES` of them, or all). */
export function sniff(head: Uint8Array): Sniffed {
  if (head.length === 0) return { problem: 'is an empty file' };
  if (startsWith(head, 'version https://git-lfs')) {
    return { problem: 'is a Git LFS pointer, not a picture (fetch the real file with "git lfs pull")' };
  }
  for (const [format, matches] of formats) if (matches(head)) return { format };
  const text = String.fromCharCode(...head).toLowerCase();
  if (/<(!doctype|html|head|\?xml|svg)/.test(text)) return { problem: 'is a web page or SVG, not a picture' };
  if (head.every((byte) => (byte >= 32 && byte < 127) || isSpace(byte))) {
    return { problem: 'is a text file, not a picture' };
  }
  return { problem: 'is not a picture in a known format (JPEG, PNG, WebP, GIF, TIFF, BMP, PNM)' };
}
