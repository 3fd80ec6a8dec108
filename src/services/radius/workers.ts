// Several worker threads behind the same ports: `radius.workers`. The kernel spreads requests by
// sender and identifier, so a retransmission meets the worker that has its answer. What the workers
// must have in common goes through the shared state; with `state.url: memory` that is the memory of
// this thread. A worker that ends is started again; the others go on.

import { extname } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import type { CheckResult, HealthCheck, StoreStatus } from '../../runtime/http/health.ts';
import type { MetricsSnapshot } from '../../runtime/metrics.ts';
import { startWorkerThread } from '../../runtime/worker-thread.ts';
import type { Channel, WorkerThread } from '../../runtime/worker-thread.ts';
import { CHECK_NAMES, isRequired } from './health-checks.ts';
import type { RadiusConfig, RadiusService } from './start.ts';

export type WorkerData = { config: RadiusConfig; number: number; sharesState: boolean };

export type ToWorker = { kind: 'drain' } | { kind: 'stop' } | ({ id: number } & Question);
type Question = { kind: 'check'; name: string } | { kind: 'metrics' };

type Ready = {
  kind: 'ready';
  authPort: number;
  acctPort: number;
  engine: RadiusService['engine'];
  receiveBufferBytes: number;
};
type StoreStatuses = { database: StoreStatus | undefined; redis: StoreStatus | undefined };
export type WorkerCheck = StoreStatuses & { result: CheckResult };
export type FromWorker = Ready | { kind: 'answer'; id: number; value: unknown };

type Worker = { number: number; thread: WorkerThread; ask: Ask; ready: Promise<Ready> };
type Ask = <T>(question: Question) => Promise<T>;

/** With the extension of this file: compiled, it is `worker.js`. */
const WORKER_FILE = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);

const ANSWER_MS = 800;
const STOP_MS = 5_000;
const FIRST_RESTART_MS = 200;
const MAX_RESTART_MS = 10_000;

