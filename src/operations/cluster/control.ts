// How other processes speak to a running cluster: a Unix socket that only its owner can reach, one
// JSON line each way. For `evergate cluster status|kill|freeze|thaw|start`.

import { closeSync, openSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Clock } from '../../runtime/clock.ts';
import { describeError } from '../../runtime/describe-error.ts';
import { lockDirectory } from '../../stores/postgres/embedded/directory-lock.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Cluster } from './cluster.ts';
import type { PartView } from './look.ts';
import { isAlive, signalAll } from './processes.ts';
import { endLeftovers, readState } from './state-file.ts';

export type PartAction = 'kill' | 'freeze' | 'thaw' | 'start';

type Request = { verb: 'look' } | { verb: PartAction; name: string };
/** `pid`: of the part before it was killed, or after it was started. */
type Answer = { views: PartView[] } | { pid: number | undefined } | { error: string };

/** A start is waited for as long as the cluster itself waits, and a little longer. */
const ANSWER_WITHIN_MS = 70_000;
const STOP_WITHIN_MS = 60_000;
const POLL_MS = 50;
const SOCKET = 'control.sock';
/** sun_path holds 108 bytes with its final zero. */
const LONGEST_PATH = 107;

export async function serveControl(cluster: Cluster): Promise<AsyncDisposable> {
  const directory = join(cluster.directory, 'run');
  rmSync(join(directory, SOCKET), { force: true }); // of one that was killed: the directory is ours
  const place = openPlace(directory);
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // whoever asked is gone
    createInterface({ input: socket }).once('line', (line) => {
      void answer(cluster, line).then((reply) => socket.end(`${JSON.stringify(reply)}\n`));
    });
  });
  server.listen({ path: place.path });
  await once(server, 'listening');
  return {
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => void server.close(resolve));
      place[Symbol.dispose]();
    },
  };
}

async function answer(cluster: Cluster, line: string): Promise<Answer> {
  try {
    const request = JSON.parse(line) as Request;
    if (request.verb === 'look') return { views: await cluster.look() };
    const part = cluster.part(request.name);
    const { verb } = request;
    const before = part.pid();
    await part[verb]();
    return { pid: verb === 'start' ? part.pid() : before };
  } catch (error) {
    return { error: describeError(error) };
  }
}

/** Rejects with a sentence when no cluster runs there. */
export async function askStatus(directory: string): Promise<PartView[]> {
  const reply = await ask(directory, { verb: 'look' });
  return 'views' in reply ? reply.views : [];
}

/** Resolves with the process it happened to, when it has happened. */
export async function actOnPart(
  directory: string,
  verb: PartAction,
  name: string,
): Promise<number | undefined> {
  const reply = await ask(directory, { verb, name });
  return 'pid' in reply ? reply.pid : undefined;
}

async function ask(
  directory: string,
  request: Request,
): Promise<Exclude<Answer, { error: string }>> {
  let line: string | undefined;
  try {
    using place = openPlace(join(directory, 'run'));
    const socket = connect({ path: place.path }).setTimeout(ANSWER_WITHIN_MS, () => {
      socket.destroy(new Error('it does not answer'));
    });
    await once(socket, 'connect');
    socket.write(`${JSON.stringify(request)}\n`);
    for await (const each of createInterface({ input: socket })) line ??= each;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') throw noCluster(directory);
    throw new Error(`the cluster in ${directory} was not reached`, { cause: error });
  }
  if (line === undefined) throw new Error(`the cluster in ${directory} ended meanwhile`);
  const reply = JSON.parse(line) as Answer;
  if ('error' in reply) throw new Error(reply.error);
  return reply;
}

function noCluster(directory: string): Error {
  return new Error(
    `no cluster runs in ${directory}: start one with \`evergate cluster up\`, or name its directory with --data`,
  );
}

export type Stopped =
  | { kind: 'stopped' }
  /** It had been killed; these were still there. */
  | { kind: 'cleaned'; leftovers: string[] }
  | { kind: 'none' };

/** Resolves when no process of the cluster is left. */
export async function stopCluster(directory: string, runtime: Runtime): Promise<Stopped> {
  const { supervisor, parts } = readState(directory);
  if (supervisor !== undefined && isAlive(supervisor)) {
    signalAll([supervisor], 'SIGTERM');
    await untilGone(() => isAlive(supervisor), runtime.clock);
    await endLeftovers(directory, runtime);
    return { kind: 'stopped' };
  }
  if (!parts.some(isAlive)) return { kind: 'none' };
  using _ours = lockDirectory(directory);
  return { kind: 'cleaned', leftovers: await endLeftovers(directory, runtime) };
}

async function untilGone(isThere: () => boolean, clock: Clock): Promise<void> {
  const deadlineMs = clock.monotonicMs() + STOP_WITHIN_MS;
  while (isThere()) {
    if (clock.monotonicMs() > deadlineMs) {
      throw new Error(`the cluster does not stop within ${STOP_WITHIN_MS / 1000} s`);
    }
    await clock.sleep(POLL_MS);
  }
}

/** A path to the socket that is short enough, however deep the directory lies. */
function openPlace(directory: string): Disposable & { path: string } {
  const path = join(directory, SOCKET);
  if (Buffer.byteLength(path) <= LONGEST_PATH) return { path, [Symbol.dispose]: () => undefined };
  const descriptor = openSync(directory, 'r');
  return {
    path: `/proc/self/fd/${descriptor}/${SOCKET}`,
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}
