// The law that keeps a connection's keys: under one key and number there is one text (RFC 5116 §3.1), though
// a round may be worked out twice, and anybody near a device can send packets in its name. tls-ending.ts.

import { isDeepStrictEqual } from 'node:util';
import type { ConversationOutcome } from '../../src/protocols/eap/conversation.ts';
import type { EapMethod } from '../../src/protocols/eap/method.ts';
import { EapType, encodeEapResponse, parseEap } from '../../src/protocols/eap/packet.ts';
import { encodeTlsPacket, parseTlsPacket } from '../../src/protocols/eap/tls-packets.ts';
import type { TlsPacket } from '../../src/protocols/eap/tls-packets.ts';
import { takeRound } from './eap-tls-server.ts';
import type { EapTlsServer, Round } from './eap-tls-server.ts';

export type Lawfulness = {
  /** One sentence for each answer that another packet, or another try, has changed. */
  breaches: string[];
  /** Rounds that the method does not want worked out twice, and how many of them come out otherwise. */
  unrepeatable: number;
  different: number;
};

/** Of all rounds of a login in which there may be keys. */
export async function judge(
  server: EapTlsServer,
  method: EapMethod,
  rounds: readonly Round[],
): Promise<Lawfulness> {
  const result: Lawfulness = { breaches: [], unrepeatable: 0, different: 0 };
  const { breaches } = result;
  for (const [index, round] of rounds.entries()) {
    const { state } = round;
    // The round of the ClientHello has keys of its own each time.
    if (state.stage !== 'method' || !('connection' in state.state)) continue;
    const random = Buffer.alloc(32, 3);
    const first = await takeRound(server, method, round, { random });
    const second = await takeRound(server, method, round, { random });
    const isSame = isDeepStrictEqual(first, second);
    const others = packetsOfStrangers(round.eap);
    if (method.mustNotRepeat?.(state.state) === true) {
      result.unrepeatable++;
      if (!isSame) result.different++;
    } else {
      if (!isSame) breaches.push(`round ${index}: worked out twice`);
      others.push(...inOtherShapes(round.eap));
    }
    for (const { name, eap } of others) {
      const outcome = await takeRound(server, method, { state, eap });
      if (!isWithoutKeys(outcome) && !isSameAnswer(outcome, first)) {
        breaches.push(`round ${index}: ${name}`);
      }
    }
  }
  return result;
}

/** In the place of the device's answer; none of it needs a key. */
function packetsOfStrangers(eap: Buffer): { name: string; eap: Buffer }[] {
  const { packet, reshaped } = partsOf(eap);
  const record = (type: number, body: string) =>
    Buffer.concat([Buffer.of(type, 3, 3, 0, body.length / 2), Buffer.from(body, 'hex')]);
  const made: [string, Partial<TlsPacket>][] = [
    ['nothing', {}],
    ['nothing, as a Start', { isStart: true }],
    ['nothing, and its length', { totalBytes: 0 }],
    ['nothing, and more to come', { hasMore: true }],
    ['half a record', { data: Buffer.of(23, 3) }],
    ['a first fragment', { hasMore: true, totalBytes: 2000, data: Buffer.alloc(100, 23) }],
    ['a record of data', { data: record(23, '00'.repeat(40)) }],
    ['an empty record of data', { data: record(23, '') }],
    ['a handshake record', { data: record(22, '010000020303') }],
    ['a ChangeCipherSpec', { data: record(20, '01') }],
    ['a fatal alert', { data: record(21, '0228') }],
    ['a warning', { data: record(21, '0100') }],
    ['a heartbeat', { data: record(24, '010000') }],
    ['bytes that are no record', { data: Buffer.alloc(64, 0xff) }],
    [
      'what the device said, and then something',
      { data: Buffer.concat([packet.data, packet.data]) },
    ],
  ];
  return made.map(([name, changes]) => ({ name, eap: reshaped({ ...EMPTY, ...changes }) }));
}

/** The very records of the device, in packets that it has not sent. */
function inOtherShapes(eap: Buffer): { name: string; eap: Buffer }[] {
  const { packet, reshaped } = partsOf(eap);
  if (packet.hasMore || packet.data.length === 0) return [];
  return [
    {
      name: 'the same, and its length',
      eap: reshaped({ ...packet, totalBytes: packet.data.length }),
    },
    { name: 'the same, as a Start', eap: reshaped({ ...packet, isStart: true }) },
  ];
}

/** Nothing is said, or an acknowledgement, or an alert in the open. */
function isWithoutKeys(outcome: ConversationOutcome): boolean {
  if (outcome.kind === 'failure' || outcome.kind === 'discard') return true;
  if (outcome.kind !== 'challenge') return false;
  const { data } = partsOf(outcome.eap).packet;
  return data.length === 0 || /^15030[0-3]0002....$/.test(data.toString('hex'));
}

function isSameAnswer(one: ConversationOutcome, other: ConversationOutcome): boolean {
  return 'eap' in one && 'eap' in other && one.kind === other.kind && one.eap.equals(other.eap);
}

function partsOf(eap: Buffer) {
  const parsed = parseEap(eap);
  if (parsed.kind === 'malformed') throw new Error('a malformed packet');
  const { identifier, type } = parsed;
  const packet = parseTlsPacket(parsed.data, { hasOuterTlvs: type === EapType.Teap });
  if (packet === undefined) throw new Error('a packet that is cut off');
  const { version } = packet;
  return {
    packet,
    reshaped: (shape: Omit<TlsPacket, 'version'>) =>
      encodeEapResponse(identifier, type, encodeTlsPacket({ ...shape, version })),
  };
}

const EMPTY = { isStart: false, hasMore: false, data: Buffer.alloc(0) };
