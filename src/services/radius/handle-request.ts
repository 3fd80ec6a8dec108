// The story of a request, from the datagram to the answer. Read it from top to bottom; what each
// step does is in the file it is named for. RFC 2865 §2, RFC 2866 §2, RFC 5080 §2.2, RFC 5997.
//
// Whatever is wrong with a packet, it is counted and gets no answer: an answer would help whoever
// forged it. Whatever fails on our side gets no answer either, and the router asks another node.

import { isUtf8 } from 'node:buffer';
import { REJECT_MESSAGES, decideAccess } from '../../domain/access.ts';
import type { Grant, RejectReason } from '../../domain/access.ts';
import { identifyDevice } from '../../domain/device.ts';
import { isFromOurTools } from '../../domain/router.ts';
import type { MessageAuthenticatorRule } from '../../domain/router.ts';
import { SharedStateUnavailable } from '../../domain/shared-state.ts';
import type { Credential } from '../../domain/subscriber.ts';
import {
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
} from '../../protocols/radius/authenticator.ts';
import {
  AttributeType,
  PacketCode,
  findAttribute,
  findInteger,
  findText,
  findValue,
  parsePacket,
} from '../../protocols/radius/packet.ts';
import type { Packet } from '../../protocols/radius/packet.ts';
import { PATH_BYTES } from '../../runtime/network.ts';
import type { DatagramBatch, DatagramSocket } from '../../runtime/network.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { parseAccounting } from './accounting-packet.ts';
import type { AccountingSink } from './accounting-sink.ts';
import type { Answers, LoginTerms } from './answers.ts';
import type { ClusterAnswers } from './cluster-answers.ts';
import type { Claim } from './cluster-answers.ts';
import type { Counters, DiscardReason } from './counters.ts';
import { CredentialUnavailable } from './credential-cache.ts';
import type { CredentialCache } from './credential-cache.ts';
import type { DiscardLog } from './discard-log.ts';
import type { EapLogins, EapStep, Settled } from './eap/logins.ts';
import { encodeJournalEntry } from './journal-entry.ts';
import { readProof, verifyProof } from './login.ts';
import type { RateLimit } from './rate-limit.ts';
import type { RejectDelay } from './reject-delay.ts';
import type { KnownRouter } from './router-table.ts';
import type { SeatKeeper } from './seat-keeper.ts';
import { findRepeated } from './sources.ts';
import type { Exchange, Source, Sources } from './sources.ts';

export type Port = 'auth' | 'acct';

export type Dependencies = {
  runtime: Runtime;
  counters: Counters;
  discardLog: DiscardLog;
  sources: Sources;
  answers: Answers;
  credentials: CredentialCache;
  eap: EapLogins;
  seats: SeatKeeper;
  rateLimit: RateLimit;
  rejectDelay: RejectDelay;
  accounting: AccountingSink;
  /** Undefined where this process is the whole cluster: its own memory knows every answer. */
  clusterAnswers: ClusterAnswers | undefined;
  /** Remembers for good that a router signs its requests. */
  latchMessageAuthenticator: (router: KnownRouter) => void;
  activateVoucher: (credential: Credential) => Promise<Credential>;
  /** The rule for routers that do not set one of their own. */
  defaultMessageAuthenticatorRule: MessageAuthenticatorRule;
  duplicateWindowMs: number;
  /** False while the service cannot do its job: then Status-Server gets no answer, and routers turn elsewhere. */
  isReady: () => boolean;
};

export type RequestHandler = {
  receive(batch: DatagramBatch, port: Port, socket: Pick<DatagramSocket, 'send'>): void;
  /**
   * The next packet of an EAP conversation that is this node's and reached another one. `path`: from the
   * router to that node, which sends the answer; undefined: there is none. `protectedRouter`: the id of the
   * router, if it came over TLS.
   */
  answerForwarded(asked: {
    packet: Buffer;
    path: Buffer;
    protectedRouter?: string;
  }): Promise<Buffer | undefined>;
  /** A packet from a protected connection. `socket` learns what became of it, once. */
  receiveProtected(packet: Packet, source: Source, socket: Socket): void;
  /** Requests being worked on. */
  readonly inProgress: number;
};

