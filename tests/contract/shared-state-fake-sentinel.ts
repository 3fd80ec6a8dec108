// A Sentinel that does what a test tells it to: real ones do the interesting things once in six times.
// It speaks as much RESP2 as ioredis asks of a Sentinel.

import { createServer } from 'node:net';
import type { Socket } from 'node:net';

export type FakeSentinel = AsyncDisposable & {
  readonly url: string;
  /** From now on nobody is told who the master is, until `answer`. */
  holdAnswers(): void;
  /** How many wait to be told. */
  waiting(): number;
  answer(): void;
  /** Tells everybody who listens that the master has changed. */
  announceFailover(): void;
};

export async function startFakeSentinel(masterPort: number): Promise<FakeSentinel> {
  const sockets = new Set<Socket>();
  const listeners = new Set<Socket>();
  let held: (() => void)[] | undefined;

  const bulk = (text: string) => `$${text.length}\r\n${text}\r\n`;
  const address = `*2\r\n${bulk('127.0.0.1')}${bulk(String(masterPort))}`;

  function answerTo(socket: Socket, command: string, channel: string) {
    switch (command) {
      case 'hello':
        socket.write('-ERR unknown command HELLO\r\n');
        break;
      case 'subscribe':
        listeners.add(socket);
        socket.write(`*3\r\n${bulk('subscribe')}${bulk(channel)}:1\r\n`);
        break;
      case 'sentinel':
        if (channel === 'sentinels') socket.write('*0\r\n');
        else if (held === undefined) socket.write(address);
        else held.push(() => socket.write(address));
        break;
      default:
        socket.write('+OK\r\n');
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      listeners.delete(socket);
    });
    socket.on('data', (data) => {
      // Every command comes whole and is an array of bulk strings.
      for (const command of data
        .toString()
        .split(/\*\d+\r\n/)
        .slice(1)) {
        const [name = '', argument = ''] = command
          .split('\r\n')
          .filter((_, line) => line % 2 === 1);
        answerTo(socket, name.toLowerCase(), argument);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;

  return {
    url: `valkey+sentinel://127.0.0.1:${port}/mymaster`,
    holdAnswers: () => {
      held = [];
    },
    waiting: () => held?.length ?? 0,
    answer: () => {
      const answers = held ?? [];
      held = undefined;
      for (const answer of answers) answer();
    },
    announceFailover: () => {
      const message = `*3\r\n${bulk('message')}${bulk('+switch-master')}${bulk('mymaster')}`;
      for (const listener of listeners) listener.write(message);
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
