// One process of the cluster: started with its log in a file, watched, started again when it dies,
// killed and frozen on request, stopped in order. What it is, its own file says (nodes.ts,
// redis-sentinel.ts, postgres.ts).

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import type { Clock } from '../../runtime/clock.ts';
import { describeError } from '../../runtime/describe-error.ts';
import { familyOf, holdsPorts, identify, isAlive, isFrozen, signalAll } from './processes.ts';
import type { ListeningPorts, ProcessId } from './processes.ts';

export type Role = 'radius' | 'gateway' | 'postgres' | 'redis' | 'sentinel';

/** What `status` and the live table call each port: `auth`, `acct`, `http`, `tcp`. */
type NamedPorts = Record<string, number>;

export type Part = {
  readonly name: string;
  readonly role: Role;
  readonly ports: NamedPorts;
  readonly logFile: string;
  /** `waiting`: not started yet. `stopped`: in order. `down`: it died. */
  state(): 'waiting' | 'running' | 'frozen' | 'down' | 'stopped';
  /** Undefined while it is down. */
  pid(): number | undefined;
  /** Until it is started again by itself; undefined if it will not be. */
  restartsInMs(): number | undefined;
  /** Resolves when it answers; at once if it runs. Rejects with `PartFailed` or `AddressInUse`. */
  start(signal?: AbortSignal): Promise<void>;
  /** SIGKILL, to all that it started as well: a power cut. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open and nobody answers. */
  freeze(): void;
  thaw(): void;
  /** In order; it stays down. */
  stop(): Promise<void>;
};

export type PartOptions = {
  name: string;
  role: Role;
  ports: NamedPorts;
  /** Those of `ports` on which it answers when it is ready. */
  listensOn: ListeningPorts;
  command(): readonly string[];
  environment: NodeJS.ProcessEnv;
  /** Its working directory. */
  directory: string;
  logFile: string;
  /** How it is asked to stop in order. */
  stopSignal: 'SIGTERM' | 'SIGINT';
  beforeStart?(): Promise<void>;
  isReady(pid: number): Promise<boolean>;
};

/** `how`: a signal or an exit code. */
export type PartEvent =
  | { part: string; kind: 'started' | 'ready' | 'frozen' | 'thawed' | 'stopped' }
  | { part: string; kind: 'died'; how: string; restartsInMs: number | undefined }
  | { part: string; kind: 'not-restarted'; why: string };

export type PartSurroundings = {
  clock: Clock;
  /** Undefined: what dies stays down. */
  restartAfterMs: number | undefined;
  onEvent(event: PartEvent): void;
  /** Belongs to the cluster from now on. */
  onProcesses(processes: readonly ProcessId[]): void;
};

/** It did not start. The message is for people; `lastLines` are the end of its log. */
export class PartFailed extends Error {
  override name = 'PartFailed';
  readonly lastLines: string[];

  constructor(message: string, lastLines: string[]) {
    super(message);
    this.lastLines = lastLines;
  }
}

/** Somebody else took a port of it in the meantime. */
export class AddressInUse extends PartFailed {
  override name = 'AddressInUse';
}

const READY_WITHIN_MS = 60_000;
const POLL_MS = 25;
const STOP_WITHIN_MS = 15_000;
const SHOWN_LOG_LINES = 10;
const IN_USE = /address already in use|EADDRINUSE/i;

type Running = { process: ProcessId; logFrom: number; hasEnded: boolean; ended: Promise<string> };

