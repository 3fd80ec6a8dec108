// Between radius workers: a request whose conversation lies in another worker's memory goes to that
// worker, and its answer comes back to whoever has the router's socket. One datagram each way over UDP,
// sealed with the cluster's key (peer-datagram.ts); lost ones are sent again once.
//
// Nothing here multiplies: a datagram that does not open gets no answer, an answered one exactly one,
// and what was forwarded is never forwarded again. Who the owners are is peer-registry.ts.

import assert from 'node:assert';
import { PATH_BYTES } from '../../../runtime/network.ts';
import type { DatagramBatch } from '../../../runtime/network.ts';
import type { CounterCell } from '../../../runtime/metrics.ts';
import type { Runtime } from '../../../runtime/runtime.ts';
import { SLOT_BYTES } from '../../../runtime/udp/batched.ts';
import { sourceAddress } from '../../../runtime/udp/path.ts';
import { createForwardedRequests } from './forwarded-requests.ts';
import type { ForwardedDiscard } from './forwarded-requests.ts';
import {
  encodeDatagram,
  encodeForwarded,
  encodePart,
  openDatagram,
  readEnvelope,
} from './peer-datagram.ts';
import type { Envelope, ForwardedRequest, PeerRequest, RecordPart } from './peer-datagram.ts';
import type { Peer } from './peer-registry.ts';
import type { Seal } from './record.ts';

export type PeerLink = AsyncDisposable & {
  readonly port: number;
  /** Never rejects. The packet and the path may be views of a batch: they are copied before it returns. */
  forward(peer: Peer | undefined, request: ForwardedRequest): Promise<ForwardOutcome>;
  /** True when the peer has it. Never rejects. */
  copy(peer: Peer, part: RecordPart): Promise<boolean>;
};

export type ForwardOutcome =
  | { kind: 'answer'; answer: Buffer }
  /** The owner does not want it answered. */
  | { kind: 'silent' }
  | { kind: 'unreachable'; reason: UnreachableReason };

type UnreachableReason =
  /** Nobody knows this owner: its conversations have ended with it. */
  | 'unknown-peer'
  | 'timeout'
  /** Too much under way, too long for a datagram, forwarded to us already, or we are closing. */
  | 'refused';

const RESULTS = ['answered', 'silent', 'unknown-peer', 'timeout', 'refused'] as const;
const DISCARD_REASONS = [
  'malformed',
  'another-receiver',
  'forged',
  'stale',
  'replayed',
  'in-progress',
  'overload',
  'unexpected',
] as const;
type DiscardReason = (typeof DISCARD_REASONS)[number] | ForwardedDiscard;

type Waiting = {
  peer: Peer;
  atMs: number;
  timers: DisposableStack;
  /** The peer has said that it is at it. */
  isHeard: boolean;
  settle: (outcome: ForwardOutcome) => void;
};

const MAX_IN_FLIGHT = 1_024;
const ANSWER_TIMEOUT_MS = 900;
const RETRANSMIT_MS = 300;
/** An owner that has not even heard the retransmission is dead, or as good as that to a router. */
const HEARD_WITHIN_MS = 600;
/** The router waits for us meanwhile, and most likely nobody will ever ask for the copy. */
const COPY_TIMEOUT_MS = 150;
const TAKEN = Buffer.of(1);
/**
 * What the engines carry. With the cluster's box a request of 4,087 bytes fits, and an answer of every
 * length that RADIUS has; above 1,500 bytes IP cuts it up on the way.
 */
const MAX_DATAGRAM_BYTES = SLOT_BYTES;
const LOG_EVERY_MS = 60_000;

