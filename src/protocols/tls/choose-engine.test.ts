// Two engines that only say which of them was asked.

import { expect, test } from 'vitest';
import { createChoosingEngine } from './choose-engine.ts';
import { isNativeConnection } from './engine.ts';
import type { AlertName, TlsConnection, TlsEngine, TlsProgress, TlsTerms } from './engine.ts';

const TERMS: TlsTerms = { purpose: 'peap', clientCertificate: 'none' };
const MOMENT = { nowMs: 0, random: Buffer.alloc(32) };

/** A hello is complete with its full stop; what follows it is echoed. */
function scripted(engine: 'portable' | 'native', refuses: Record<string, AlertName>): TlsEngine {
  return {
    kind: engine,
    accept: (terms) => ({ engine, terms, heard: '' }),
    receive(before, bytes) {
      const heard = `${before['heard'] as string}${bytes.toString()}`;
      const connection = { ...before, heard };
      const alert = refuses[heard];
      if (alert !== undefined) {
        const output = Buffer.from(`${engine} refuses`);
        return { kind: 'failed', connection, output, alert, from: 'us', detail: engine };
      }
      const output = Buffer.from(heard.includes('.') ? `${engine} heard ${heard}` : '');
      return { kind: 'handshaking', connection, output };
    },
    decide: () => {
      throw new Error('nothing to decide');
    },
    send: (connection) => ({ connection, output: Buffer.from(`${engine} sends`) }),
    abort: (connection, alert) => ({ connection, output: Buffer.from(`${engine} ${alert}`) }),
    issueTicket: (connection) => ({ connection, output: Buffer.from(engine) }),
    exportKey: () => Buffer.from(engine),
  };
}

const engine = createChoosingEngine({
  portable: scripted('portable', {
    'old.': 'protocol_version',
    'cbc.': 'handshake_failure',
    'odd.': 'handshake_failure',
    'bad.': 'decode_error',
    'scsv.': 'inappropriate_fallback',
  }),
  native: scripted('native', { 'odd.': 'illegal_parameter' }),
});

async function hear(...pieces: string[]): Promise<TlsProgress> {
  let connection: TlsConnection = engine.accept(TERMS);
  let progress: TlsProgress | undefined;
  for (const piece of pieces) {
    progress = await engine.receive(connection, Buffer.from(piece), MOMENT);
    connection = JSON.parse(JSON.stringify(progress.connection)) as TlsConnection;
  }
  if (progress === undefined) throw new Error('nothing was said');
  return progress;
}

const outputOf = (progress: TlsProgress) =>
  'output' in progress ? progress.output.toString() : progress.kind;

test.each([
  ['new.', 'portable heard new.'],
  ['old.', 'native heard old.'],
  ['cbc.', 'native heard cbc.'],
])('a hello goes to the first engine that takes it: %s', async (hello, output) => {
  expect(outputOf(await hear(hello))).toBe(output);
});

test.each(['bad.', 'scsv.', 'odd.'])(
  'what is wrong, or too old for both, gets the answer of the portable engine: %s',
  async (hello) => {
    const progress = await hear(hello);
    expect(progress).toMatchObject({ kind: 'failed', detail: 'portable' });
  },
);

test('a hello in pieces reaches the second engine whole', async () => {
  expect(outputOf(await hear('o', 'l', 'd.'))).toBe('native heard old.');
  expect(outputOf(await hear('n', 'ew', '.'))).toBe('portable heard new.');
});

test.each([
  ['new.', 'portable', false],
  ['old.', 'native', true],
])('everything later goes to the engine that was chosen: %s', async (hello, name, isNative) => {
  const { connection } = await hear(hello);
  expect(isNativeConnection(connection)).toBe(isNative);
  expect(outputOf(await engine.receive(connection, Buffer.from('!'), MOMENT))).toBe(
    `${name} heard ${hello}!`,
  );
  expect((await engine.send(connection, Buffer.alloc(0))).output.toString()).toBe(`${name} sends`);
  expect((await engine.exportKey(connection, 'label', 8)).toString()).toBe(name);
  const ticket = { identity: 'alice', policy: '' };
  expect((await engine.issueTicket(connection, ticket, MOMENT)).output.toString()).toBe(name);
  expect((await engine.abort(connection, 'access_denied')).output.toString()).toBe(
    `${name} access_denied`,
  );
});

test('before the hello is complete, the portable engine says goodbye', async () => {
  const { output } = await engine.abort(engine.accept(TERMS), 'user_canceled');
  expect(output.toString()).toBe('portable user_canceled');
});
