import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createSystemRuntime } from '../../runtime/system-runtime.ts';
import { identify, isAlive } from './processes.ts';
import type { ProcessId } from './processes.ts';
import { endLeftovers, readState, writeState } from './state-file.ts';

const runtime = createSystemRuntime({
  log: { level: 'silent', format: 'json' },
  fields: {},
  engine: 'dgram',
  processMetrics: false,
});

let directory = '';
let children: ChildProcess[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-state-file-'));
});
afterEach(async () => {
  for (const child of children.filter(
    ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
  )) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  children = [];
  rmSync(directory, { recursive: true });
});

function start(...command: [string, ...string[]]): ProcessId {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: 'ignore' });
  children.push(child);
  const process_ = identify(child.pid ?? 0);
  if (process_ === undefined) throw new Error(`${program} does not run`);
  return process_;
}

function remember(...parts: (ProcessId & { name: string })[]): void {
  writeState(directory, { supervisor: undefined, portBase: 18_000, parts });
}

test('what a dead cluster left behind is ended, frozen or not', async () => {
  const running = start('sleep', '600');
  const frozen = start('sleep', '600');
  process.kill(frozen.pid, 'SIGSTOP');
  remember({ name: 'radius-1', ...running }, { name: 'postgres', ...frozen });

  expect(await endLeftovers(directory, runtime)).toEqual(['radius-1', 'postgres']);
  expect([running, frozen].some(isAlive)).toBe(false);
});

test('a process that has got the number of one of ours is left alone', async () => {
  const stranger = start('sleep', '600');
  remember({ name: 'radius-1', pid: stranger.pid, start: `1@${stranger.start.split('@')[1]}` });

  expect(await endLeftovers(directory, runtime)).toEqual([]);
  expect(isAlive(stranger)).toBe(true);
});

test('a file that is not there or damaged says that nothing is left', async () => {
  expect(await endLeftovers(directory, runtime)).toEqual([]);
  expect(readState(directory)).toEqual({ supervisor: undefined, portBase: undefined, parts: [] });
});
