// The key schedule, the records and the readers of messages against the handshakes of RFC 8448. What the
// RFC encrypted is opened with the keys that we derive, so one wrong byte anywhere would show.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { cipherSuite } from '../../src/protocols/tls/cipher-suites.ts';
import { parseClientHello } from '../../src/protocols/tls/client-hello.ts';
import type { RecordKeys } from '../../src/protocols/tls/connection.ts';
import { messageTypes } from '../../src/protocols/tls/handshake.ts';
import { type Group, deriveShared } from '../../src/protocols/tls/key-exchange.ts';
import {
  binderKey,
  deriveSecret,
  earlySecret,
  finishedData,
  handshakeSecret,
  masterSecret,
  recordKeys,
  ticketSecret,
  transcriptHash,
} from '../../src/protocols/tls/key-schedule.ts';
import {
  encodeMessageHash,
  readCertificate,
  readCertificateVerify,
  signedContent,
} from '../../src/protocols/tls/messages-1-3.ts';
import { protect, takeRecord, unprotect } from '../../src/protocols/tls/records.ts';
import { schemesOf, verifyWith } from '../../src/protocols/tls/signatures.ts';
import { uint24, uint8 } from '../../src/protocols/tls/wire.ts';
import { parseCertificate } from '../../src/protocols/x509/certificate.ts';
import { clientAuthenticated, resumed, retried, simple } from './tls-rfc8448-traces.ts';

const suite = cipherSuite('TLS_AES_128_GCM_SHA256');
const { hash } = suite;
const digest = (...messages: readonly Buffer[]) => transcriptHash(hash, Buffer.concat(messages));

type Start = {
  messages: readonly Buffer[];
  group: Group;
  serverPrivateKey: Buffer;
  clientPublicKey: Buffer;
};

/** The secrets up to the master secret. `psk`: of the ticket, if there is one. */
function follow({ messages, group, serverPrivateKey, clientPublicKey }: Start, psk?: Buffer) {
  const shared = deriveShared(group, serverPrivateKey, clientPublicKey) ?? Buffer.alloc(0);
  const early = earlySecret(hash, psk);
  const handshake = handshakeSecret(hash, early, shared);
  const hellos = digest(...messages);
  return {
    shared,
    early,
    handshake,
    clientHandshake: deriveSecret(hash, handshake, 'c hs traffic', hellos),
    serverHandshake: deriveSecret(hash, handshake, 's hs traffic', hellos),
    master: masterSecret(hash, handshake),
  };
}

/** The secrets that follow from the master secret. */
function finish(master: Buffer, untilServer: readonly Buffer[], fromClient: readonly Buffer[]) {
  const hashed = digest(...untilServer);
  return {
    clientApplication: deriveSecret(hash, master, 'c ap traffic', hashed),
    serverApplication: deriveSecret(hash, master, 's ap traffic', hashed),
    exporter: deriveSecret(hash, master, 'exp master', hashed),
    resumption: deriveSecret(hash, master, 'res master', digest(...untilServer, ...fromClient)),
  };
}

const inHex = (secrets: Record<string, Buffer>) =>
  Object.fromEntries(
    Object.entries(secrets).map(([name, secret]) => [name, secret.toString('hex')]),
  );

function open(record: Buffer, keys: RecordKeys): { type: number; content: Buffer } {
  const taken = takeRecord(record, '1.3');
  if (!taken) throw new Error('the record is not whole');
  expect(taken.rest).toHaveLength(0);
  return unprotect(keys, taken.record);
}

function messagesIn(content: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let start = 0; start < content.length;) {
    const end = start + 4 + content.readUIntBE(start + 1, 3);
    messages.push(content.subarray(start, end));
    start = end;
  }
  return messages;
}

function finishedMessage(data: Buffer): Buffer {
  return Buffer.concat([uint8(messageTypes.finished), uint24(data.length), data]);
}

test('a handshake in one round trip, RFC 8448 §3', () => {
  const start = follow(simple);
  const keys = recordKeys(suite, start.serverHandshake);
  expect(keys.key.toString('hex')).toBe(simple.serverHandshakeKey);
  expect(keys.iv.toString('hex')).toBe(simple.serverHandshakeIv);

  const said = [...simple.messages, simple.serverFlight];
  const serverFinished = finishedData(hash, start.serverHandshake, digest(...said));
  expect(serverFinished).toEqual(simple.serverFinished);

  const untilServer = [...said, finishedMessage(serverFinished)];
  const expected = finishedMessage(
    finishedData(hash, start.clientHandshake, digest(...untilServer)),
  );
  const sent = open(simple.clientFinishedRecord, recordKeys(suite, start.clientHandshake));
  expect(sent).toEqual({ type: 22, content: expected });

  const end = finish(start.master, untilServer, [expected]);
  expect(inHex({ ...start, ...end })).toEqual(simple.secrets);
  const ticket = ticketSecret(hash, end.resumption, simple.ticketNonce);
  expect(ticket.toString('hex')).toBe(simple.ticketSecret);

  const clientKeys = recordKeys(suite, end.clientApplication);
  const data = Buffer.from(Array.from({ length: 50 }, (_, index) => index));
  expect(open(simple.clientDataRecord, { ...clientKeys })).toEqual({ type: 23, content: data });
  expect(protect({ ...clientKeys }, 23, data)).toEqual(simple.clientDataRecord);
});