export async function createPeerLink(options: {
  runtime: Runtime;
  box: Seal;
  /** Who we are: `ownerOf` a life that no other worker has. */
  owner: number;
  host: string;
  /** 0 picks a free one. */
  port: number;
  /** Must outlast what the owner waits on purpose, such as `radius.reject_delay`. */
  answerTimeoutMs?: number;
  /** Answers a request of another worker, as if its router had sent it to us. Undefined: no answer. */
  handle: (request: ForwardedRequest) => Promise<Buffer | undefined>;
  /** Takes a part of a record of another worker. */
  keep?: (part: RecordPart) => void;
}): Promise<PeerLink> {
  const { runtime, box, owner, keep, answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  const { clock } = runtime;
  const counters = createCounters(runtime);
  const waiting = new Map<number, Waiting>();
  let lastNumber = 0;
  let isClosed = false;

  const forwarded = createForwardedRequests({
    runtime,
    handle: answerTo,
    encodeAnswer,
    encodeBusy: (request) => encodeDatagram(replyTo(request, 'busy'), Buffer.alloc(0), box),
    send: (path, datagram) => socket.send(path, datagram),
    discard: counters.discard,
  });
  const socket = await runtime.network.bindUdp({
    host: options.host,
    port: options.port,
    onBatch: receiveAll,
  });

  async function answerTo(asked: PeerRequest): Promise<Buffer | undefined> {
    if (asked.kind === 'forwarded') return options.handle(asked.request);
    if (keep === undefined) return undefined;
    keep(asked.part);
    return TAKEN;
  }

  function replyTo(request: Envelope, direction: 'answer' | 'busy'): Envelope {
    return { ...request, direction, from: owner, to: request.from };
  }

  /** An empty one says that there is none, so that nobody waits for it. */
  function encodeAnswer(request: Envelope, answer: Buffer = Buffer.alloc(0)): Buffer {
    const datagram = encodeDatagram(replyTo(request, 'answer'), answer, box);
    return datagram.length <= MAX_DATAGRAM_BYTES ? datagram : encodeAnswer(request);
  }

  function receiveAll({ count, bytes, offsets, lengths, paths }: DatagramBatch) {
    for (let i = 0; i < count; i++) {
      const offset = offsets[i] ?? 0;
      const datagram = Buffer.from(bytes.subarray(offset, offset + (lengths[i] ?? 0)));
      receive(datagram, Buffer.from(paths.subarray(i * PATH_BYTES, (i + 1) * PATH_BYTES)));
    }
  }

  function receive(datagram: Buffer, path: Buffer) {
    if (isClosed) return;
    const envelope = readEnvelope(datagram);
    if (envelope === undefined) return counters.discard('malformed', path);
    if (envelope.to !== owner) return counters.discard('another-receiver', path);
    const payload = openDatagram(datagram, envelope, box);
    if (payload === undefined) return counters.discard('forged', path);
    if (envelope.direction === 'request') forwarded.receive(envelope, payload, path);
    else takeAnswer(envelope, payload, path);
  }

  function takeAnswer(envelope: Envelope, answer: Buffer, path: Buffer) {
    const { direction, number, from, atMs } = envelope;
    const asked = waiting.get(number);
    if (asked === undefined || asked.peer.owner !== from || asked.atMs !== atMs) {
      return counters.discard('unexpected', path);
    }
    if (direction === 'busy') asked.isHeard = true;
    else asked.settle(answer.length === 0 ? { kind: 'silent' } : { kind: 'answer', answer });
  }

  function ask(peer: Peer, payload: Buffer, timeoutMs: number): Promise<ForwardOutcome> {
    const number = ++lastNumber;
    const atMs = Math.floor(clock.nowMs());
    const envelope = { direction: 'request', from: owner, to: peer.owner, number, atMs } as const;
    const datagram = encodeDatagram(envelope, payload, box);
    if (datagram.length > MAX_DATAGRAM_BYTES) return Promise.resolve(unreachable('refused'));

    return new Promise((resolve) => {
      const timers = new DisposableStack();
      const settle = (outcome: ForwardOutcome) => {
        timers.dispose();
        waiting.delete(number);
        resolve(outcome);
      };
      const asked: Waiting = { peer, atMs, timers, settle, isHeard: false };
      waiting.set(number, asked);
      timers.use(clock.after(RETRANSMIT_MS, () => socket.send(peer.path, datagram)));
      timers.use(
        clock.after(Math.min(HEARD_WITHIN_MS, timeoutMs), () => {
          if (!asked.isHeard) settle(unreachable('timeout'));
        }),
      );
      timers.use(clock.after(timeoutMs, () => settle(unreachable('timeout'))));
      socket.send(peer.path, datagram);
    });
  }

  function outcomeOf(peer: Peer | undefined, request: ForwardedRequest): Promise<ForwardOutcome> {
    if (peer === undefined) return Promise.resolve(unreachable('unknown-peer'));
    assert(peer.owner !== owner, 'nobody forwards to itself');
    const isRefused = isClosed || waiting.size >= MAX_IN_FLIGHT || forwarded.isHandling(request);
    return isRefused
      ? Promise.resolve(unreachable('refused'))
      : ask(peer, encodeForwarded(request), answerTimeoutMs);
  }

  return {
    port: socket.port,
    async forward(peer, request) {
      const outcome = await outcomeOf(peer, request);
      counters.forwarded(resultOf(outcome));
      return outcome;
    },
    async copy(peer, part) {
      if (isClosed || waiting.size >= MAX_IN_FLIGHT) return false;
      const outcome = await ask(peer, encodePart(part), COPY_TIMEOUT_MS);
      const isKept = outcome.kind === 'answer';
      counters.copied(isKept);
      return isKept;
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const { settle } of waiting.values()) settle(unreachable('refused'));
      await socket[Symbol.asyncDispose]();
    },
  };
}

