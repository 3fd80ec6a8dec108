// The body of codec-fuzz.test.ts, in a thread of its own: there it can be stopped when it hangs and
// held to a heap of fixed size. Every mutant follows from the seed and its number alone.

import { parentPort, workerData } from 'node:worker_threads';
import { continueConversation, startConversation } from '../../src/protocols/eap/conversation.ts';
import type { ConversationState } from '../../src/protocols/eap/conversation.ts';
import { eapGtc } from '../../src/protocols/eap/gtc.ts';
import { eapMd5 } from '../../src/protocols/eap/md5.ts';
import { eapMsChapV2 } from '../../src/protocols/eap/mschapv2.ts';
import { answerEap, eapIdentity } from '../../src/protocols/eap/peer.ts';
import { parseMsChap2Response } from '../../src/protocols/mschap/mschapv2.ts';
import { decodeAttributes } from '../../src/protocols/radius/attributes.ts';
import {
  prepareSecret,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
  verifyResponse,
} from '../../src/protocols/radius/authenticator.ts';
import { createDictionary } from '../../src/protocols/radius/dictionary.ts';
import { standardTables } from '../../src/protocols/radius/dictionary/standard.ts';
import { encodeRequest } from '../../src/protocols/radius/encode.ts';
import type { AttributeToEncode } from '../../src/protocols/radius/encode.ts';
import { parseFreeradiusDictionary } from '../../src/protocols/radius/freeradius-dictionary.ts';
import {
  attributeInteger,
  attributeText,
  concatAttribute,
  countAttribute,
  findAttribute,
  findValue,
  findVendorAttribute,
  HEADER_BYTES,
  MAX_PACKET_BYTES,
  nextAttribute,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import {
  revealUserPassword,
  saltDecrypt,
  verifyChap,
} from '../../src/protocols/radius/password.ts';
import { createReplyWriter } from '../../src/protocols/radius/reply.ts';

export type FuzzJob = {
  seed: number;
  packets: number;
  dictionaries: number;
  /** Two Int32: the number of the mutant that is being tried, and how many were well formed. */
  progress: SharedArrayBuffer;
};

export type FuzzFailure = { mutant: number; input: string; error: string };

const secret = prepareSecret(Buffer.from('testing123'));
const authenticator = Buffer.alloc(16, 0x5a);
const password = Buffer.from('wonderland');
const random = Buffer.alloc(32, 3);
const input = { random, fresh: random, nowMs: 0, maxPacketBytes: 1_200 };
const offered = [eapMsChapV2, eapMd5, eapGtc];
const dictionary = createDictionary([
  ...standardTables,
  { vendor: { name: 'Wide', id: 429, typeBytes: 4, lengthBytes: 0 }, attributes: {} },
  { vendor: { name: 'Long', id: 8164, typeBytes: 2, lengthBytes: 2 }, attributes: {} },
  { vendor: { name: 'WiMAX', id: 24_757, hasContinuation: true }, attributes: {} },
]);
const replies = createReplyWriter();
const conversations = conversationsInProgress();

async function fuzz(job: FuzzJob): Promise<FuzzFailure | undefined> {
  const progress = new Int32Array(job.progress);
  const corpus = validPackets();
  const buffer = Buffer.alloc(2 * MAX_PACKET_BYTES);
  for (let mutant = 0; mutant < job.packets; mutant++) {
    Atomics.store(progress, 0, mutant);
    const bytes = mutate(buffer, corpus, createChance(job.seed, mutant));
    try {
      const packet = tryPacket(bytes);
      if (packet === undefined) continue;
      Atomics.add(progress, 1, 1);
      const eap = concatAttribute(packet, 79);
      if (eap !== undefined) await tryEap(eap);
    } catch (error) {
      return { mutant, input: bytes.toString('hex'), error: describe(error) };
    }
  }
  for (let mutant = 0; mutant < job.dictionaries; mutant++) {
    Atomics.store(progress, 0, job.packets + mutant);
    const text = mutateText(createChance(job.seed, mutant));
    try {
      createDictionary(
        parseFreeradiusDictionary('/main', (path) => (path === '/main' ? text : undefined)).tables,
      );
    } catch (error) {
      return { mutant: job.packets + mutant, input: text, error: describe(error) };
    }
  }
  return undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** All that a server does with a packet from anybody, but for EAP. Undefined: it was malformed. */
function tryPacket(bytes: Buffer): Packet | undefined {
  const packet = parsePacket(bytes);
  if (packet.kind === 'malformed') return undefined;
  expectThat(packet.bytes.length <= MAX_PACKET_BYTES, 'longer than a packet can be');

  let attributes = 0;
  for (let at = HEADER_BYTES; at < packet.bytes.length; at = nextAttribute(packet, at)) {
    attributeText(packet, at);
    attributeInteger(packet, at);
    attributes++;
  }
  expectThat(attributes <= packet.bytes.length / 2, 'more attributes than bytes');
  findVendorAttribute(packet, 14_988, 8);
  const chap2 = findVendorAttribute(packet, 311, 25);
  if (chap2 !== undefined) parseMsChap2Response(chap2);

  checkSignatures(packet);
  const hidden = findValue(packet, 2);
  if (hidden !== undefined) revealUserPassword(hidden, secret, packetAuthenticator(packet));
  const chap = findValue(packet, 3);
  if (chap !== undefined)
    verifyChap(chap, findValue(packet, 60) ?? packetAuthenticator(packet), password);
  const salted = findValue(packet, 69);
  if (salted !== undefined) saltDecrypt(salted.subarray(1), secret, authenticator);

  decodeAttributes(packet, dictionary, { secret, requestAuthenticator: authenticator });
  return packet;
}

function checkSignatures(packet: Packet): void {
  const sumBefore = sumOf(packet.bytes);
  verifyMessageAuthenticator(packet, secret);
  verifyAccountingAuthenticator(packet, secret);
  verifyResponse(packet, authenticator, secret);
  expectThat(sumOf(packet.bytes) === sumBefore, 'a check changed the packet');

  replies.begin(PacketCode.AccessAccept, packet, true);
  replies.copyProxyStates(packet);
  const reply = parsePacket(replies.finish(secret));
  expectThat(reply.kind === 'packet', 'the reply is malformed');
  if (reply.kind === 'packet' && !replies.isTooBig) {
    const echoed = countAttribute(reply, 33) === countAttribute(packet, 33);
    expectThat(echoed, 'a Proxy-State was lost');
    expectThat(findAttribute(reply, 80) === HEADER_BYTES, 'Message-Authenticator is not first');
  }
}

async function tryEap(eap: Buffer): Promise<void> {
  const peer = { username: 'alice', password, accepts: [26, 4, 6] };
  startConversation(eap, { ...input, offered });
  answerEap(peer, undefined, eap, random);
  const evidence = { kind: 'password', password, policy: '' } as const;
  for (const state of conversations) {
    await continueConversation(state, eap, { ...input, offered });
    await continueConversation(state, eap, { ...input, offered, evidence });
  }
}

function conversationsInProgress(): ConversationState[] {
  const states: ConversationState[] = [{ stage: 'identity', outstanding: 5 }];
  for (const method of offered) {
    const outcome = startConversation(eapIdentity('alice', 4), { ...input, offered: [method] });
    if (outcome.kind === 'challenge') states.push(outcome.state);
  }
  return states;
}

function validPackets(): Buffer[] {
  const request = (code: number, attributes: readonly AttributeToEncode[]) =>
    encodeRequest({ code, identifier: 1, authenticator, attributes, secret }, dictionary);
  const eap = (value: Buffer) =>
    request(PacketCode.AccessRequest, [
      { name: 'User-Name', value: 'alice' },
      { name: 'EAP-Message', value },
    ]);
  const answers = conversations.flatMap((state) => {
    if (state.stage !== 'method') return [];
    const offer = offered.filter(({ type }) => type === state.type);
    const outcome = startConversation(eapIdentity('alice', 4), { ...input, offered: offer });
    if (outcome.kind !== 'challenge') return [];
    const accepts = [state.type];
    const answer = answerEap(
      { username: 'alice', password, accepts },
      undefined,
      outcome.eap,
      random,
    );
    return answer.kind === 'response' ? [outcome.eap, answer.eap] : [];
  });
  return [
    request(PacketCode.AccessRequest, [
      { name: 'User-Name', value: 'alice' },
      { name: 'User-Password', value: 'wonderland-and-more' },
      { name: 'NAS-IP-Address', value: '192.0.2.1' },
      { name: 'Calling-Station-Id', value: '02-00-00-00-00-01' },
      { name: 'Proxy-State', value: '0x0102' },
      { name: 'Proxy-State', value: '0x03' },
    ]),
    request(PacketCode.AccessRequest, [
      { name: 'User-Name', value: 'bob' },
      { name: 'CHAP-Password', value: 'wonderland' },
      { name: 'CHAP-Challenge', value: '0x01020304' },
      { name: 'MS-CHAP2-Response', value: Buffer.alloc(50, 1) },
    ]),
    request(PacketCode.AccountingRequest, [
      { name: 'Acct-Status-Type', value: 'Interim-Update' },
      { name: 'Acct-Session-Id', value: '81a00001' },
      { name: 'Event-Timestamp', value: 1_790_000_000 },
      { name: 'Framed-IPv6-Prefix', value: '2001:db8::/56' },
      { name: 'Framed-Interface-Id', value: '1:2:3:4'.replaceAll(/\d/g, '000$&') },
      { name: 'Mikrotik-Rate-Limit', value: '2M/10M' },
      { name: 'Vendor-Specific', value: Buffer.from('00003a8c01060000000108046162', 'hex') },
    ]),
    request(PacketCode.CoaRequest, [
      { name: 'Tunnel-Type', value: 'VLAN', tag: 1 },
      { name: 'Tunnel-Private-Group-Id', value: '200', tag: 1 },
      { name: 'Tunnel-Password', value: 'hush', tag: 1 },
      { name: 'MS-MPPE-Send-Key', value: Buffer.alloc(16, 1) },
      { name: 'Operator-NAS-Identifier', value: '0x01' },
      { name: 'Attr-245.1', value: Buffer.alloc(400, 2) },
      { name: 'Attr-241.26.9.1', value: '0x0102' },
    ]),
    request(PacketCode.DisconnectRequest, [
      { name: 'Attr-26.429.70000', value: '0x01' },
      { name: 'Attr-26.8164.5', value: '0x0102' },
      { name: 'Attr-26.24757.1', value: '0x0102' },
      { name: 'Ruckus-TC-Name-Quota', value: 'gold' },
    ]),
    request(PacketCode.StatusServer, []),
    ...[eapIdentity('alice', 4), ...answers].map(eap),
  ];
}

type Chance = (below: number) => number;

/** Two numbers make a stream: xorshift, after the seed and the mutant's number are mixed. */
function createChance(seed: number, mutant: number): Chance {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(mutant + 1, 0xc2b2ae35)) | 0;
  if (state === 0) state = 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const EDGE_BYTES = [0, 1, 2, 3, 5, 6, 16, 17, 18, 19, 26, 79, 80, 127, 128, 253, 254, 255];

/** One to six changes to a valid packet; mostly the Length is then put right, to get further in. */
function mutate(buffer: Buffer, corpus: readonly Buffer[], chance: Chance): Buffer {
  const pick = () => corpus[chance(corpus.length)] ?? Buffer.alloc(20);
  let length = pick().copy(buffer);
  for (let changes = 1 + chance(6); changes > 0; changes--) {
    const at = chance(length + 1);
    switch (chance(8)) {
      case 0:
        buffer[at] = (buffer[at] ?? 0) ^ (1 << chance(8));
        break;
      case 1:
        buffer[at] = EDGE_BYTES[chance(EDGE_BYTES.length)] ?? 0;
        break;
      case 2:
        buffer[at] = chance(256);
        break;
      case 3: // cut off the end
        length = at;
        break;
      case 4: // take something out
        length -= takeOut(buffer, length, at, chance(40));
        break;
      case 5: // an attribute of any type, whose length is right
        length += appendAttribute(buffer, length, chance);
        break;
      case 6: // the end of another packet
        length += pick().copy(buffer, length, HEADER_BYTES);
        break;
      default: // the length of the first attribute
        if (length > 21) buffer[21] = chance(256);
    }
    length = Math.min(length, MAX_PACKET_BYTES + 10);
  }
  if (chance(10) > 0 && length >= 4) buffer.writeUInt16BE(length, 2);
  return buffer.subarray(0, length);
}

function takeOut(buffer: Buffer, length: number, at: number, count: number): number {
  const end = Math.min(at + count, length);
  buffer.copyWithin(at, end, length);
  return end - at;
}

function appendAttribute(buffer: Buffer, at: number, chance: Chance): number {
  const valueBytes = chance(chance(10) === 0 ? 254 : 24);
  buffer[at] = chance(2) === 0 ? chance(256) : (EDGE_BYTES[chance(EDGE_BYTES.length)] ?? 0);
  buffer[at + 1] = valueBytes + 2;
  for (let i = 0; i < valueBytes; i++) buffer[at + 2 + i] = chance(256);
  return valueBytes + 2;
}

const WORDS =
  `ATTRIBUTE VALUE VENDOR BEGIN-VENDOR END-VENDOR BEGIN-TLV END-TLV $INCLUDE $INCLUDE- main other
   Acme Name Other __proto__ constructor toString 1 2 26 241.26 1.2.3 0x10 0xffffffffff 4294967296 -1 1e9
   string octets[16] octets[ integer tlv evs extended has_tag encrypt=2 encrypt=9 array format=2,1,c
   format=Name , . # \n \n \n \r \t \0 é`.split(' ');

function mutateText(chance: Chance): string {
  let text = 'VENDOR Acme 9\nBEGIN-VENDOR Acme\nATTRIBUTE Name 1 tlv\n';
  for (let words = chance(120); words > 0; words--) {
    text += `${WORDS[chance(WORDS.length)] ?? ''}${chance(6) === 0 ? '\n' : ' '}`;
  }
  return text;
}

function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) | 0;
  return sum;
}

function expectThat(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise);
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage((await fuzz(workerData as FuzzJob)) ?? 'done');
