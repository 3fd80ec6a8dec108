// The log: one JSON line per event on standard output, or readable lines on a terminal.
// A message is a constant sentence; what varies goes into the fields. Secrets never come here.

import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { describeError } from './describe-error.ts';

export { describeError } from './describe-error.ts';

export type Fields = Record<string, unknown>;

export type Log = {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  /** `fields.error` may be an Error: its chain of causes is written, without the stack. */
  error(message: string, fields?: Fields): void;
  /** The same log with fields on every line, such as `{ service: 'radius' }`. */
  with(fields: Fields): Log;
};

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';
export type LogFormat = 'text' | 'json';

/** Writes to the file descriptor, standard output unless told otherwise. */
export function createLog(options: {
  level: LogLevel;
  format?: LogFormat;
  fd?: number;
  fields?: Fields;
}): Log {
  const { level, format = 'json', fd = 1, fields = {} } = options;
  if (format === 'text') {
    return readableLog({ level, fields, write: (line) => writeSync(fd, line), nowMs: Date.now });
  }
  const logger = pino(
    {
      level,
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'message',
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    pino.destination({ fd, sync: false }),
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

function fromPino(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    with: (fields) => fromPino(logger.child(fields)),
  };
}

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
const COLOURS = { debug: 90, info: 32, warn: 33, error: 31 } as const;

/** For a terminal: `15:04:05 info  radius: ready  auth_port=1812`. */
export function readableLog(options: {
  level: LogLevel;
  fields: Fields;
  write: (line: string) => void;
  nowMs: () => number;
}): Log {
  const { level, fields: base, write, nowMs } = options;
  const line = (of: keyof typeof COLOURS) => (message: string, fields?: Fields) => {
    if (LEVELS.indexOf(of) < LEVELS.indexOf(level)) return;
    const { service, ...rest } = { ...base, ...fields };
    const time = new Date(nowMs()).toTimeString().slice(0, 8);
    const who = service === undefined ? '' : `${plain(service)}: `;
    const details = Object.entries(rest).map(
      ([name, value]) => `  ${dim(`${name}=`)}${plain(value)}`,
    );
    const label = `\u001B[${COLOURS[of]}m${of.padEnd(5)}\u001B[0m`;
    write(`${dim(time)} ${label} ${who}${message}${details.join('')}\n`);
  };
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (fields) => readableLog({ ...options, fields: { ...base, ...fields } }),
  };
}

function dim(text: string): string {
  return `\u001B[2m${text}\u001B[0m`;
}

function plain(value: unknown): string {
  if (value instanceof Error) return describeError(value);
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
}
