// Watches the wire and says what breaks a promise whoever is asked: every answer belongs to a request
// and is genuine, and one request has one answer, from whichever node and however often.

import { prepareSecret, verifyResponse } from '../../src/protocols/radius/authenticator.ts';
import { packetAuthenticator, parsePacket } from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import { SECRET } from './exchange.ts';
import type { Sent } from './network.ts';

export type Witness = {
  see(sent: Sent): void;
  /** Whether any node has answered this request by now. */
  isAnswered(sent: Sent): boolean;
  readonly answersSeen: number;
  /** Of these, how many were given more than once. */
  readonly answersRepeated: number;
};

type Asked = { request: Packet; answer: Buffer | undefined };

const SERVER_PORTS = [1812, 1813];

/** `isAnsweredOnce`: false where the shared state fails, for then each node knows its own answers only. */
export function createWitness(
  complain: (complaint: string) => void,
  { isAnsweredOnce }: { isAnsweredOnce: boolean },
): Witness {
  const secret = prepareSecret(SECRET);
  /** By the router's address and port, our port and the identifier; the latest last. */
  const asked = new Map<string, Asked[]>();
  let answersSeen = 0;
  let answersRepeated = 0;

  function noteRequest(sent: Sent, packet: Packet) {
    const name = `${sent.from}:${sent.fromPort} ${sent.toPort} ${packet.identifier}`;
    const list = asked.get(name) ?? [];
    asked.set(name, list);
    if (list.some(({ request }) => request.bytes.equals(packet.bytes))) return;
    list.push({ request: packet, answer: undefined });
  }

  function judge(sent: Sent, answer: Packet) {
    answersSeen++;
    const name = `${sent.to}:${sent.toPort} ${sent.fromPort} ${answer.identifier}`;
    const match = asked
      .get(name)
      ?.findLast(({ request }) => verifyResponse(answer, packetAuthenticator(request), secret));
    if (match === undefined) {
      complain(`${sent.from} answered what nobody asked: ${name}`);
      return;
    }
    if (match.answer === undefined) {
      match.answer = answer.bytes;
      return;
    }
    answersRepeated++;
    if (match.answer.equals(answer.bytes) || !isAnsweredOnce) return;
    complain(`two answers to one request (${name}): code ${match.answer[0]} and ${answer.code}`);
  }

  return {
    see(sent) {
      const packet = parsePacket(Buffer.from(sent.bytes));
      if (packet.kind !== 'packet') return;
      if (SERVER_PORTS.includes(sent.toPort)) noteRequest(sent, packet);
      else if (SERVER_PORTS.includes(sent.fromPort)) judge(sent, packet);
    },
    isAnswered(sent) {
      const name = `${sent.from}:${sent.fromPort} ${sent.toPort} ${sent.bytes.readUInt8(1)}`;
      const match = asked.get(name)?.find(({ request }) => request.bytes.equals(sent.bytes));
      return match?.answer !== undefined;
    },
    get answersSeen() {
      return answersSeen;
    },
    get answersRepeated() {
      return answersRepeated;
    },
  };
}
