// One runner for every kind of test (docs/testing.md). Unit tests lie beside the code and need no
// server; the other kinds live in tests/ and start the servers they need themselves.

import { defineConfig } from 'vitest/config';

const project = (name: string, include: string[], timeoutMs: number, parallel: boolean) => ({
  test: {
    name,
    include,
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    pool: 'forks' as const,
    fileParallelism: parallel,
    setupFiles: ['tests/require-node-24.ts'],
  },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', ['src/**/*.test.ts', 'tests/*.test.ts'], 20_000, true),
      project('contract', ['tests/contract/**/*.test.ts'], 120_000, false),
      project('conformance', ['tests/conformance/**/*.test.ts'], 120_000, false),
      project('simulation', ['tests/simulation/**/*.test.ts'], 240_000, true),
      project('chaos', ['tests/chaos/**/*.test.ts'], 300_000, false),
    ],
  },
});
