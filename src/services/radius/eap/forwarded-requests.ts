// The receiving side of the peer link: what other workers ask, each request handled once. What has
// been answered is kept for a moment, so that a retransmission gets the same answer; whatever else
// comes twice is a replay. What arrives here has been authenticated by peer-link.ts.

import type { Runtime } from '../../../runtime/runtime.ts';
import { decodeRequest } from './peer-datagram.ts';
import type { Envelope, ForwardedRequest, PeerRequest } from './peer-datagram.ts';
import { createReplayWindow } from './replay-window.ts';
import type { ReplayWindow } from './replay-window.ts';

export type ForwardedRequests = {
  receive(envelope: Envelope, payload: Buffer, path: Buffer): void;
  /** True while this very request is being handled because another worker forwarded it. */
  isHandling(request: ForwardedRequest): boolean;
};

export type ForwardedDiscard = 'malformed' | 'stale' | 'replayed' | 'in-progress' | 'overload';

type Kept = { answer: Buffer; path: Buffer; repeats: number; untilMs: number };
type Sender = { window: ReplayWindow; lastHeardMs: number };

/** Wall clocks of two nodes may differ this much. Older requests could be replays of a forgotten past. */
const MAX_SKEW_MS = 60_000;
const MAX_HANDLED_AT_ONCE = 1_024;
/** Longer than the sender repeats itself. */
const KEPT_MS = 2_000;
const MAX_KEPT = 4_096;
/** One retransmission, doubled by the network. More would let a replay multiply our answers. */
const MAX_REPEATS = 3;
/** Numbers told apart for each sender, 1 KiB: far more than it has under way. */
const WINDOW_NUMBERS = 8_192;
const MAX_SENDERS = 1_000;
/** What a sender silent for so long has sent before would be stale now. */
const SENDER_FORGOTTEN_MS = 2 * MAX_SKEW_MS;

export function createForwardedRequests(options: {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  /** Undefined: no answer. */
  handle: (request: PeerRequest) => Promise<Buffer | undefined>;
  /** The datagram that answers a request of this envelope. */
  encodeAnswer: (request: Envelope, answer: Buffer | undefined) => Buffer;
  /** The datagram that says that the request has arrived. */
  encodeBusy: (request: Envelope) => Buffer;
  send: (path: Buffer, datagram: Buffer) => void;
  discard: (reason: ForwardedDiscard, path: Buffer) => void;
}): ForwardedRequests {
  const { handle, encodeAnswer, send, discard } = options;
  const { clock, log } = options.runtime;
  const senders = new Map<number, Sender>();
  const handling = new Set<string>();
  /** The oldest first. */
  const answered = new Map<string, Kept>();

  async function answer(envelope: Envelope, request: PeerRequest, path: Buffer) {
    const name = nameOf(request);
    handling.add(name);
    let given: Buffer | undefined;
    try {
      given = await handle(request);
    } catch (error) {
      log.error('a forwarded request failed', { error });
    } finally {
      handling.delete(name);
    }
    const datagram = encodeAnswer(envelope, given);
    keep(exchangeOf(envelope), {
      answer: datagram,
      path,
      repeats: 0,
      untilMs: clock.monotonicMs() + KEPT_MS,
    });
    send(path, datagram);
  }

  function keep(exchange: string, kept: Kept) {
    const nowMs = clock.monotonicMs();
    for (const [oldest, { untilMs }] of answered) {
      if (untilMs > nowMs && answered.size < MAX_KEPT) break;
      answered.delete(oldest);
    }
    answered.set(exchange, kept);
  }

  /** To the same place only: a replay must not turn our answers on somebody else. */
  function repeat(kept: Kept, path: Buffer) {
    if (kept.repeats >= MAX_REPEATS || !kept.path.equals(path)) return discard('replayed', path);
    kept.repeats++;
    send(path, kept.answer);
  }

  function senderOf(from: number): Sender | undefined {
    const nowMs = clock.monotonicMs();
    const known = senders.get(from);
    if (known !== undefined) {
      known.lastHeardMs = nowMs;
      return known;
    }
    if (senders.size >= MAX_SENDERS) forgetSilent(nowMs);
    if (senders.size >= MAX_SENDERS) return undefined;
    const sender = { window: createReplayWindow(WINDOW_NUMBERS), lastHeardMs: nowMs };
    senders.set(from, sender);
    return sender;
  }

  function forgetSilent(nowMs: number) {
    for (const [from, { lastHeardMs }] of senders) {
      if (nowMs - lastHeardMs > SENDER_FORGOTTEN_MS) senders.delete(from);
    }
  }

  return {
    receive(envelope, payload, path) {
      if (Math.abs(clock.nowMs() - envelope.atMs) > MAX_SKEW_MS) return discard('stale', path);
      const kept = answered.get(exchangeOf(envelope));
      if (kept !== undefined && kept.untilMs > clock.monotonicMs()) return repeat(kept, path);

      const request = decodeRequest(payload);
      if (request === undefined) return discard('malformed', path);
      if (handling.has(nameOf(request))) {
        send(path, options.encodeBusy(envelope)); // else its sender would take us for dead
        return discard('in-progress', path);
      }
      const sender = senderOf(envelope.from);
      if (sender === undefined) return discard('overload', path);
      if (!sender.window.isNew(envelope.number)) return discard('replayed', path);
      // Not marked as seen: its retransmission may find room.
      if (handling.size >= MAX_HANDLED_AT_ONCE) return discard('overload', path);
      sender.window.mark(envelope.number);
      void answer(envelope, request, path);
    },

    isHandling: (request) => handling.has(nameOf({ kind: 'forwarded', request })),
  };
}

function exchangeOf({ from, number }: Envelope): string {
  return `${from}:${number}`;
}

/** Of a packet: the router's address and port, its code, identifier and authenticator. RFC 5080 §2.2.2. */
function nameOf(asked: PeerRequest): string {
  if (asked.kind === 'copy') {
    const { id, round, part } = asked.part;
    return `${id} ${round} ${part}`;
  }
  const { packet, path } = asked.request;
  return path.toString('latin1', 0, 18) + packet.toString('latin1', 0, 20);
}
