import { defineConfig } from 'vitest/config';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

/** Whether a test is one of those that `-t` asks for; without `-t` all are. */
function isWanted({ project, fullName }: TestCase): boolean {
  const pattern = project.globalConfig.testNamePattern;
  return !pattern || pattern.test(fullName.replaceAll(' > ', ' '));
}

/** Names what was skipped, so that it is not lost in a count, and closes with a line in plain words. */
const closing: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const all = (state: 'passed' | 'failed' | 'skipped') =>
      modules.flatMap((module) => [...module.children.allTests(state)]);
    const skipped = all('skipped').filter(isWanted);
    for (const test of skipped) {
      const result = test.result();
      const why = (result.state === 'skipped' && result.note) || 'no reason given';
      console.log(`skipped: ${test.module.relativeModuleId}: ${test.fullName} (${why})`);
    }
    console.log(`${all('passed').length} passed, ${all('failed').length} failed, ${skipped.length} skipped`);
  },
};

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file: each opens its own device, and a crash of Dawn costs one file. Two at once keep
    // two cores busy while one of them compiles shaders; lavapipe itself spreads over all cores.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', closing],
  },
});
