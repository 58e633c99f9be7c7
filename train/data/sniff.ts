import { extname } from 'node:path';

/** The picture formats we read, told by their first bytes and never by the file's name. */
export type PictureFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'tiff' | 'avif' | 'bmp' | 'pnm';

/**
 * What the first bytes of a file say: a picture format that is read, or in words what it is instead.
 * `foreign` is the name of a picture format that is not read.
 */
export type Sniffed = { format: PictureFormat } | { problem: string; foreign?: string };

/** How many bytes `sniff` wants to see (fewer are fine when the file is shorter). */
export const SNIFF_BYTES = 64;

/** The extensions of pictures that are read, in any case: what a folder's pictures are told by. */
export const EXTENSIONS = [
  ...['.jpg', '.jpeg', '.jpe', '.jfif', '.jif', '.png', '.apng', '.webp', '.gif', '.avif'],
  ...['.bmp', '.dib', '.tif', '.tiff', '.ppm', '.pgm', '.pbm', '.pnm'],
];

const RAW = 'raw';

/** What cameras call their raw files. Many are TIFF files whose first picture is a small preview. */
const RAW_EXTENSIONS =
  '3fr arw cr2 cr3 crw dcr dng erf iiq kdc mef mrw nef nrw orf pef raf rw2 rwl sr2 srf srw x3f';

/** Extensions of pictures that are not read, by the name of their format. */
const FOREIGN: Record<string, string> = {
  HEIC: 'heic heics heif heifs hif',
  [RAW]: RAW_EXTENSIONS,
  Photoshop: 'psd psb',
  SVG: 'svg svgz',
  'JPEG XL': 'jxl',
  'JPEG 2000': 'jp2 j2k j2c jpc jpf jpx',
  'JPEG XR': 'jxr wdp hdp',
  OpenEXR: 'exr',
  TGA: 'tga',
  PCX: 'pcx',
  DDS: 'dds',
  ICO: 'ico',
  GIMP: 'xcf',
  Krita: 'kra',
  BPG: 'bpg',
  QOI: 'qoi',
};

const foreignByExtension = new Map(
  Object.entries(FOREIGN).flatMap(([kind, names]) => names.split(' ').map((name) => [`.${name}`, kind])),
);

/** Whether the name of a file says that it is a picture, of whatever format. */
export function isPictureName(name: string): boolean {
  const extension = extname(name).toLowerCase();
  return EXTENSIONS.includes(extension) || foreignByExtension.has(extension);
}

const startsWith = (head: Uint8Array, text: string, at = 0): boolean =>
  head.length >= at + text.length && [...text].every((c, i) => head[at + i] === c.charCodeAt(0));

const formats: [PictureFormat, (head: Uint8Array) => boolean][] = [
  ['jpeg', (h) => startsWith(h, '\xff\xd8')],
  ['png', (h) => startsWith(h, '\x89PNG\r\n\x1a\n')],
  ['webp', (h) => startsWith(h, 'RIFF') && startsWith(h, 'WEBP', 8)],
  ['gif', (h) => startsWith(h, 'GIF87a') || startsWith(h, 'GIF89a')],
  ['tiff', (h) => ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].some((magic) => startsWith(h, magic))],
  ['avif', (h) => brandsOf(h).some((brand) => brand === 'avif' || brand === 'avis')],
  ['bmp', (h) => startsWith(h, 'BM')],
  ['pnm', (h) => h.length > 2 && h[0] === 80 && h[1] >= 49 && h[1] <= 54 && isSpace(h[2])],
];

/** The first bytes of pictures that are not read, where they are long enough to be no accident. */
const foreignMagic: [kind: string, magic: string[]][] = [
  ['Photoshop', ['8BPS\0']],
  ['JPEG XL', ['\0\0\0\x0cJXL \r\n\x87\n']],
  ['JPEG 2000', ['\0\0\0\x0cjP  \r\n\x87\n', '\xff\x4f\xff\x51\0']],
  ['JPEG XR', ['II\xbc\x01']],
  ['OpenEXR', ['\x76\x2f\x31\x01']],
  ['Radiance', ['#?RADIANCE', '#?RGBE']],
  ['DDS', ['DDS \x7c\0\0\0']],
  ['GIMP', ['gimp xcf ']],
  ['BPG', ['BPG\xfb']],
  ['QOI', ['qoif\0']],
  [RAW, ['FUJIFILMCCD-RAW', 'IIRO\x08\0', 'IIRS\x08\0', 'MMOR\0', 'IIU\0\x18\0', 'FOVb', '\0MRM']],
];

/** The brands of an ISO media file (HEIC, AVIF, CR3, but MP4 too), the major one first. */
function brandsOf(head: Uint8Array): string[] {
  if (!startsWith(head, 'ftyp', 4)) return [];
  const end = Math.min(head.length, new DataView(head.buffer, head.byteOffset).getUint32(0));
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += 4) {
    if (at !== 12) brands.push(String.fromCharCode(...head.subarray(at, at + 4))); // there is a version
  }
  return brands;
}

/** The picture format that is not read whose file begins like this. */
function foreignOf(head: Uint8Array, text: string): string | undefined {
  const brands = brandsOf(head);
  if (brands[0] === 'crx ') return RAW;
  if (brands.some((brand) => /^(he[iv][cxms]|mif1|msf1)$/.test(brand))) return 'HEIC';
  if (/<svg[\s>]/.test(text)) return 'SVG';
  return foreignMagic.find(([, magic]) => magic.some((bytes) => startsWith(head, bytes)))?.[0];
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13) || byte === 35;

/**
 * Looks at the first bytes of a file (`SNIFF_BYTES` of them, or all). They decide; its name only where they
 * cannot: a raw file of a camera begins as a TIFF, and some formats begin like nothing in particular.
 */
export function sniff(head: Uint8Array, name = ''): Sniffed {
  const named = foreignByExtension.get(extname(name).toLowerCase());
  if (head.length === 0) return { problem: 'is an empty file' };
  if (startsWith(head, 'version https://git-lfs')) {
    return { problem: 'is a Git LFS pointer, not a picture (fetch the real file with "git lfs pull")' };
  }
  const format = formats.find(([, matches]) => matches(head))?.[0];
  if (format && !(format === 'tiff' && named === RAW)) return { format };
  const text = String.fromCharCode(...head).toLowerCase();
  const foreign = foreignOf(head, text) ?? (isText(head) && named !== 'SVG' ? undefined : named);
  if (foreign) return { problem: `is a picture of a kind that is not read (${foreign})`, foreign };
  if (/<(!doctype|html|head|\?xml|svg)/.test(text)) return { problem: 'is a web page or SVG, not a picture' };
  if (isText(head)) return { problem: 'is a text file, not a picture' };
  return { problem: 'is not a picture in a known format (JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP, PNM)' };
}

const isText = (head: Uint8Array): boolean =>
  head.every((byte) => (byte >= 32 && byte < 127) || isSpace(byte));
