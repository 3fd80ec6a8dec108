// `npm run check`: format, lint, types, unit tests, unused code; in seconds, the same in CI.

import { spawnSync } from 'node:child_process';

const steps: [string, string[]][] = [
  ['oxfmt', ['--check', '.']],
  ['oxlint', ['--type-aware', '--deny-warnings', '.']],
  ['tsc', ['--noEmit']],
  ['vitest', ['run', '--project', 'unit']],
  ['knip', []],
  ['node', ['scripts/complete-lock.ts', '--check']],
];

for (const [command, args] of steps) {
  console.log(`\n> ${command} ${args.join(' ')}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) {
    console.error(`\nnpm run check: ${command} found something to mend.`);
    process.exit(1);
  }
}
