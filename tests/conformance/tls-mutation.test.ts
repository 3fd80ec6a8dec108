// Fifty thousand flights that were honest before chance changed them: bytes on the wire, and messages
// before they were protected, so that what lies behind the keys is reached as well. Nothing throws, hangs
// or opens, and nothing is an internal error. A failure prints its seed; EVERGATE_FUZZ_SEED replays the
// choices, though not the keys.

import { randomInt } from 'node:crypto';
import { afterAll, expect, test } from 'vitest';
import type { TlsConnection, TlsProgress, TlsTerms } from '../../src/protocols/tls/engine.ts';
import { createCertificateAuthority } from '../servers/certificate-authority.ts';
import { type Chance, createChance } from '../simulation/chance.ts';
import {
  type ClientOptions,
  type Part,
  type TestClient,
  changeCipherSpecPart,
  createTestClient,
  dataPart,
  message,
} from './tls-test-client.ts';
import {
  certificatesOf,
  createTestServer,
  give,
  identityOf,
  shakeHands,
} from './tls-test-server.ts';

const MUTANTS_OF_EACH_FLIGHT = 6_000;
/** A keyed flight is made anew so often. */
const MUTANTS_OF_EACH_HANDSHAKE = 200;
const MAX_STATE_BYTES = 256 * 1024;

const authority = createCertificateAuthority('Evergate Test Root');
afterAll(() => authority[Symbol.dispose]());
const certificate = identityOf(authority.issue({ commonName: 'alice', usage: 'client' }));
const server = createTestServer({
  identities: [identityOf(authority.issue({ commonName: 'radius.example', usage: 'server' }))],
  clientTrust: {
    anchors: certificatesOf(authority.certificate),
    intermediates: [],
    crls: [],
    revocation: 'none',
  },
});
const terms: TlsTerms = { purpose: 'eap-tls', clientCertificate: 'optional' };

/** An honest flight in front of the server that waits for it. */
type Target = { client: TestClient; connection: TlsConnection; flight: Part[] };

const scenarios: { name: string; target: () => Promise<Target> }[] = [
  { name: '1.2, ClientHello', target: () => hello({ version: '1.2' }) },
  { name: '1.3, ClientHello', target: () => hello({ version: '1.3' }) },
  { name: '1.2, with a certificate', target: () => answer({ version: '1.2', certificate }) },
  { name: '1.3, with a certificate', target: () => answer({ version: '1.3', certificate }) },
  { name: '1.2, without a certificate', target: () => answer({ version: '1.2' }) },
  {
    name: '1.3, ChaCha20, without a certificate',
    target: () => answer({ version: '1.3', suites: ['TLS_CHACHA20_POLY1305_SHA256'] }),
  },
  { name: '1.2, the ClientHello of a resumption', target: async () => hello(await resumption()) },
  { name: '1.2, the Finished of a resumption', target: async () => answer(await resumption()) },
  {
    name: '1.3, the second ClientHello',
    target: () => answer({ version: '1.3', withoutKeyShare: true }),
  },
];

test.each(scenarios)('$name: what chance makes of it never opens', async ({ target }) => {
  const seed = Number(process.env['EVERGATE_FUZZ_SEED'] ?? randomInt(2 ** 31));
  const chance = createChance(seed);
  const ends = new Map<string, number>();
  let present = await target();
  for (let count = 0; count < MUTANTS_OF_EACH_FLIGHT; count += 1) {
    if (count % MUTANTS_OF_EACH_HANDSHAKE === 0) present = await target();
    const mutant = mutate(chance, present);
    const progress = await give(server, present.connection, mutant.bytes);
    const end = progress.kind === 'failed' ? progress.alert : progress.kind;
    ends.set(end, (ends.get(end) ?? 0) + 1);

    const isTakenFurther = chance.happens(0.1) && isAnswer(progress) && !mutant.isHarmless;
    const fault =
      faultIn(progress, mutant) ??
      (isTakenFurther ? await faultBehind(progress, target) : undefined);
    const what = `mutant ${count}, EVERGATE_FUZZ_SEED=${seed}: ${mutant.bytes.toString('hex')}`;
    expect(fault, what).toBeUndefined();
  }
  // Otherwise nothing behind the first parser was tried.
  expect(ends.size, `${JSON.stringify([...ends])} with seed ${seed}`).toBeGreaterThan(4);
});

async function hello(options: ClientOptions): Promise<Target> {
  const client = createTestClient(options);
  return { client, connection: server.engine.accept(terms), flight: client.hello() };
}

async function answer(options: ClientOptions): Promise<Target> {
  const { client, connection, flight } = await hello(options);
  const progress = await give(server, connection, client.encode(flight));
  if (progress.kind !== 'handshaking') throw new Error(`the server says ${progress.kind}`);
  client.receive(progress.output);
  return { client, connection: progress.connection, flight: client.answer() };
}

async function resumption(): Promise<ClientOptions> {
  const client = createTestClient({ version: '1.2', certificate });
  const { connection, kind } = await shakeHands(server, client, terms);
  if (kind !== 'open') throw new Error('the first handshake has failed');
  const moment = { nowMs: Date.now(), random: Buffer.alloc(32) };
  const ticket = { identity: 'alice', policy: 'plan' };
  const { session } = await server.engine.issueTicket(connection, ticket, moment);
  if (session === undefined) throw new Error('nothing to resume');
  server.sessions.set(session.id, session.value);
  return { version: '1.2', session: client.session() };
}

