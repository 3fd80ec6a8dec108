// Commands of one turn of the event loop leave together. The sockets are corked at the first command
// and released when the turn ends: one write carries them all, which costs 1.6 µs for each. ioredis' own
// pipelining costs 3.6 µs, a write for each command 6 µs. Likewise one timer holds the deadline of a
// whole turn.

import { Command } from 'ioredis';
import type { Socket } from 'node:net';
import type { Clock } from '../../runtime/clock.ts';

export type Argument = string | number | Buffer;

export type Pipeline = {
  /** Rejects with NotSent, with what the server or ioredis says, or when the time is over. */
  send(target: CommandTarget, name: string, args: Argument[]): Promise<unknown>;
  /** The same at once and with less time: what is left for another try. */
  sendAlone(
    target: CommandTarget,
    name: string,
    args: Argument[],
    timeoutMs: number,
  ): Promise<unknown>;
};

export type PipelineOptions = {
  clock: Clock;
  timeoutMs: number;
  /** Those over which commands may leave. */
  sockets(): Socket[];
  onTimeout(): void;
};

type CommandTarget = { sendCommand(command: Command): unknown };

/** The command never reached a socket, so it did certainly not run. */
export class NotSent extends Error {
  override name = 'NotSent';
}

type Turn = { commands: Command[]; waiting: number; isSent: boolean; deadline?: Disposable };

export function createPipeline({
  clock,
  timeoutMs,
  sockets,
  onTimeout,
}: PipelineOptions): Pipeline {
  let present: Turn | undefined;

  function openTurn(): Turn {
    const turn: Turn = { commands: [], waiting: 0, isSent: false };
    const corked = sockets();
    for (const socket of corked) socket.cork();
    clock.soon(() => {
      present = undefined;
      turn.isSent = true;
      for (const socket of corked) socket.uncork();
      if (turn.waiting > 0) turn.deadline = clock.after(timeoutMs, () => giveUp(turn.commands));
    });
    return turn;
  }

  function giveUp(commands: Command[]) {
    const late = commands.filter((command) => !command.isSettled);
    if (late.length === 0) return;
    onTimeout();
    const error = new Error(`no answer within ${timeoutMs} ms`);
    for (const command of late) command.reject(error);
  }

  return {
    async send(target, name, args) {
      const turn = (present ??= openTurn());
      const command = new Command(name, args);
      turn.commands.push(command);
      turn.waiting++;
      try {
        return await replyTo(command, target);
      } finally {
        turn.waiting--;
        if (turn.waiting === 0) turn.deadline?.[Symbol.dispose]();
      }
    },

    async sendAlone(target, name, args, leftMs) {
      const command = new Command(name, args);
      using _ = clock.after(leftMs, () => giveUp([command]));
      return await replyTo(command, target);
    },
  };
}

async function replyTo(command: Command, target: CommandTarget): Promise<unknown> {
  let isWritten = false;
  const write = command.toWritable;
  command.toWritable = (socket) => {
    isWritten = true;
    return write.call(command, socket);
  };
  target.sendCommand(command);
  try {
    return (await command.promise) as unknown;
  } catch (cause) {
    if (isWritten) throw cause;
    throw new NotSent('not connected', { cause });
  }
}
