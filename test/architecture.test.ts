import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

// The house rules, checked in the text of the files (TypeScript 7 has no API to ask). Each failure names
// the files that break the rule; a rule that must give way to a reason has its list of exceptions here.

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Each room may import itself and the rooms after it. */
const ROOMS = ['cli', 'train', 'model', 'engine', 'kernels'];
/** They may import anything, and no room imports them. */
const ONLOOKERS = ['bench', 'test'];
/** They also run in a browser. */
const PORTABLE = ['model', 'engine', 'kernels'];

const MAX_LINES = 300;
const MAX_COLUMNS = 110;

/** File: the reason why it may be longer, or wider. */
const LONG: Record<string, string> = {};
const WIDE: Record<string, string> = {};

/** Files of engine/ops that are built from other ops and launch no kernel of their own, and why. */
const COMPOSITE: Record<string, string> = {};

/** Folders of kernels that are no op: shared pieces, and what measures an adapter. */
const NO_OPS = ['lib', 'measure'];

/** What an op still lacks, as `kernels/NAME` or `case NAME`. Shrinks to nothing before the first release. */
const PENDING = ['case fill'];

/** Files of a room, less installed packages: bench/peers/workers has its own. */
function filesUnder(room: string): string[] {
  const folder = join(root, room);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\bnode_modules\b/.test(entry.parentPath))
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll('\\', '/'),
    )
    .sort();
}

const everyFile = [...ROOMS, ...ONLOOKERS, '.ci'].flatMap(filesUnder);
const scripts = everyFile.filter((file) => /\.(ts|js|mjs)$/.test(file));
const text = (file: string) => readFileSync(join(root, file), 'utf8');
const roomOf = (file: string) => file.split('/')[0];

// A string or template of one line or more, or a comment: whichever starts first.
const STRING_OR_COMMENT =
  /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/.*|\/\*[\s\S]*?\*\//g;

const withoutComments = (source: string) => source.replace(STRING_OR_COMMENT, (_, string) => string ?? '');

const stringsOf = (source: string) =>
  [...source.matchAll(STRING_OR_COMMENT)].flatMap((match) => (match[1] ? [match[1]] : []));

interface Import {
  /** As written. */
  specifier: string;
  /** The imported file in this repository, or '' for a package. */
  file: string;
}

const aliases: Record<string, unknown> = JSON.parse(text('package.json')).imports ?? {};

function importsOf(file: string): Import[] {
  // Not the words in a string: two quotes may lie around it.
  const pattern = /(?<!['"])\b(?:from|import)\s*\(?\s*(['"])([^'"\s]+)\1/g;
  const found = withoutComments(text(file)).matchAll(pattern);
  return [...found].map(([, , specifier]) => {
    if (specifier.startsWith('.')) {
      return { specifier, file: posix.join(posix.dirname(file), specifier).replace(/\?.*$/, '') };
    }
    const alias = aliases[specifier];
    return { specifier, file: typeof alias === 'string' ? posix.normalize(alias) : '' };
  });
}

const baseName = (file: string) => posix.basename(file).replace(/\.[^.]+$/, '');

