// A data directory belongs to one process at a time, also when many want it at once and when the one
// that had it was killed.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  DirectoryInUse,
  lockDirectory,
  processStart,
} from '../../src/stores/postgres/embedded/directory-lock.ts';
import { eventually } from './postgres-runtime.ts';

const LOCK = join(import.meta.dirname, '../../src/stores/postgres/embedded/directory-lock.ts');

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-lock-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Tries once, says whether it has the lock, and stays until it is killed. */
function contender(): { process: ChildProcess; said: () => string } {
  const script = `
    import { lockDirectory } from ${JSON.stringify(LOCK)};
    let said = 'won';
    try { lockDirectory(${JSON.stringify(directory)}); } catch (error) { said = error.name; }
    process.stdout.write(said);
    setInterval(() => undefined, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  return { process: child, said: () => said };
}

test('it can be locked again after it was released, and not before', () => {
  for (let round = 0; round < 3; round++) {
    using _lock = lockDirectory(directory);
    expect(() => lockDirectory(directory)).toThrow(DirectoryInUse);
  }
  expect(readdirSync(directory)).toEqual(['lock.3']);
});

test('of many who want it at once exactly one gets it, also over a dead holder', async () => {
  for (let round = 0; round < 2; round++) {
    const contenders = Array.from({ length: 6 }, contender);
    const exits = contenders.map(({ process: child }) => once(child, 'exit'));
    try {
      await eventually(() => contenders.every(({ said }) => said() !== ''), 60_000);
      const outcomes = contenders.map(({ said }) => said()).toSorted();
      expect(outcomes).toEqual([...Array.from({ length: 5 }, () => 'DirectoryInUse'), 'won']);
    } finally {
      for (const { process: child } of contenders) child.kill('SIGKILL');
      await Promise.all(exits);
    }
  }
});

test('a number that another process has by now holds nothing', () => {
  const ours = processStart(process.pid);
  expect(ours).toBeDefined();
  const holder = { pid: process.pid, startedAt: `${ours}-earlier`, isReleased: false };
  writeFileSync(join(directory, 'lock.7'), JSON.stringify(holder));
  using _lock = lockDirectory(directory);
  expect(readdirSync(directory)).toEqual(['lock.8']);
});

test('a file that a power cut has emptied holds nothing', () => {
  writeFileSync(join(directory, 'lock.1'), '');
  using _lock = lockDirectory(directory);
  expect(readdirSync(directory)).toEqual(['lock.2']);
});
