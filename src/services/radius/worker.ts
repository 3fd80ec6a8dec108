// A worker thread: one event loop that answers RADIUS beside others on the same ports.

import assert from 'node:assert';
import { describeError } from '../../runtime/describe-error.ts';
import type { CheckResult } from '../../runtime/http/health.ts';
import { createSystemRuntime } from '../../runtime/system-runtime.ts';
import { workerInput } from '../../runtime/worker-thread.ts';
import { openRadius } from './start.ts';
import type { RadiusService } from './start.ts';
import type { FromWorker, ToWorker, WorkerCheck, WorkerData } from './workers.ts';

const { data, channel } = workerInput();
const { config, number, sharesState } = data as WorkerData;
const runtime = createSystemRuntime({
  log: config.log,
  fields: { node: config.node, service: 'radius', worker: number },
  engine: config.radius.engine,
  processMetrics: false,
});
const tell = (message: FromWorker) => channel.send(message);

// What is asked before it is open is answered when it is: a stop that comes early is not lost.
const opening = openRadius(config, runtime, {
  number,
  ...(sharesState ? { sharedState: channel } : {}),
});
channel.onMessage((message) => {
  if (isForUs(message)) void opening.then((service) => follow(message, service));
});

const { authPort, acctPort, engine, receiveBufferBytes } = await opening;
tell({ kind: 'ready', authPort, acctPort, engine, receiveBufferBytes });

async function follow(asked: ToWorker, service: RadiusService): Promise<void> {
  switch (asked.kind) {
    case 'drain':
      return service.drain();
    case 'check':
      return tell({ kind: 'answer', id: asked.id, value: await check(asked.name, service) });
    case 'metrics':
      return tell({ kind: 'answer', id: asked.id, value: await runtime.metrics.snapshot() });
    case 'stop':
      await service[Symbol.asyncDispose]();
      process.exit(0);
  }
}

async function check(name: string, { health }: RadiusService): Promise<WorkerCheck> {
  const found = health.checks.find((candidate) => candidate.name === name);
  assert(found !== undefined, `there is a check ${name}`);
  const result = await found
    .run()
    .catch((error: unknown): CheckResult => ({ status: 'fail', detail: describeError(error) }));
  return { result, database: health.database?.(), redis: health.redis?.() };
}

/** The shared state uses the same channel. */
function isForUs(message: unknown): message is ToWorker {
  return typeof message === 'object' && message !== null && 'kind' in message;
}