describe('imports', () => {
  test(`go from ${ROOMS.join(' to ')}`, () => {
    const wrong = scripts.flatMap((file) => {
      const own = ROOMS.indexOf(roomOf(file));
      if (own < 0) return [];
      return importsOf(file)
        .filter((other) => other.file !== '' && ROOMS.indexOf(roomOf(other.file)) < own)
        .map((other) => `${file} imports ${other.file}`);
    });
    expect(wrong).toEqual([]);
  });

  test(`of ${PORTABLE.join(', ')} name no package and no .node.ts file, except in .node.ts files`, () => {
    const wrong = scripts
      .filter((file) => PORTABLE.includes(roomOf(file)) && !/[./]node\.ts$/.test(file))
      .flatMap((file) =>
        importsOf(file)
          .filter(({ specifier }) => !/^[.#]/.test(specifier) || specifier.endsWith('.node.ts'))
          .map(({ specifier }) => `${file} imports ${specifier}`),
      );
    expect(wrong).toEqual([]);
  });
});

/** Groups of files that import each other in a circle, types included. */
function circlesOf(files: readonly string[]): string[][] {
  const graph = new Map(files.map((file) => [file, importsOf(file).map(({ file: other }) => other)]));
  const [order, low, stack] = [new Map<string, number>(), new Map<string, number>(), [] as string[]];
  const circles: string[][] = [];
  // Tarjan's strongly connected components.
  const visit = (file: string) => {
    order.set(file, order.size);
    low.set(file, order.get(file)!);
    stack.push(file);
    for (const other of graph.get(file)!) {
      if (!graph.has(other)) continue;
      if (!order.has(other)) visit(other);
      if (stack.includes(other)) low.set(file, Math.min(low.get(file)!, low.get(other)!));
    }
    if (low.get(file) !== order.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const file of files) if (!order.has(file)) visit(file);
  return circles;
}

describe('the house', () => {
  test('has no circle of imports, types included', () => {
    const inRooms = scripts.filter((file) => [...ROOMS, 'bench'].includes(roomOf(file)));
    expect(circlesOf(inRooms)).toEqual([]);
  });

  test('enters the engine by its two doors', () => {
    // Errors have no other imports: worker threads that decode pictures need not load the engine for them.
    const doors = ['engine/index.ts', 'engine/node.ts', 'engine/errors.ts'];
    const wrong = scripts
      .filter((file) => ['model', 'train', 'cli', 'bench'].includes(roomOf(file)))
      .flatMap((file) => importsOf(file).map((other) => `${file} imports ${other.file}`))
      .filter((line) => / imports engine\//.test(line) && !doors.some((door) => line.endsWith(` ${door}`)));
    expect(wrong).toEqual([]);
  });

  test('knows models by name in their folders and the registry only', () => {
    const gans = /ugatit|Ugatit|genA2B|genB2A|\bdis[GL][AB]\b/;
    const knowing = scripts
      .filter((file) => ['engine', 'train', 'model'].includes(roomOf(file)))
      .filter((file) => !/^model\/(recipes\.ts$|ugatit\/)/.test(file))
      .filter((file) => gans.test(withoutComments(text(file))));
    expect(knowing).toEqual([]);
  });
});

describe('files', () => {
  const measured = everyFile.filter((file) => /\.(ts|js|mjs|wgsl|sh)$|^\.ci\/run$/.test(file));
  const linesOf = (file: string) => text(file).replace(/\n$/, '').split('\n');

  test(`have up to ${MAX_LINES} lines`, () => {
    const long = measured.filter((file) => linesOf(file).length > MAX_LINES);
    expect(long).toEqual(Object.keys(LONG).sort());
  });

  test(`have lines of up to ${MAX_COLUMNS} columns`, () => {
    const wide = measured.flatMap((file) =>
      linesOf(file).flatMap((line, i) => ([...line].length > MAX_COLUMNS ? [{ file, line: i + 1 }] : [])),
    );
    const unexpected = wide.filter(({ file }) => !(file in WIDE));
    expect(unexpected.map(({ file, line }) => `${file}:${line}`)).toEqual([]);
    expect(Object.keys(WIDE).filter((file) => !wide.some((found) => found.file === file))).toEqual([]);
  });

  test('hide no WGSL in strings', () => {
    const wgsl = /@(?:compute|group|binding|workgroup_size|builtin)\b|\bvar<(?:storage|workgroup|uniform)/;
    // These look at WGSL as text, and need some to look at.
    const about = ['test/architecture.test.ts', 'test/engine/reversed.ts', 'test/engine/shared.test.ts'];
    const rooms = scripts.filter((file) => !about.includes(file));
    const hiding = rooms.filter((file) => stringsOf(text(file)).some((string) => wgsl.test(string)));
    expect(hiding).toEqual([]);
  });

  test('keep command line flags out of the engine, which is a library', () => {
    const flag = /(^|[^\w-])--[a-z]/;
    const engine = scripts.filter((file) => file.startsWith('engine/'));
    // Those of nvidia-smi.
    const found = engine.filter((file) => !file.endsWith('/adapterMemory.node.ts'));
    expect(found.filter((file) => stringsOf(text(file)).some((string) => flag.test(string)))).toEqual([]);
  });
});

describe('one op, one name', () => {
  const opPaths = filesUnder('engine/ops');
  const opFiles = opPaths.filter((file) => file.split('/').length === 3).map(baseName);
  // engine/ops/conv2d/winograd.ts is a part of the op conv2d.
  // normNaive.ts, say, is a part of the op norm: what launches its naive twin, where one file is too small.
  const opOf = (name: string) => {
    const whole = name.replace(/(Naive|Tiled|Subgroup)$/, '');
    return opFiles.includes(whole) ? whole : name;
  };
  const ops = [...new Set(opFiles.map(opOf))];
  const kernelFolders = [...new Set(filesUnder('kernels').map((file) => file.split('/')))]
    .filter((path) => path.length > 2 && !NO_OPS.includes(path[1]))
    .map((path) => path[1]);
  const caseTexts = filesUnder('test/cases').map((file) => withoutComments(text(file)));
  const cases = new Set(
    caseTexts.flatMap((source) => [...source.matchAll(/\bop: '(\w+)'/g)].map((match) => match[1])),
  );

  /** What is missing, less what is known to be pending; pending entries that are there count as wrong. */
  function expectAll(kind: string, wanted: string[], present: (op: string) => boolean) {
    const missing = wanted.filter((op) => !present(op)).map((op) => `${kind} ${op}`);
    expect(missing.sort()).toEqual(PENDING.filter((entry) => entry.startsWith(`${kind} `)).sort());
  }

  test('every op has its folder of kernels', () => {
    const wanted = ops.filter((op) => !(op in COMPOSITE));
    expectAll('kernels', wanted, (op) => kernelFolders.includes(op));
  });

  test('every folder of kernels has its op', () => {
    expect(kernelFolders.filter((folder) => !ops.includes(folder))).toEqual([]);
  });

  test('every op has its case in test/cases, and every case its op', () => {
    expectAll('case', ops, (op) => cases.has(op));
    expect([...cases].filter((op) => !ops.includes(op))).toEqual([]);
  });

  test('an op launches its own kernels and no others', () => {
    const wrong = opPaths.flatMap((file) => {
      const op = opOf(file.split('/')[2].replace(/\.ts$/, ''));
      const kernels = stringsOf(text(file))
        .map((string) => string.slice(1, -1))
        .filter((string) => existsSync(join(root, 'kernels', `${string}.wgsl`)));
      return kernels.filter((kernel) => !kernel.startsWith(`${op}/`)).map((kernel) => `${file}: ${kernel}`);
    });
    expect(wrong).toEqual([]);
  });

  test('composite ops have no kernels', () => {
    expect(Object.keys(COMPOSITE).filter((op) => !ops.includes(op) || kernelFolders.includes(op))).toEqual(
      [],
    );
  });
});
