// The embedded PostgreSQL as a child process: started, watched, started again when it dies, stopped.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Runtime } from '../../../runtime/runtime.ts';
import type { Binaries } from './binaries.ts';
import { environment } from './cluster.ts';
import type { Identity } from './identity.ts';

const START_WITHIN_MS = 120_000;
const RETRY_START_MS = 200;
/** What a fast shutdown gets before an immediate one, and that before SIGKILL. */
const STOP_STAGES = [
  { signal: 'SIGINT', waitMs: 15_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;
const FIRST_RESTART_WAIT_MS = 100;
const LONGEST_RESTART_WAIT_MS = 5_000;
/** A server that has lived this long was well: the next restart waits little again. */
const WELL_AFTER_MS = 60_000;
const KEPT_LOG_LINES = 20;

export type ServerOptions = {
  cluster: string;
  socketDirectory: string;
  binaries: Binaries;
  identity: Identity;
  runtime: Runtime;
};

type RunningServer = { child: ChildProcess; ended: Promise<string>; startedAtMs: number };

/** Keeps a server running until disposed of. */
export async function superviseServer(
  options: ServerOptions,
): Promise<AsyncDisposable & { pid: () => number | undefined }> {
  const { clock, log } = options.runtime;
  const stop = new AbortController();
  let running: RunningServer | undefined = await startServer(options, stop.signal);

  async function keepRunning() {
    let waitMs = FIRST_RESTART_WAIT_MS;
    while (!stop.signal.aborted) {
      if (running !== undefined) {
        const { startedAtMs } = running;
        const how = await running.ended;
        running = undefined;
        if (stop.signal.aborted) return;
        log.error('embedded database died and is restarted', { how });
        if (clock.monotonicMs() - startedAtMs > WELL_AFTER_MS) waitMs = FIRST_RESTART_WAIT_MS;
      }
      await clock.sleep(waitMs, stop.signal);
      waitMs = Math.min(waitMs * 2, LONGEST_RESTART_WAIT_MS);
      if (stop.signal.aborted) return;
      try {
        running = await startServer(options, stop.signal);
        log.info('embedded database restarted', { pid: running.child.pid });
      } catch (error) {
        log.error('embedded database could not be restarted', { error });
      }
    }
  }

  const supervising = keepRunning();
  return {
    pid: () => running?.child.pid,
    async [Symbol.asyncDispose]() {
      stop.abort();
      if (running !== undefined) await stopServer(running, options.runtime);
      await supervising;
    },
  };
}

/** Resolves when it takes connections; rejects with its last words when it ends before that. */
async function startServer(options: ServerOptions, signal: AbortSignal): Promise<RunningServer> {
  const { clock } = options.runtime;
  const deadlineMs = clock.monotonicMs() + START_WITHIN_MS;
  for (;;) {
    const { child, lastLines, ended } = spawnServer(options);
    const server: RunningServer = {
      child,
      startedAtMs: clock.monotonicMs(),
      ended: ended.then((how) => `${how}; ${lastLines().slice(-3).join(' | ')}`),
    };
    let isRunning = true;
    void ended.then(() => {
      isRunning = false;
    });
    while (isRunning && !signal.aborted && clock.monotonicMs() < deadlineMs) {
      if (isReady(options.cluster, child.pid)) return server;
      await clock.sleep(10);
    }
    if (isRunning) await stopServer(server, options.runtime);
    // Shared memory of a killed server is in use until its last child has noticed: try again.
    const isTransient = lastLines().some((line) => line.includes('is still in use'));
    if (!isTransient || signal.aborted || clock.monotonicMs() > deadlineMs) {
      throw new Error(
        `PostgreSQL ${options.binaries.version} did not start (${await ended}):\n${lastLines().join('\n')}`,
      );
    }
    await clock.sleep(RETRY_START_MS, signal);
  }
}

function spawnServer({ cluster, socketDirectory, binaries, identity, runtime }: ServerOptions) {
  const settings = {
    listen_addresses: '',
    unix_socket_directories: socketDirectory,
    unix_socket_permissions: '0700',
    port: '5432',
    fsync: 'on',
    full_page_writes: 'on',
    logging_collector: 'off',
    log_destination: 'stderr',
    log_line_prefix: '',
    // Statements hold names and sealed secrets: they do not belong in a log.
    log_min_error_statement: 'panic',
  };
  const postgres = [join(binaries.bin, 'postgres'), '-D', cluster];
  const given = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [program, ...args] = identity.command(postgres.concat(given));
  const child = spawn(program, args, {
    cwd: cluster,
    env: environment(binaries, cluster),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (lines.length > KEPT_LOG_LINES) lines.shift();
    // FATAL is the end of one connection, and ordinary while it stops; PANIC is the end of all.
    runtime.log[line.startsWith('PANIC:') ? 'error' : 'debug']('embedded database says', { line });
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    // Not 'exit': what it said last has arrived only when its pipe is closed as well.
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  return { child, ended, lastLines: () => lines };
}

async function stopServer(server: RunningServer, runtime: Runtime): Promise<void> {
  for (const { signal, waitMs } of STOP_STAGES) {
    server.child.kill(signal);
    const waiting = new AbortController();
    const hasEnded = await Promise.race([
      server.ended.then(() => true),
      runtime.clock.sleep(waitMs, waiting.signal).then(() => false),
    ]);
    waiting.abort();
    if (hasEnded) return;
    runtime.log.warn('embedded database does not stop', { signal, waited_ms: waitMs });
  }
}

function isReady(cluster: string, pid: number | undefined): boolean {
  try {
    const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
    return Number(lines[0]) === pid && lines[7]?.startsWith('ready') === true;
  } catch {
    return false; // not written yet
  }
}