export async function startWorkers(
  config: RadiusConfig,
  runtime: Runtime,
  /** Answers the workers' calls of the shared state; undefined where they have their own connection. */
  serveState?: (channel: Channel) => void,
): Promise<RadiusService> {
  const { clock, log, metrics } = runtime;
  const workers = new Map<number, Worker>();
  const stopping = new AbortController();
  let isDraining = false;
  let stores: StoreStatuses = { database: 'disconnected', redis: 'embedded' };
  const restarts = metrics
    .counter('radius_worker_restarts_total', 'Worker threads that ended and were started again.')
    .labels({});

  function start(number: number, ports: { authPort: number; acctPort: number }): Worker {
    const data: WorkerData = {
      config: { ...config, radius: { ...config.radius, ...ports } },
      number,
      sharesState: serveState !== undefined,
    };
    const thread = startWorkerThread(WORKER_FILE, data);
    serveState?.(thread.channel);
    if (isDraining) thread.channel.send({ kind: 'drain' } satisfies ToWorker);
    const worker: Worker = {
      number,
      thread,
      ask: createAsk(thread.channel),
      ready: whenReady(thread),
    };
    workers.set(number, worker);
    return worker;
  }

  function createAsk(channel: Channel): Ask {
    const waiting = new Map<number, (value: unknown) => void>();
    let lastId = 0;
    channel.onMessage((message) => {
      const said = message as FromWorker;
      if (said.kind !== 'answer') return;
      waiting.get(said.id)?.(said.value);
      waiting.delete(said.id);
    });
    return <T>(question: Question) =>
      new Promise<T>((resolve, reject) => {
        const id = ++lastId;
        const timer = clock.after(ANSWER_MS, () => {
          waiting.delete(id);
          reject(new Error('the worker did not answer'));
        });
        waiting.set(id, (value) => {
          timer[Symbol.dispose]();
          resolve(value as T);
        });
        channel.send({ ...question, id } satisfies ToWorker);
      });
  }

  async function supervise(
    number: number,
    ports: { authPort: number; acctPort: number },
  ): Promise<void> {
    let waitMs = FIRST_RESTART_MS;
    while (!stopping.signal.aborted) {
      const worker = workers.get(number) ?? start(number, ports);
      const collected = metrics.include(() => worker.ask<MetricsSnapshot>({ kind: 'metrics' }));
      const startedAtMs = clock.monotonicMs();
      worker.ready.catch(() => undefined);
      const error = await worker.thread.ended;
      collected[Symbol.dispose]();
      workers.delete(number);
      if (stopping.signal.aborted) return;
      if (clock.monotonicMs() - startedAtMs > MAX_RESTART_MS) waitMs = FIRST_RESTART_MS;
      log.error('a worker ended and is started again', { worker: number, error });
      restarts.add();
      await clock.sleep(waitMs, stopping.signal);
      waitMs = Math.min(waitMs * 2, MAX_RESTART_MS);
    }
  }

  async function stop(): Promise<void> {
    stopping.abort();
    const threads = [...workers.values()].map(({ thread }) => thread);
    for (const { channel } of threads) channel.send({ kind: 'stop' } satisfies ToWorker);
    using _tooLong = clock.after(STOP_MS, () => {
      for (const thread of threads) void thread[Symbol.asyncDispose]();
    });
    await Promise.all(threads.map(({ ended }) => ended));
  }

  // The first one finds the ports, where the configuration says 0, and the errors.
  const { authPort, acctPort } = config.radius;
  const first = await start(0, { authPort, acctPort }).ready;
  const ports = { authPort: first.authPort, acctPort: first.acctPort };
  const others = Array.from({ length: config.workers - 1 }, (_, i) => start(i + 1, ports));
  const supervised = [0, ...others.map(({ number }) => number)].map((n) => supervise(n, ports));
  try {
    await Promise.all(others.map(({ ready }) => ready));
  } catch (error) {
    await stop();
    throw error;
  }

  /**
   * The worst of what the workers say of one check. Each check is a question of its own, so that a
   * database that hangs does not make the workers look silent about the rest.
   */
  async function check(name: string): Promise<CheckResult> {
    if (isDraining) return { status: 'fail', detail: 'stopping' };
    const asked = await Promise.allSettled(
      [...workers.values()].map((worker) => worker.ask<WorkerCheck>({ kind: 'check', name })),
    );
    const answers = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const [first] = answers;
    if (first === undefined) return { status: 'fail', detail: 'no worker answers' };
    stores = answers.find(isAway) ?? first;
    const results = answers.map(({ result }) => result);
    const failed = results.find(({ status }) => status === 'fail');
    if (failed !== undefined) return failed;
    const silent = config.workers - results.length;
    if (silent > 0) {
      return {
        status: 'degraded',
        detail: `${String(silent)} of ${String(config.workers)} workers do not answer`,
      };
    }
    return results.find(({ status }) => status === 'degraded') ?? { status: 'pass' };
  }

  const isStateRequired = config.state.onFailure === 'reject';
  const checks: HealthCheck[] = CHECK_NAMES.map((name) => ({
    name,
    required: isRequired(name, isStateRequired),
    run: () => check(name),
  }));

  return {
    ...ports,
    engine: first.engine,
    receiveBufferBytes: first.receiveBufferBytes,
    health: {
      checks,
      database: () => stores.database ?? 'disconnected',
      redis: () => stores.redis ?? 'embedded',
    },
    drain() {
      isDraining = true;
      for (const { thread } of workers.values())
        thread.channel.send({ kind: 'drain' } satisfies ToWorker);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await Promise.all(supervised);
    },
  };
}

function whenReady(thread: WorkerThread): Promise<Ready> {
  return new Promise((resolve, reject) => {
    thread.channel.onMessage((message) => {
      const said = message as FromWorker;
      if (said.kind === 'ready') resolve(said);
    });
    // Its own words if it had any: what is in the way reads the same with one worker and with many.
    void thread.ended.then((error) =>
      reject(error instanceof Error ? error : new Error('a worker ended before it was ready')),
    );
  });
}

function isAway({ database, redis }: StoreStatuses): boolean {
  return database === 'disconnected' || redis === 'disconnected';
}
