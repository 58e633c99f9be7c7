import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { Progress } from '../../cli/common/progress.ts';
import { checkValues, failWithUsage, runCli, UsageError, wholeNumber } from '../../cli/common/run.ts';
import { commit, slugOf } from '../header.ts';
import { resultsFolder } from '../report/write.ts';
import { type PeerCase, peerCases } from './cases.ts';
import { type Child, startChild } from './child.ts';
import { FRAMEWORKS, type FrameworkSpec, installPeers, pytorchMissing } from './frameworks.ts';
import { type PeerResult, race } from './race.ts';
import { markdownReport, type Participant, type PeerReport, printReport } from './report.ts';

/** Longest wait for an answer: some frameworks compile a whole training iteration at once. */
const LIMIT_MS = 600_000;

/** Milliseconds of a sample at least. */
const SAMPLE_MS = 30;

interface PeerArgs {
  readonly filter?: string;
  readonly only?: string;
  readonly rounds: number;
  readonly budget: number;
  readonly list: boolean;
  readonly json?: string;
  readonly out?: string;
}

function frameworksFor({ only }: PeerArgs): FrameworkSpec[] {
  if (only === undefined) return [...FRAMEWORKS];
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !FRAMEWORKS.some((f) => f.name === name));
  if (unknown !== undefined) {
    const known = FRAMEWORKS.map(({ name }) => name).join(', ');
    throw new UsageError(`--only ${unknown}: there is no such framework; there are ${known}`);
  }
  return FRAMEWORKS.filter(({ name }) => names.includes(name));
}

function casesFor({ filter }: PeerArgs): PeerCase[] {
  const wanted = new RegExp(filter ?? '', 'i');
  const cases = peerCases().filter((c) => wanted.test(`${c.name} ${c.pass}`));
  if (cases.length === 0) throw new UsageError(`--filter ${filter}: no case has that name (--list)`);
  return cases;
}

const say = (message: string) => console.error(message);

/** Starts what is there; says of the rest what it lacks. */
async function startAll(specs: readonly FrameworkSpec[]) {
  const npmProblem = specs.some(({ npm }) => npm) ? installPeers(say) : null;
  const children = new Map<string, Child>();
  const participants: Participant[] = [];
  for (const { name, title, command, npm } of specs) {
    let missing = npm ? npmProblem : name === 'pytorch' ? pytorchMissing() : null;
    let hello: Participant['hello'] = null;
    if (missing === null) {
      const child = startChild(name, command, LIMIT_MS);
      const answer = await child.ask({ do: 'hello' }).catch((error: Error) => error);
      if (answer instanceof Error) missing = `does not start: ${answer.message}`;
      else hello = answer.hello!;
      if (hello) children.set(name, child);
    }
    if (missing !== null) say(`without ${title}: ${missing}`);
    participants.push({ name, title, hello, missing });
  }
  if (children.size === 0) throw new UsageError('no framework can take part');
  return { children, participants };
}

/** Starts again whoever did not survive the last case. */
async function revive(children: Map<string, Child>): Promise<void> {
  for (const [name, child] of children) {
    if (child.alive()) continue;
    const { command } = FRAMEWORKS.find((f) => f.name === name)!;
    children.set(name, startChild(name, command, LIMIT_MS));
  }
}

async function measure(children: Map<string, Child>, cases: readonly PeerCase[], args: PeerArgs) {
  const folder = mkdtempSync(join(tmpdir(), 'adawn-peers-'));
  const progress = new Progress(cases.length, { unit: 'cases', lineSeconds: 20 });
  const results: PeerResult[] = [];
  try {
    for (const [done, c] of cases.entries()) {
      await revive(children);
      const options = { rounds: args.rounds, sampleMs: SAMPLE_MS, budgetMs: args.budget * 1000, folder };
      const tell = (text: string) => progress.update(done, text);
      results.push(...(await race([...children.values()], c, { ...options, tell })));
    }
    progress.update(cases.length, '');
  } finally {
    progress.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return results;
}

function write(report: PeerReport, { json, out, filter, only }: PeerArgs): void {
  const text = `${JSON.stringify(report, null, 1)}\n`;
  if (json) writeFileSync(json, text);
  const { adapter, driver } = report.header;
  const info = { description: driver, device: adapter, architecture: '', vendor: '' } as GPUAdapterInfo;
  // A part of the cases or of the frameworks is no report.
  const folder = out ?? (filter || only ? null : resultsFolder(slugOf({ info })));
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'peers.json'), text);
  writeFileSync(join(folder, 'peers.md'), markdownReport(report));
  console.log(`the page is ${join(folder, 'peers.md')}`);
}

async function peers(args: PeerArgs): Promise<void> {
  wholeNumber('rounds', args.rounds, 1);
  if (args.budget < 0) throw new UsageError(`--budget must be at least 0, got ${args.budget}`);
  const specs = frameworksFor(args);
  const cases = casesFor(args);
  if (args.list) {
    for (const c of cases) console.log(`${c.name.padEnd(26)} ${c.pass.padEnd(10)} ${c.shape}`);
    return;
  }
  const start = performance.now();
  const [load] = loadavg();
  if (load > cpus().length / 2) {
    say(`the load of this machine is ${load.toFixed(1)}: other work spoils the times`);
  }
  const { children, participants } = await startAll(specs);
  const date = new Date().toISOString();
  try {
    const results = await measure(children, cases, args);
    const gpu = participants.find(({ name }) => name === 'adawn')?.hello?.gpu;
    const header = {
      ...(gpu ?? { adapter: 'unknown', driver: '', dawn: '' }),
      ...{ processor: cpus()[0].model, cores: cpus().length, load: [load, loadavg()[0]] as const },
      ...{ date, commit: commit(), node: process.version, rounds: args.rounds },
      ...{ budget_ms: args.budget * 1000, took_s: Math.round((performance.now() - start) / 1000) },
    };
    const report = { header, frameworks: participants, results };
    console.log(printReport(report));
    write(report, args);
    if (results.some(({ problem }) => problem)) process.exitCode = 1;
  } finally {
    for (const child of children.values()) await child.end();
  }
}

const cli = yargs(hideBin(process.argv))
  .scriptName('npm run bench:peers --')
  .usage(
    '$0\n\nTimes the same layers, networks and training iteration in adawn, TensorFlow.js and jax-js ' +
      '(WebGPU, the same Dawn) and PyTorch (CPU), taking turns, after their results have been compared.',
  )
  .option('filter', { string: true, describe: 'only cases that match (a regular expression)' })
  .option('only', { string: true, describe: 'only these frameworks: adawn,pytorch,tfjs,jax-js' })
  .option('rounds', { number: true, default: 7, describe: 'samples of each framework and case, at most' })
  .option('budget', {
    number: true,
    default: 1.5,
    describe: 'seconds a framework may spend on a case; two samples are taken in any case',
  })
  .option('list', { boolean: true, default: false, describe: 'name the cases and end' })
  .option('json', { string: true, describe: 'write the records to this file' })
  .option('out', {
    string: true,
    defaultDescription: 'bench/results/ADAPTER, without --filter and --only',
    describe: 'folder of the page (peers.md, peers.json)',
  })
  .example('$0', 'everything; the page is written to bench/results/')
  .example('$0 --only adawn,pytorch --filter step', 'the training iteration in two of them')
  .example('$0 --filter "conv3x3.*64 forward" --rounds 3', 'one layer, quickly')
  .check(checkValues)
  .wrap(110)
  .strict()
  .version(false)
  .fail(failWithUsage);

await runCli(async () => peers(await cli.parseAsync()));