type Mutant = {
  bytes: Buffer;
  /** It means what the original meant: the server may well open. */
  isHarmless: boolean;
};

function mutate(chance: Chance, target: Target): Mutant {
  const original = target.client.encodeVariant(target.flight);
  const isOnWire = chance.happens(0.5);
  const { bytes, isIgnored = false } = isOnWire
    ? { bytes: mutateBytes(chance, original) }
    : mutateParts(chance, target);
  return { bytes, isHarmless: isIgnored || begins(normalized(bytes), normalized(original)) };
}

/** Before they are protected. `isIgnored`: only with more than there was, which may be passed over. */
function mutateParts(
  chance: Chance,
  { client, flight }: Target,
): { bytes: Buffer; isIgnored?: boolean } {
  const index = chance.pick(
    flight.flatMap((part, index) => (part.kind === 'content' ? [index] : [])),
  );
  const part = flight[index];
  if (part?.kind !== 'content') throw new Error('not a part with content');
  const encoded = (parts: Part[]) => ({ bytes: client.encodeVariant(parts) });
  switch (chance.between(0, 5)) {
    case 0: // missing
      return encoded(flight.toSpliced(index, 1));
    case 1: // twice
      return encoded(flight.toSpliced(index, 0, part));
    case 2: {
      // in another place
      const others = flight.toSpliced(index, 1);
      return encoded(others.toSpliced(chance.between(0, others.length), 0, part));
    }
    case 3: {
      // with something strange before it
      const strange = strangePart(chance);
      return { ...encoded(flight.toSpliced(index, 0, strange)), isIgnored: isIgnored(strange) };
    }
    default: {
      let content = mutateBytes(chance, part.content);
      if (part.type === 22 && content.length > 4 && chance.happens(0.7)) {
        // The length in front fits again, so that the body is read.
        content = Buffer.from(content);
        content.writeUIntBE(content.length - 4, 1, 3);
      }
      const changed = encoded(flight.with(index, { ...part, content }));
      // Who has said all there is to say may begin something else.
      return { ...changed, isIgnored: begins(content, part.content) };
    }
  }
}

function mutateBytes(chance: Chance, original: Buffer): Buffer {
  let bytes = original;
  for (let count = chance.between(1, 3); count > 0; count -= 1) bytes = mutateOnce(chance, bytes);
  return bytes;
}

function mutateOnce(chance: Chance, bytes: Buffer): Buffer {
  const at = chance.between(0, Math.max(0, bytes.length - 1));
  const length = chance.between(1, chance.happens(0.8) ? 4 : 400);
  const changed = Buffer.from(bytes);
  switch (chance.between(0, 7)) {
    case 0:
      changed[at] = (changed[at] ?? 0) ^ (1 << chance.between(0, 7));
      return changed;
    case 1:
      changed[at] = chance.pick([0, 1, 0x7f, 0x80, 0xfe, 0xff]);
      return changed;
    case 2:
      if (at + 2 <= changed.length) changed.writeUInt16BE(chance.pick([0, 1, 0x3fff, 0xffff]), at);
      return changed;
    case 3:
      return changed.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), chance.bytes(length), bytes.subarray(at)]);
    case 6: // a piece of it twice
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default: // a piece of it elsewhere
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(chance.between(0, bytes.length), bytes.length).subarray(0, length),
        bytes.subarray(at + length),
      ]);
  }
}

const WARNING = { kind: 'content', type: 21, content: Buffer.of(1, 90) } as const;

function strangePart(chance: Chance): Part {
  return chance.pick<Part>([
    WARNING,
    changeCipherSpecPart,
    dataPart(chance.bytes(20)),
    message(chance.between(0, 30), chance.bytes(chance.between(0, 100))),
    { kind: 'content', type: chance.between(0, 255), content: chance.bytes(chance.between(0, 50)) },
    { kind: 'content', type: 22, content: Buffer.alloc(0) },
  ]);
}

/** What a server of either version may pass over. */
function isIgnored(part: Part): boolean {
  if (part.kind !== 'content') return false;
  return part.type === 20 || part.type === 21;
}

/** The minor version in front of a record that nobody protects means nothing. */
function normalized(bytes: Buffer): Buffer {
  const same = Buffer.from(bytes);
  for (let offset = 0; offset + 5 <= same.length; offset += 5 + same.readUInt16BE(offset + 3))
    same[offset + 2] = 3;
  return same;
}

function begins(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.subarray(0, beginning.length).equals(beginning);
}

type Answer = Extract<TlsProgress, { kind: 'handshaking' }>;

function isAnswer(progress: TlsProgress): progress is Answer {
  return progress.kind === 'handshaking' && progress.output.length > 0;
}

function faultIn(progress: TlsProgress, { isHarmless }: Mutant): string | undefined {
  if (progress.kind === 'open' && !isHarmless) return 'it has opened';
  if (progress.kind === 'failed' && progress.alert === 'internal_error') return progress.detail;
  const stateBytes = JSON.stringify(progress.connection).length;
  return stateBytes > MAX_STATE_BYTES ? `it keeps ${stateBytes} bytes` : undefined;
}

/** Another honest client takes what the server said for its own: it must not get in either. */
async function faultBehind(
  { connection, output }: Answer,
  target: () => Promise<Target>,
): Promise<string | undefined> {
  const { client } = await target();
  let flight: Buffer;
  try {
    client.receive(output);
    flight = client.encode(client.answer());
  } catch {
    return undefined; // the client makes no sense of it
  }
  return faultIn(await give(server, connection, flight), { bytes: flight, isHarmless: false });
}
