import { expect, test } from 'vitest';
import { inPairs, run } from './process.ts';

/** Every command: groups of options, and something of its examples. */
const COMMANDS: [args: string[], parts: string[]][] = [
  [
    ['train'],
    ['Data:', 'Model:', 'Training:', 'Results:', '--no-augment', '--data toy-cat2dog', 'nohup npx'],
  ],
  [['translate'], ['What:', 'How:', '--direction BtoA']],
  [['convert'], ['How:', '--net genA2B']],
  [['data'], ['Commands:', 'data.ts prepare photos/cats']],
  [
    ['data', 'prepare'],
    ['Positionals:', '--no-crop'],
  ],
  [['doctor'], ['Plan:', '--plan --size 256']],
  [['demo'], ['--minutes 2']],
];

test('--help of every command shows groups and examples, within 110 columns, and exits with 0', async () => {
  const ended = await inPairs(
    COMMANDS.map(
      ([[name, ...args]]) =>
        () =>
          run(name, ...args, '--help'),
    ),
  );
  COMMANDS.forEach(([args, parts], i) => {
    const { code, out, err } = ended[i];
    expect(code, `${args.join(' ')}: ${err}`).toBe(0);
    for (const part of parts) expect(out, args.join(' ')).toContain(part);
    if (args.length === 1) expect(out).toMatch(/^Examples:/m);
    for (const line of out.split('\n')) expect(line.length, line).toBeLessThanOrEqual(110);
  });
});
