// The log: one JSON line per event on standard output, or readable lines on a terminal.
// A message is a constant sentence; what varies goes into the fields. Secrets never come here.

import { pino } from 'pino';

export type Fields = Record<string, unknown>;

export type Log = {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  /** `fields.error` may be an Error: its chain of causes is written, without the stack in production. */
  error(message: string, fields?: Fields): void;
  /** The same log with fields on every line, such as `{ service: 'radius' }`. */
  with(fields: Fields): Log;
};

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes to the file descriptor, standard output unless told otherwise. */
export function createLog(options: { level: LogLevel; fd?: number; fields?: Fields }): Log {
  const logger = pino(
    {
      level: options.level,
      base: options.fields ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    pino.destination({ fd: options.fd ?? 1, sync: false }),
  );
  return fromPino(logger);
}

export function silentLog(): Log {
  const nothing = () => undefined;
  const log: Log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: nothing,
    with: () => log,
  };
  return log;
}

/** An error and its causes as one line: `writing the journal: ENOSPC: no space left on device`. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  let current: unknown = error;
  while (current instanceof Error && parts.length < 8) {
    parts.push(current.message === '' ? current.name : current.message);
    current = current.cause;
  }
  if (parts.length === 0) parts.push(String(error));
  return parts.join(': ');
}

function fromPino(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields) => fromPino(logger.child(fields)),
  };
}