function unreachable(reason: UnreachableReason): ForwardOutcome {
  return { kind: 'unreachable', reason };
}

function resultOf(outcome: ForwardOutcome): (typeof RESULTS)[number] {
  if (outcome.kind === 'unreachable') return outcome.reason;
  return outcome.kind === 'answer' ? 'answered' : 'silent';
}

function createCounters({ clock, log, metrics }: Runtime) {
  const results = metrics.counter(
    'radius_eap_forwarded_total',
    'Requests forwarded to the worker that has their EAP conversation, by what came of it.',
  );
  const discards = metrics.counter(
    'radius_peer_link_discarded_total',
    'Datagrams between radius workers that were discarded, by reason.',
  );
  const copies = metrics.counter(
    'radius_eap_copies_total',
    'Parts of EAP conversations sent to other nodes while the shared state was away, by what came of it.',
  );
  const kept = copies.labels({ result: 'kept' });
  const lost = copies.labels({ result: 'lost' });
  const byResult = cells(RESULTS, (result) => results.labels({ result }));
  const byReason = cells(DISCARD_REASONS, (reason) => discards.labels({ reason }));
  const lastLoggedMs = new Map<DiscardReason, number>();

  /** Those that somebody must do something about. */
  function explain(reason: DiscardReason, path: Buffer) {
    const message = EXPLAINED[reason];
    const nowMs = clock.monotonicMs();
    if (message === undefined || nowMs - (lastLoggedMs.get(reason) ?? -Infinity) < LOG_EVERY_MS) {
      return;
    }
    lastLoggedMs.set(reason, nowMs);
    log.warn(message, { sender: sourceAddress(path) });
  }

  return {
    copied: (isKept: boolean) => (isKept ? kept : lost).add(),
    forwarded: (result: (typeof RESULTS)[number]) => byResult.get(result)?.add(),
    discard(reason: DiscardReason, path: Buffer) {
      byReason.get(reason)?.add();
      explain(reason, path);
    },
  };
}

const EXPLAINED: Partial<Record<DiscardReason, string>> = {
  forged: 'a datagram on the peer port was not sealed with the key of this cluster',
  stale: 'a forwarded request is from another time: compare the clocks of the nodes',
};

function cells<Label>(labels: readonly Label[], create: (label: Label) => CounterCell) {
  return new Map<Label, CounterCell>(labels.map((label) => [label, create(label)]));
}
