// `npm test`: every kind of test in one run, against real servers and clients (docs/testing.md).
// Installs what they need, or says what to install. Its last line is `N passed, N failed`; a test
// that was skipped proves nothing, so it fails the run.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { ensureDebianPackage } from '../tests/servers/ensure-package.ts';

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  success: boolean;
  testResults: { name: string; status: string; assertionResults: { status: string }[] }[];
};

const NEEDED: [packages: string[], programs: string[]][] = [
  [['postgresql'], ['psql', 'pg_ctlcluster']],
  [['redis-server'], ['redis-server', 'redis-cli']],
  [['freeradius-utils'], ['radclient']],
  [['eapoltest'], ['eapol_test']],
  [['openssl'], ['openssl']],
];

const root = resolve(import.meta.dirname, '..');
process.chdir(root);
// The Node and the tools that came with the project go before those of the machine.
process.env['PATH'] =
  join(root, 'node_modules', '.bin') + delimiter + (process.env['PATH'] ?? '/usr/bin:/bin');

process.exitCode = run(process.argv.slice(2));

/** `filters` narrow the run down while one works on something: paths, or options of vitest. */
function run(filters: string[]): number {
  try {
    for (const [packages, programs] of NEEDED) ensureDebianPackage(packages, programs);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }

  const directory = mkdtempSync(join(tmpdir(), 'evergate-test-'));
  const file = join(directory, 'report.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const { status } = spawnSync('vitest', ['run', ...reporters, ...filters], { stdio: 'inherit' });
  const report = readReport(file);
  rmSync(directory, { recursive: true, force: true });

  // A file that cannot even be loaded has no tests that could fail: it counts as one failure.
  const broken = report.testResults.filter(
    (result) =>
      result.status === 'failed' &&
      result.assertionResults.every((test) => test.status !== 'failed'),
  );
  const skipped = report.numPendingTests + report.numTodoTests;
  const passed = report.numPassedTests;
  const failed = report.numFailedTests + broken.length;
  for (const { name } of broken) console.error(`could not be run: ${name}`);
  if (skipped > 0) console.error(`${skipped} tests were skipped: a skipped test proves nothing.`);
  if (passed + failed === 0) console.error('No test was run.');
  if (status !== 0 && failed + skipped === 0)
    console.error('vitest ended with an error, see above.');

  console.log(`${passed} passed, ${failed} failed`);
  return status === 0 && report.success && failed === 0 && skipped === 0 && passed > 0 ? 0 : 1;
}

function readReport(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    // vitest ended before it could write one; it has said why.
    return {
      numPassedTests: 0,
      numFailedTests: 0,
      numPendingTests: 0,
      numTodoTests: 0,
      success: false,
      testResults: [],
    };
  }
}
