// Two engines as one. The portable engine gets every ClientHello first, since any node can go on with
// what it begins; what it refuses for being too old goes to the native one, if that takes it. A client
// that the portable engine serves is therefore never served less well because the other is there.

import { isNativeConnection } from './engine.ts';
import type { AlertName, TlsConnection, TlsEngine, TlsProgress, TlsTerms } from './engine.ts';

/** What a client gets to hear that offers nothing the portable engine has. */
const TOO_OLD: ReadonlySet<AlertName> = new Set([
  'protocol_version',
  'handshake_failure',
  'insufficient_security',
]);

/** A hello is never longer; the portable engine has refused it long before. */
const MAX_HELD_BYTES = 64 * 1024;

export function createChoosingEngine(engines: {
  portable: TlsEngine;
  native: TlsEngine;
}): TlsEngine {
  const { portable, native } = engines;

  function chosen(connection: TlsConnection): TlsEngine {
    return isNativeConnection(connection) ? native : portable;
  }

  /** `held`: what the client has said so far; the portable engine has seen all of it. */
  async function choose(
    undecided: Undecided,
    held: Buffer,
    progress: TlsProgress,
    moment: Parameters<TlsEngine['receive']>[2],
  ): Promise<TlsProgress> {
    if (progress.kind === 'handshaking' && progress.output.length === 0) {
      return { ...progress, connection: undecidedConnection({ ...undecided, held }, progress) };
    }
    const isRefused =
      progress.kind === 'failed' && progress.from === 'us' && TOO_OLD.has(progress.alert);
    if (!isRefused || held.length > MAX_HELD_BYTES) return progress;
    const second = await native.receive(native.accept(undecided.terms), held, moment);
    // Refused by both: the portable engine says why, as it does where it is alone.
    return second.kind === 'failed' ? progress : second;
  }

  return {
    kind: 'portable',

    accept: (terms) => ({
      engine: 'undecided',
      terms,
      held: '',
      portable: portable.accept(terms),
    }),

    async receive(connection, bytes, moment) {
      const undecided = readUndecided(connection);
      if (undecided === undefined) return chosen(connection).receive(connection, bytes, moment);
      const held = Buffer.concat([undecided.held, bytes]);
      const progress = await portable.receive(undecided.portable, bytes, moment);
      return choose(undecided, held, progress, moment);
    },

    decide: (connection, decision, moment) =>
      chosen(connection).decide(connection, decision, moment),
    send: (connection, data) => chosen(connection).send(connection, data),
    abort(connection, alert) {
      const undecided = readUndecided(connection);
      if (undecided !== undefined) return portable.abort(undecided.portable, alert);
      return chosen(connection).abort(connection, alert);
    },
    issueTicket: (connection, ticket, moment) =>
      chosen(connection).issueTicket(connection, ticket, moment),
    exportKey: (connection, label, length, context) =>
      chosen(connection).exportKey(connection, label, length, context),
  };
}

/** The ClientHello is not complete yet. */
type Undecided = { terms: TlsTerms; held: Buffer; portable: TlsConnection };

function undecidedConnection(
  { terms, held }: Pick<Undecided, 'terms' | 'held'>,
  { connection }: TlsProgress,
): TlsConnection {
  return { engine: 'undecided', terms, held: held.toString('base64'), portable: connection };
}

function readUndecided(connection: TlsConnection): Undecided | undefined {
  if (connection['engine'] !== 'undecided') return undefined;
  return {
    terms: connection['terms'] as TlsTerms,
    held: Buffer.from(connection['held'] as string, 'base64'),
    portable: connection['portable'] as TlsConnection,
  };
}