test('a resumed handshake, RFC 8448 §4', () => {
  const psk = Buffer.from(simple.ticketSecret, 'hex');
  const [helloMessage, serverHello] = resumed.messages;
  const hello = parseClientHello(helloMessage.subarray(4));
  const vouched = digest(helloMessage.subarray(0, hello.preSharedKeys?.vouchedBytes));
  expect(vouched.toString('hex')).toBe(resumed.binderHash);
  const binder = finishedData(hash, binderKey(hash, earlySecret(hash, psk)), vouched);
  expect(binder.toString('hex')).toBe(resumed.binder);
  expect(hello.preSharedKeys?.binders).toEqual([binder]);
  expect(hello.offersEarlyData).toBe(true);

  const { shared: _, master, ...start } = follow(resumed, psk);
  const flight = open(resumed.serverFlightRecord, recordKeys(suite, start.serverHandshake));
  const endOfEarlyData = Buffer.from([messageTypes.endOfEarlyData, 0, 0, 0]);
  const untilServer = [helloMessage, serverHello, flight.content];
  const transcript = digest(...untilServer, endOfEarlyData);
  const expected = finishedMessage(finishedData(hash, start.clientHandshake, transcript));
  const sent = open(resumed.clientFinishedRecord, recordKeys(suite, start.clientHandshake));
  expect(sent).toEqual({ type: 22, content: expected });
  const end = finish(master, untilServer, [endOfEarlyData, expected]);
  expect(inHex({ ...start, ...end })).toEqual(resumed.secrets);
});

test('a handshake that asks for another key share, RFC 8448 §5', () => {
  const [first, retry, second, serverHello] = retried.messages;
  const messages = [encodeMessageHash(digest(first)), retry, second, serverHello];
  expect(digest(...messages).toString('hex')).toBe(retried.transcriptHash);
  const { shared: _, ...start } = follow({ ...retried, messages });
  expect(inHex(start)).toEqual(retried.secrets);
  expect(parseClientHello(first.subarray(4)).keyShares?.map(({ group }) => group)).toEqual([0x1d]);
  const hello = parseClientHello(second.subarray(4));
  expect(hello.keyShares).toEqual([{ group: 0x17, publicKey: retried.clientPublicKey }]);
  expect(hello.cookie).toHaveLength(114);
});

test('a client shows its certificate, RFC 8448 §6', () => {
  const { shared: _shared, early: _early, ...start } = follow(clientAuthenticated);
  const serverKeys = recordKeys(suite, start.serverHandshake);
  const flight = open(clientAuthenticated.serverFlightRecord, serverKeys).content;
  const types = messagesIn(flight).map((message) => message[0]);
  expect(types).toEqual([
    messageTypes.encryptedExtensions,
    messageTypes.certificateRequest,
    messageTypes.certificate,
    messageTypes.certificateVerify,
    messageTypes.finished,
  ]);

  const untilServer = [...clientAuthenticated.messages, flight];
  const clientKeys = recordKeys(suite, start.clientHandshake);
  const answer = messagesIn(open(clientAuthenticated.clientFlightRecord, clientKeys).content);
  const [certificate, verify, finished] = answer;
  if (!certificate || !verify || !finished) throw new Error('the answer is not whole');

  const [leaf = Buffer.alloc(0)] = readCertificate(certificate.subarray(4));
  const key = parseCertificate(leaf)?.publicKey;
  if (!key) throw new Error('the certificate cannot be read');
  const { code, signature } = readCertificateVerify(verify.subarray(4));
  const scheme = schemesOf(key, '1.3').find((scheme) => scheme.code === code);
  if (!scheme) throw new Error('the signature has an unknown scheme');
  const signed = signedContent('client', digest(...untilServer, certificate));
  expect(verifyWith(scheme, key, signed, signature)).toBe(true);
  const forServer = signedContent('server', digest(...untilServer, certificate));
  expect(verifyWith(scheme, key, forServer, signature)).toBe(false);

  const transcript = digest(...untilServer, certificate, verify);
  expect(finished).toEqual(finishedMessage(finishedData(hash, start.clientHandshake, transcript)));
  const end = finish(start.master, untilServer, answer);
  expect(inHex({ ...start, ...end })).toEqual(clientAuthenticated.secrets);
});

test('the random of a HelloRetryRequest is the hash of its name', () => {
  const random = createHash('sha256').update('HelloRetryRequest').digest();
  expect(retried.messages[1].subarray(6, 38)).toEqual(random);
});
