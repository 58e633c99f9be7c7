import type { Result } from '../types.ts';
import { type Bar, type BarChart, type BarGroup, barChart } from './chart.ts';
import { digits } from './table.ts';

/** A picture of the page. */
export interface Picture {
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

const PASSES: Record<string, string> = {
  forward: 'forward',
  backwardInput: 'input gradient',
  backwardWeight: 'weight gradient',
  backward: 'backward',
  training: 'forward and backward',
  iteration: 'iteration',
  step: 'step',
};

/** The fast result of each case and pass: the default, timed. */
function fastOf(results: readonly Result[]): Result[] {
  const seen = new Set<string>();
  return results.filter((r) => {
    const key = `${r.case} ${r.pass}`;
    if (r.variant === 'naive' || r.ms === null || seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** Groups by case, bars by pass, in the order of the results. */
function grouped(
  results: readonly Result[],
  barOf: (r: Result, series: number) => Bar,
): [string[], BarGroup[]] {
  const series = [...new Set(results.map((r) => r.pass))];
  const cases = [...new Set(results.map((r) => r.case))];
  const groups = cases.map((name) => {
    const own = results.filter((r) => r.case === name);
    return { label: name, bars: own.map((r) => barOf(r, series.indexOf(r.pass))) };
  });
  return [series.map((pass) => PASSES[pass] ?? pass), groups];
}

function fractions(title: string, results: readonly Result[], arithmetic: boolean): BarChart {
  // A fast algorithm may pass the ceiling; far beyond it there is only a busy machine.
  const most = Math.min(1.5, Math.max(1, ...results.map((r) => r.fraction_of_ceiling ?? 0)));
  const [series, groups] = grouped(results, (r, index) => {
    const rate = arithmetic ? `${digits(r.gflops)} GFLOP/s` : `${digits(r.gbps)} GB/s`;
    const value = r.fraction_of_ceiling ?? 0;
    const label = PASSES[r.pass] ?? r.pass;
    return { label, value, text: `${Math.round(value * 100)} %, ${rate}`, series: index };
  });
  const what = arithmetic ? 'multiply-add rate' : 'copy bandwidth';
  const subtitle = `share of the adapter's ${what}, measured beside each case`;
  const marks = [0.25, 0.5, 0.75, 1].map((value) => ({ value, label: `${value * 100} %` }));
  return { title, subtitle, series, groups, marks, most };
}

function speedups(results: readonly Result[]): BarChart {
  const [series, groups] = grouped(results, (r, index) => ({
    label: PASSES[r.pass] ?? r.pass,
    value: r.speedup!,
    text: `${digits(r.speedup)}x, ${digits(r.ms)} ms`,
    series: index,
  }));
  const top = Math.max(10, ...results.map((r) => r.speedup!));
  const most = 10 ** Math.ceil(Math.log10(top));
  const powers = Array.from({ length: Math.log10(most) + 1 }, (_, i) => 10 ** i);
  return {
    title: 'Times faster than the naive kernel',
    subtitle: 'one invocation an output element, nothing fused; logarithmic',
    series,
    groups,
    marks: powers.map((value) => ({ value, label: `${value}x` })),
    most,
    logarithmic: { least: 1 },
  };
}

/** The pictures these results are enough for. */
export function picturesOf(results: readonly Result[]): Picture[] {
  const fast = fastOf(results);
  const list: Picture[] = [];
  const add = (file: string, alt: string, from: Result[], make: (from: Result[]) => BarChart) => {
    if (from.length > 0) list.push({ file, alt, svg: barChart(make(from)) });
  };
  const withShare = fast.filter((r) => r.fraction_of_ceiling !== null);
  const conv = withShare.filter((r) => r.op === 'conv2d');
  const memory = withShare.filter((r) => !['conv2d', 'generator', 'step'].includes(r.op));
  const networks = withShare.filter((r) => r.op === 'generator' || r.op === 'step');
  add('convolutions.svg', 'Convolutions against the multiply-add ceiling', conv, (r) =>
    fractions('Convolutions against the arithmetic ceiling', r, true),
  );
  add('memory.svg', 'Norms, Adam and other ops against the copy bandwidth', memory, (r) =>
    fractions('Memory-bound ops against the bandwidth ceiling', r, false),
  );
  add('networks.svg', 'Whole networks against the multiply-add ceiling', networks, (r) =>
    fractions('Whole networks against the arithmetic ceiling', r, true),
  );
  const twins = fast.filter((r) => r.speedup !== null && !(r.op === 'conv2d' && r.pass === 'training'));
  add('naive.svg', 'Times faster than the naive kernels', twins, speedups);
  return list;
}