type Socket = Pick<DatagramSocket, 'send'> & {
  /** There will be no answer. Who sends datagrams must find out for himself. */
  refuse?(reason: DiscardReason): void;
};
type Discard = { kind: 'discard'; reason: DiscardReason };
type Answer = { kind: 'answer'; bytes: Buffer };
type Outcome = Answer | Discard;
type Terms = LoginTerms | { kind: 'reject'; reason: RejectReason };
/** A login that needs nobody else is answered in the same turn: a promise costs more than a hash. */
type Soon<T> = T | Promise<T>;
/** A request that is being worked on, and all it takes to answer it. */
type Going = {
  current: Exchange;
  source: Source;
  exchanges: (Exchange | undefined)[];
  socket: Socket;
};

const discard = (reason: DiscardReason): Discard => ({ kind: 'discard', reason });

export function createRequestHandler(deps: Dependencies): RequestHandler {
  const { runtime, counters, sources, answers, duplicateWindowMs } = deps;
  const { clock } = runtime;
  let inProgress = 0;

  function receive(batch: DatagramBatch, port: Port, socket: Socket) {
    const nowMs = clock.monotonicMs();
    for (let i = 0; i < batch.count; i++) {
      const source = sources.find(batch.paths, i * PATH_BYTES, nowMs);
      if (source === undefined) {
        counters.discard('unknown-router');
        deps.discardLog.unknownRouter(batch.paths, i * PATH_BYTES);
        continue;
      }
      const start = batch.offsets[i] as number;
      const length = batch.lengths[i] as number;
      // The batch's memory is used again, and a request may have to wait for the database.
      const datagram = Buffer.allocUnsafe(length);
      batch.bytes.copy(datagram, 0, start, start + length);
      const packet = parsePacket(datagram);
      if (packet.kind === 'malformed') drop(source, packet.reason, socket);
      else dispatch(packet, source, port, socket, nowMs);
    }
  }

  async function answerForwarded({
    packet,
    path,
    protectedRouter,
  }: Parameters<RequestHandler['answerForwarded']>[0]): Promise<Buffer | undefined> {
    const nowMs = clock.monotonicMs();
    const source =
      protectedRouter === undefined
        ? sources.find(path, 0, nowMs)
        : sources.protectedBy(protectedRouter, path, nowMs);
    if (source === undefined) {
      counters.discard('unknown-router');
      return undefined;
    }
    inProgress++;
    try {
      const outcome = await decideForwarded(parsePacket(packet), source);
      if (outcome.kind === 'answer') return outcome.bytes;
      drop(source, outcome.reason);
    } catch (error) {
      dropFailed(source, error);
    } finally {
      inProgress--;
    }
    return undefined;
  }

  /** What the other node believed of the packet is looked at again: it need not be right. */
  async function decideForwarded(
    packet: ReturnType<typeof parsePacket>,
    source: Source,
  ): Promise<Outcome> {
    if (packet.kind === 'malformed') return discard(packet.reason);
    if (packet.code !== PacketCode.AccessRequest) return discard('unexpected-code');
    const refused = checkAccessRequest(packet, source);
    return refused === undefined ? decideEap(packet, source, true) : discard(refused);
  }

  function receiveProtected(packet: Packet, source: Source, socket: Socket) {
    dispatch(packet, source, 'any', socket, clock.monotonicMs());
  }

  function dispatch(
    packet: Packet,
    source: Source,
    port: Port | 'any',
    socket: Socket,
    nowMs: number,
  ) {
    if (packet.code === PacketCode.AccessRequest && port !== 'acct') {
      counters.access.add();
      const refused = checkAccessRequest(packet, source);
      if (refused !== undefined) return drop(source, refused, socket);
      return exchange(packet, source, source.exchanges.access, socket, nowMs, answerAccess);
    }
    if (packet.code === PacketCode.AccountingRequest && port !== 'auth') {
      counters.accounting.add();
      const refused = checkAccountingRequest(packet, source);
      if (refused !== undefined) return drop(source, refused, socket);
      return exchange(packet, source, source.exchanges.accounting, socket, nowMs, answerAccounting);
    }
    if (packet.code === PacketCode.StatusServer) {
      counters.status.add();
      return answerStatus(packet, source, port === 'acct' ? 'acct' : 'auth', socket);
    }
    drop(source, 'unexpected-code', socket);
  }

  /** One request, one answer, however often it comes and while it is being worked on. */
  function exchange(
    packet: Packet,
    source: Source,
    exchanges: (Exchange | undefined)[],
    socket: Socket,
    nowMs: number,
    work: (packet: Packet, source: Source) => Soon<Outcome>,
  ) {
    // TCP loses nothing, so nothing comes twice. RFC 6613 §2.6.1.
    const repeated = source.isProtected
      ? undefined
      : findRepeated(exchanges, packet, nowMs, duplicateWindowMs);
    if (repeated !== undefined) {
      if (repeated.answer === undefined) return drop(source, 'in-progress', socket);
      counters.localDuplicates.add();
      return socket.send(source.path, repeated.answer);
    }
    const current: Exchange = { request: packet, startedAtMs: nowMs, answer: undefined };
    if (!source.isProtected) exchanges[packet.identifier] = current;
    const going: Going = { current, source, exchanges, socket };
    try {
      const outcome = work(packet, source);
      if (outcome instanceof Promise) void finishLater(going, outcome);
      else finish(going, outcome);
    } catch (error) {
      fail(going, error);
    }
  }

  async function finishLater(going: Going, working: Promise<Outcome>): Promise<void> {
    inProgress++;
    try {
      finish(going, await working);
    } catch (error) {
      fail(going, error);
    } finally {
      inProgress--;
    }
  }

  function finish({ current, source, exchanges, socket }: Going, outcome: Outcome) {
    if (outcome.kind === 'answer') {
      current.answer = outcome.bytes;
      socket.send(source.path, outcome.bytes);
      countAnswer(outcome.bytes, clock.monotonicMs() - current.startedAtMs);
      return;
    }
    forget(exchanges, current);
    drop(source, outcome.reason, socket);
  }

  function fail({ current, source, exchanges, socket }: Going, error: unknown) {
    // Forgotten, so that the router's retransmission is a new attempt.
    forget(exchanges, current);
    dropFailed(source, error, socket);
  }

  function dropFailed(source: Source, error: unknown, socket?: Socket) {
    const reason = reasonOfFailure(error);
    drop(source, reason, socket);
    if (reason === 'failure') deps.discardLog.failed(error);
  }

  /** Before anything else is believed of an Access-Request. CVE-2024-3596, RFC 3579 §3.2. */
  function checkAccessRequest(packet: Packet, source: Source): DiscardReason | undefined {
    const known = source.router;
    const check = verifyMessageAuthenticator(packet, known.secret);
    const hasEap = findAttribute(packet, AttributeType.EapMessage) !== -1;
    if (check === 'invalid') return 'bad-message-authenticator';
    const rule = known.router.requireMessageAuthenticator;
    if (check === 'absent') {
      if (hasEap) return 'unprotected-eap';
      // What TLS protects needs no more.
      if (source.isProtected) return hasBadText(packet) ? 'bad-text' : undefined;
      if (rule === 'yes' || (rule === 'auto' && isRequiredByNow(known))) {
        return 'message-authenticator-required';
      }
      if (findAttribute(packet, AttributeType.ProxyState) !== -1) return 'unprotected-proxy-state';
    } else if (rule === 'auto' && !hasEap && !known.hasSignedRequests && !source.isProtected) {
      // With EAP it is mandatory and tells nothing about the router's other requests.
      if (!isFromOurTools(findText(packet, NAS_IDENTIFIER))) deps.latchMessageAuthenticator(known);
    }
    return hasBadText(packet) ? 'bad-text' : undefined;
  }

  function isRequiredByNow(known: KnownRouter): boolean {
    if (deps.defaultMessageAuthenticatorRule === 'yes') return true;
    return known.hasSignedRequests && deps.defaultMessageAuthenticatorRule === 'auto';
  }

  function checkAccountingRequest(packet: Packet, source: Source): DiscardReason | undefined {
    const { secret } = source.router;
    if (!verifyAccountingAuthenticator(packet, secret)) return 'bad-accounting-authenticator';
    if (verifyMessageAuthenticator(packet, secret) === 'invalid') {
      return 'bad-message-authenticator';
    }
    return hasBadText(packet) ? 'bad-text' : undefined;
  }

  function answerAccess(packet: Packet, source: Source): Soon<Outcome> {
    const permit = deps.rateLimit.take(source.address);
    const goOn = (isPermitted: boolean) =>
      isPermitted ? answerPermitted(packet, source) : discard('rate-limit');
    return permit instanceof Promise ? permit.then(goOn) : goOn(permit);
  }

  function answerPermitted(packet: Packet, source: Source): Soon<Outcome> {
    // An EAP answer to a challenge is known by its State; eap.ts lets it count once in the cluster.
    const isContinuation =
      findAttribute(packet, AttributeType.State) !== -1 &&
      findAttribute(packet, AttributeType.EapMessage) !== -1;
    if (deps.clusterAnswers === undefined || isContinuation || source.isProtected) {
      return decide(packet, source);
    }

    return answerInCluster(deps.clusterAnswers, packet, source);
  }

  async function answerInCluster(
    clusterAnswers: ClusterAnswers,
    packet: Packet,
    source: Source,
  ): Promise<Outcome> {
    const claim = await clusterAnswers.claim(source.path, packet);
    return claim.kind === 'ours'
      ? decideForCluster(clusterAnswers, claim, packet, source)
      : repeatForCluster(claim);
  }

  async function decideForCluster(
    clusterAnswers: ClusterAnswers,
    claim: Extract<Claim, { kind: 'ours' }>,
    packet: Packet,
    source: Source,
  ): Promise<Outcome> {
    let outcome: Outcome | undefined;
    try {
      outcome = await decide(packet, source);
    } finally {
      // What this node cannot answer, another may: it must not wait for our claim to run out.
      if (outcome?.kind !== 'answer') void clusterAnswers.release(claim);
    }
    if (outcome.kind === 'discard') return outcome;
    const bytes = await clusterAnswers.keep(claim, outcome.bytes);
    return bytes === undefined ? discard('in-progress') : { kind: 'answer', bytes };
  }

  function repeatForCluster(claim: Exclude<Claim, { kind: 'ours' }>): Outcome {
    if (claim.kind === 'in-progress') return discard('in-progress');
    counters.clusterDuplicates.add();
    return { kind: 'answer', bytes: claim.answer };
  }

  function decide(packet: Packet, source: Source): Soon<Outcome> {
    const hasEap = findAttribute(packet, AttributeType.EapMessage) !== -1;
    return hasEap ? decideEap(packet, source, false) : decidePassword(packet, source);
  }

  function decidePassword(packet: Packet, source: Source): Soon<Outcome> {
    const username = findText(packet, AttributeType.UserName) ?? '';
    const credential = deps.credentials.find(username);
    return credential instanceof Promise
      ? credential.then((loaded) => checkPassword(packet, source, username, loaded))
      : checkPassword(packet, source, username, credential);
  }

  function checkPassword(
    packet: Packet,
    source: Source,
    username: string,
    credential: Credential | null,
  ): Soon<Outcome> {
    const proof = readProof(packet, source.router.secret);
    const { method } = proof;
    // The same whether the name or the password is wrong, so that nobody learns which names there are.
    const extra = method === 'mschapv2' ? { msChapErrorIdent: proof.ident } : {};
    if (method === 'none') return rejectLate(packet, source, method, 'no-password-sent', extra);
    if (credential === null) return rejectLate(packet, source, method, 'unknown-subscriber', extra);
    let verdict = verifyProof(proof, username, credential.password);
    if (verdict.kind === 'wrong' && credential.kind === 'voucher') {
      // The code is name and password, and people type it in any case, the same in both places.
      verdict = verifyProof(proof, username, Buffer.from(username));
    }
    if (verdict.kind === 'wrong') {
      return rejectLate(packet, source, method, 'wrong-password', extra);
    }
    const { msChap } = verdict;
    const conclude = (terms: Terms): Soon<Outcome> => {
      if (terms.kind === 'reject') return rejectLate(packet, source, method, terms.reason, {});
      counters.accepted(method);
      const granted = msChap === undefined ? terms : { ...terms, msChap };
      return { kind: 'answer', bytes: answers.accept(packet, source.router, granted) };
    };
    const terms = authorize(credential, packet, source);
    return terms instanceof Promise ? terms.then(conclude) : conclude(terms);
  }

  async function decideEap(packet: Packet, source: Source, isForwarded: boolean): Promise<Outcome> {
    for (let attempt = 0; attempt < MAX_SETTLING; attempt++) {
      const { path, router, isProtected } = source;
      const from = { path, router: router.router.id, isProtected };
      const step = await deps.eap.step(packet, from, isForwarded);
      const settled = await takeEapStep(step, packet, source);
      if (settled.kind === 'send') return { kind: 'answer', bytes: settled.answer };
      if (settled.kind === 'silent') return discard('in-progress');
      if (settled.kind === 'discard') return settled;
    }
    return discard('in-progress');
  }

  async function takeEapStep(
    step: EapStep,
    packet: Packet,
    source: Source,
  ): Promise<Settled | Discard> {
    switch (step.kind) {
      case 'discard':
        return discard('bad-eap');
      case 'away':
        return discard('backend-away');
      case 'repeat':
        counters.clusterDuplicates.add();
        return { kind: 'send', answer: step.answer };
      case 'forwarded':
        return { kind: 'send', answer: step.answer };
      case 'lost': {
        counters.rejected('eap', 'conversation-lost');
        const { eap } = step;
        return { kind: 'send', answer: answers.reject(packet, source.router, { eap }) };
      }
      case 'challenge':
        return step.settle(answers.challenge(packet, source.router, step));
      case 'failure': {
        const { method, reason, eap, ...known } = step;
        const late = await rejectLate(packet, source, method, reason, { eap }, known);
        return step.settle(late.bytes);
      }
      case 'success': {
        const { credential, method, username, eap, keys, sessionId } = step;
        const terms = await authorize(credential, packet, source);
        if (terms.kind === 'reject') {
          const extra = { eap: step.failureEap };
          const late = await rejectLate(packet, source, method, terms.reason, extra, { username });
          return step.settle(late.bytes);
        }
        counters.accepted(method);
        const login = {
          ...terms,
          eap,
          username,
          ...(keys === undefined ? {} : { keys }),
          ...(sessionId === undefined ? {} : { sessionId }),
        };
        return step.settle(answers.accept(packet, source.router, login));
      }
    }
  }

  /** The password is right: what does the plan allow, and is there a seat? */
  function authorize(credential: Credential, packet: Packet, source: Source): Soon<Terms> {
    const decision = decideAccess(credential, clock.nowMs());
    // A login that is refused does not use a voucher.
    if (decision.kind === 'reject') return decision;
    const isUnusedVoucher = credential.kind === 'voucher' && credential.activatedAtMs === undefined;
    if (isUnusedVoucher) return activateAndSeat(credential, packet, source);
    return decision.devices === undefined
      ? { kind: 'accept', grant: decision }
      : takeSeat(credential, packet, source, decision);
  }

  async function activateAndSeat(
    credential: Credential,
    packet: Packet,
    source: Source,
  ): Promise<Terms> {
    const activated = await deps.activateVoucher(credential);
    const decision = decideAccess(activated, clock.nowMs());
    if (decision.kind === 'reject') return decision;
    return takeSeat(credential, packet, source, decision);
  }

  /** By the stored name: typed in another case, a voucher has the same seats. */
  async function takeSeat(
    { username }: Credential,
    packet: Packet,
    source: Source,
    grant: Grant,
  ): Promise<Terms> {
    if (grant.devices === undefined || (await hasSeat(packet, source, username, grant))) {
      return { kind: 'accept', grant };
    }
    return { kind: 'reject', reason: 'too-many-devices' };
  }

  function hasSeat(
    packet: Packet,
    source: Source,
    username: string,
    grant: Grant,
  ): Promise<boolean> {
    const device = identifyDevice({
      callingStationId: findText(packet, CALLING_STATION_ID),
      nasPortId: findText(packet, NAS_PORT_ID),
      nasPort: findInteger(packet, NAS_PORT),
      routerId: source.router.router.id,
    });
    return deps.seats.reserve(username, device, grant.devices ?? Infinity);
  }

  async function rejectLate(
    packet: Packet,
    source: Source,
    method: string,
    reason: RejectReason,
    extra: { eap?: Buffer; msChapErrorIdent?: number },
    /** For the log: what the subscriber is told, and what the packet says, is less. */
    known: { username?: string; detail?: string } = {},
  ): Promise<Answer> {
    counters.rejected(method, reason);
    const name = known.username ?? findText(packet, AttributeType.UserName);
    deps.discardLog.rejected(name, source.router, reason, known.detail);
    const waiting = deps.rejectDelay.wait();
    if (waiting !== undefined) await waiting;
    const message = REJECT_MESSAGES[reason];
    return { kind: 'answer', bytes: answers.reject(packet, source.router, { ...extra, message }) };
  }

  async function answerAccounting(packet: Packet, source: Source): Promise<Outcome> {
    const { router } = source.router;
    const receivedAtMs = clock.nowMs();
    const parsed = parseAccounting(packet, router, receivedAtMs);
    if (parsed.kind === 'discard') return parsed;
    if (parsed.kind === 'fact') {
      await deps.accounting.store({
        fact: parsed.fact,
        encode: () => encodeJournalEntry(packet, router, receivedAtMs),
      });
      deps.seats.follow(parsed.fact);
    }
    return { kind: 'answer', bytes: answers.accounting(packet, source.router) };
  }

  /** RFC 5997: signed, answered from here without asking anybody, and never delayed. */
  function answerStatus(packet: Packet, source: Source, port: Port, socket: Socket) {
    if (verifyMessageAuthenticator(packet, source.router.secret) !== 'valid') {
      return drop(source, 'bad-message-authenticator', socket);
    }
    if (!deps.isReady()) return drop(source, 'not-ready', socket);
    socket.send(source.path, answers.status(packet, source.router, port));
  }

  function countAnswer(bytes: Buffer, tookMs: number) {
    switch (bytes[0]) {
      case PacketCode.AccessAccept:
        counters.accepts.add();
        break;
      case PacketCode.AccessReject:
        counters.rejects.add();
        return; // delayed on purpose: not a latency
      case PacketCode.AccessChallenge:
        counters.challenges.add();
        break;
      default:
        counters.accountingResponses.add();
        counters.accountingSeconds.observe(tookMs / 1000);
        return;
    }
    counters.accessSeconds.observe(tookMs / 1000);
  }

  function drop(source: Source, reason: DiscardReason, socket?: Socket) {
    counters.discard(reason);
    deps.discardLog.discarded(source, reason);
    socket?.refuse?.(reason);
  }

  return {
    receive,
    answerForwarded,
    receiveProtected,
    get inProgress() {
      return inProgress;
    },
  };
}

/** Packets that bring one answer of a device at the same time, and whose turn comes one after the other. */
const MAX_SETTLING = 4;

const NAS_PORT = 5;
const CALLING_STATION_ID = 31;
const NAS_IDENTIFIER = 32;
const NAS_PORT_ID = 87;

function forget(exchanges: (Exchange | undefined)[], exchange: Exchange) {
  const { identifier } = exchange.request;
  if (exchanges[identifier] === exchange) exchanges[identifier] = undefined;
}

/** The name is stored, logged and compared as text: bytes that are none are somebody's experiment. */
function hasBadText(packet: Packet): boolean {
  const name = findValue(packet, AttributeType.UserName);
  return name !== undefined && (!isUtf8(name) || name.includes(0));
}

function reasonOfFailure(error: unknown): DiscardReason {
  if (error instanceof CredentialUnavailable) return 'backend-away';
  if (error instanceof SharedStateUnavailable) return 'backend-away';
  if (error instanceof Error && error.name === 'AccountingOverload') return 'overload';
  if (error instanceof Error && error.name === 'PostgresUnavailable') return 'backend-away';
  return 'failure';
}
