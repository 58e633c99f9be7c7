/** One bar: a label at its left, its value at its right. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** Written behind the bar. */
  readonly text: string;
  /** Index into the chart's series. */
  readonly series: number;
}

/** Bars that belong together, under a heading of their own. */
export interface BarGroup {
  readonly label: string;
  readonly bars: readonly Bar[];
}

export interface BarChart {
  readonly title: string;
  readonly subtitle: string;
  readonly series: readonly string[];
  readonly groups: readonly BarGroup[];
  /** Values of vertical lines, with their labels. */
  readonly marks: readonly { readonly value: number; readonly label: string }[];
  /** The value at the right end; longer bars are cut and say so by their text. */
  readonly most: number;
  /** Equal steps stand for equal factors instead of equal differences. */
  readonly logarithmic?: { readonly least: number };
}

/** The morning sky: amber, rose, violet, teal, haze, straw; each readable on white and on black. */
const COLOURS = ['#e8863a', '#cf4f7c', '#7b68d8', '#2f9c95', '#6b8fb5', '#b8952f'];

const WIDTH = 860;
const LABELS = 190;
const RIGHT = 150;
const BAR = 13;
const GAP = 3;
const GROUP_GAP = 9;
const TOP = 86;

const plain = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

/** GitHub shows the picture in the reader's colour scheme; greys are chosen to suit both without it, too. */
const STYLE = `
text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #57606a; }
.title { font-size: 17px; font-weight: 600; fill: #24292f; }
.group { font-weight: 600; fill: #424a53; }
.value { font-size: 11px; }
.track { fill: #8b949e; fill-opacity: 0.13; }
.mark { stroke: #8b949e; stroke-width: 1; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #9da7b3; }
  .title { fill: #e6edf3; }
  .group { fill: #c9d1d9; }
}`;

/** From a value to pixels. */
function scaleOf({ most, logarithmic }: BarChart): (value: number) => number {
  const width = WIDTH - LABELS - RIGHT;
  if (!logarithmic) return (value) => Math.min(1, Math.max(0, value / most)) * width;
  const { least } = logarithmic;
  const part = (value: number) => Math.log(Math.max(value, least) / least) / Math.log(most / least);
  return (value) => Math.min(1, part(value)) * width;
}

function legend(series: readonly string[]): string {
  if (series.length < 2) return '';
  let x = LABELS;
  return series
    .map((name, i) => {
      const at = x;
      x += 30 + name.length * 6.8;
      const box = `<rect x="${at}" y="53" width="11" height="11" rx="2" fill="${COLOURS[i]}"/>`;
      return `${box}<text x="${at + 17}" y="63">${plain(name)}</text>`;
    })
    .join('');
}

function barAt(
  { label, value, text, series }: Bar,
  y: number,
  scale: (value: number) => number,
  most: number,
): string {
  const width = Math.max(1, scale(value));
  const middle = y + BAR - 3;
  return (
    `<text x="${LABELS - 10}" y="${middle}" text-anchor="end">${plain(label)}</text>` +
    `<rect class="track" x="${LABELS}" y="${y}" width="${scale(most)}" height="${BAR}" rx="2"/>` +
    `<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2" ` +
    `fill="${COLOURS[series]}"/>` +
    `<text class="value" x="${LABELS + width + 6}" y="${middle}">${plain(text)}</text>`
  );
}

/** Horizontal bars in groups as an SVG of its own, without scripts or fonts to load. */
export function barChart(chart: BarChart): string {
  const scale = scaleOf(chart);
  const rows: string[] = [];
  let y = TOP;
  for (const { label, bars } of chart.groups) {
    if (label) {
      rows.push(
        `<text class="group" x="${LABELS - 10}" y="${y + 11}" text-anchor="end">${plain(label)}</text>`,
      );
      y += BAR + GAP + 2;
    }
    for (const bar of bars) {
      rows.push(barAt(bar, y, scale, chart.most));
      y += BAR + GAP;
    }
    y += GROUP_GAP;
  }
  const marks = chart.marks.map(({ value, label }) => {
    const x = (LABELS + scale(value)).toFixed(1);
    return (
      `<line class="mark" x1="${x}" x2="${x}" y1="${TOP - 6}" y2="${y - GROUP_GAP}"/>` +
      `<text class="value" x="${x}" y="${y + 6}" text-anchor="middle">${plain(label)}</text>`
    );
  });
  const height = y + 18;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" `,
    `viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${plain(chart.title)}</title><style>${STYLE}</style>`,
    `<text class="title" x="14" y="26">${plain(chart.title)}</text>`,
    `<text x="14" y="44">${plain(chart.subtitle)}</text>`,
    legend(chart.series),
    ...marks,
    ...rows,
    '</svg>',
    '',
  ].join('\n');
}