export function createPart(options: PartOptions, surroundings: PartSurroundings): Part {
  const { name, logFile } = options;
  const { clock, restartAfterMs, onEvent } = surroundings;
  let running: Running | undefined;
  let launching: Promise<Running> | undefined;
  let restart: { atMs: number; timer: Disposable } | undefined;
  let isWanted = false;
  let hasBegun = false;
  /** One that cannot even start is not started again and again. */
  let wasReady = false;

  function launch(): Promise<Running> {
    launching ??= launchOnce().finally(() => {
      launching = undefined;
    });
    return launching;
  }

  async function launchOnce(): Promise<Running> {
    forgetRestart();
    isWanted = true;
    hasBegun = true;
    await options.beforeStart?.();
    if (!isWanted) throw new Error(`${name} was stopped before it had started`);
    const { child, logFrom } = spawnWithLog(options);
    const ended = endOf(child);
    const process_ = child.pid === undefined ? undefined : identify(child.pid);
    if (process_ === undefined) throw new Error(`${name} could not be started: ${await ended}`);
    const launched: Running = { process: process_, logFrom, hasEnded: false, ended };
    running = launched;
    surroundings.onProcesses([process_]);
    void ended.then((how) => afterEnd(launched, how));
    onEvent({ part: name, kind: 'started' });
    return launched;
  }

  function afterEnd(launched: Running, how: string): void {
    launched.hasEnded = true;
    if (running === launched) running = undefined;
    if (!isWanted) return;
    const restartsInMs = wasReady ? restartAfterMs : undefined;
    onEvent({ part: name, kind: 'died', how, restartsInMs });
    if (wasReady) restartLater();
  }

  function restartLater(): void {
    if (restartAfterMs === undefined) return;
    const timer = clock.after(restartAfterMs, () => {
      launch().catch((error: unknown) => {
        onEvent({ part: name, kind: 'not-restarted', why: describeError(error) });
        if (isWanted) restartLater();
      });
    });
    restart = { atMs: clock.monotonicMs() + restartAfterMs, timer };
  }

  function forgetRestart(): void {
    restart?.timer[Symbol.dispose]();
    restart = undefined;
  }

  async function waitUntilReady(launched: Running, signal: AbortSignal | undefined): Promise<void> {
    const deadlineMs = clock.monotonicMs() + READY_WITHIN_MS;
    const { pid } = launched.process;
    const lines = () => readFrom(logFile, launched.logFrom);
    for (;;) {
      const { hasEnded } = launched; // asked first: what it said last is in the log by then
      if (IN_USE.test(lines())) {
        throw new AddressInUse(`${name}: a port is in use by another process`, lastOf(lines()));
      }
      if (hasEnded) {
        const how = await launched.ended;
        throw new PartFailed(`${name} ended before it was ready (${how})`, lastOf(lines()));
      }
      if (signal?.aborted === true) throw new Error(`${name} was not waited for`);
      if (await answers(pid)) return;
      if (clock.monotonicMs() > deadlineMs) {
        const seconds = READY_WITHIN_MS / 1000;
        throw new PartFailed(`${name} was not ready within ${seconds} s`, lastOf(lines()));
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  async function answers(pid: number): Promise<boolean> {
    try {
      return holdsPorts(pid, options.listensOn) && (await options.isReady(pid));
    } catch {
      return false; // not yet
    }
  }

  function requireRunning(): Running {
    if (running === undefined) throw new Error(`${name} is not running`);
    return running;
  }

  return {
    name,
    role: options.role,
    ports: options.ports,
    logFile,
    state() {
      if (running !== undefined) return isFrozen(running.process.pid) ? 'frozen' : 'running';
      if (!hasBegun) return 'waiting';
      return isWanted ? 'down' : 'stopped';
    },
    pid: () => running?.process.pid,
    restartsInMs: () =>
      restart === undefined ? undefined : Math.max(0, restart.atMs - clock.monotonicMs()),

    async start(signal) {
      await waitUntilReady(running ?? (await launch()), signal);
      wasReady = true;
      onEvent({ part: name, kind: 'ready' });
    },

    async kill() {
      const { process: process_, ended } = requireRunning();
      signalAll(familyOf(process_.pid), 'SIGKILL');
      await ended;
    },

    freeze() {
      const family = familyOf(requireRunning().process.pid);
      surroundings.onProcesses(family); // a frozen one does not notice that its parent is gone
      signalAll(family, 'SIGSTOP');
      onEvent({ part: name, kind: 'frozen' });
    },

    thaw() {
      signalAll(familyOf(requireRunning().process.pid), 'SIGCONT');
      onEvent({ part: name, kind: 'thawed' });
    },

    async stop() {
      isWanted = false;
      forgetRestart();
      await launching?.catch(() => undefined);
      if (running === undefined) return;
      const { process: process_, ended } = running;
      const family = familyOf(process_.pid);
      signalAll(family, 'SIGCONT');
      signalAll([process_], options.stopSignal);
      const waiting = new AbortController();
      await Promise.race([ended, clock.sleep(STOP_WITHIN_MS, waiting.signal)]);
      waiting.abort();
      signalAll(family.filter(isAlive), 'SIGKILL');
      await ended;
      onEvent({ part: name, kind: 'stopped' });
    },
  };
}

/** In a session of its own: Ctrl-C goes to a whole group, and stopping in order is our work. */
function spawnWithLog(options: PartOptions): { child: ChildProcess; logFrom: number } {
  const [program = '', ...args] = options.command();
  const log = openSync(options.logFile, 'a', 0o600);
  // Redis writes its configuration anew, password included, with the mode that this leaves.
  const umask = process.umask(0o077);
  try {
    const child = spawn(program, args, {
      cwd: options.directory,
      env: options.environment,
      detached: true,
      stdio: ['ignore', log, log],
    });
    return { child, logFrom: fstatSync(log).size };
  } finally {
    process.umask(umask);
    closeSync(log);
  }
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function readFrom(file: string, position: number): string {
  return readFileSync(file).subarray(position).toString('utf8');
}

function lastOf(log: string): string[] {
  return log.trimEnd().split('\n').slice(-SHOWN_LOG_LINES);
}
