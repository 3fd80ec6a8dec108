// EAP methods over TLS, the part that they share: a TLS connection cut into EAP packets, its handshake,
// resumption, alerts, and the order of the last packets. RFC 5216 §2.1, RFC 9190 §2, RFC 5281 §9.
// The state is one plain value, so that every packet may meet another process.
// Its fragments are tls-fragments.ts, how it ends and which alerts are said is tls-ending.ts.

import { isPastHello } from '../tls/connection.ts';
import type {
  Ticket,
  TlsConnection,
  TlsEngine,
  TlsFacts,
  TlsProgress,
  TlsTerms,
} from '../tls/engine.ts';
import { isNativeConnection } from '../tls/engine.ts';
import { hmac } from '../tls/hmac.ts';
import type { InnerProtocol } from './inner-protocol.ts';
import type { EapMethod, MethodInput, MethodNeed, MethodState, MethodStep } from './method.ts';
import { concluded, failureOf, mayBeSaid, sessionText, successOf } from './tls-ending.ts';
import type { Ending, SessionText } from './tls-ending.ts';
import { firstFragment, fromText, joinFragment, nextFragment, toText } from './tls-fragments.ts';
import type { Incoming } from './tls-fragments.ts';
import { encodeTlsPacket, isAcknowledgement, parseTlsPacket } from './tls-packets.ts';
import type { TlsPacket } from './tls-packets.ts';

export type TlsMethod = {
  name: string;
  type: number;
  /** The version bits of every packet; undefined where the method has none, as EAP-TLS. */
  version?: number;
  terms: TlsTerms;
  /** TEAP: sent in the Start packet. Given, even empty, the client may send its own. */
  outerTlvs?: Buffer;
};

/** Responses of one login. A long chain in 200-byte fragments takes some 60. */
const MAX_RESPONSES = 250;

/** Everything between two packets. Plain data. Bytes are base64. */
type Link = {
  readonly responses: number;
  /** From the first whole message on. */
  readonly connection?: TlsConnection;
  /**
   * Drawn with it, before there were keys. All chance under them comes from here, so that it does not
   * depend on how a packet is cut and flagged: anybody can send the client's records in another shape.
   */
  readonly seed?: string;
  /** How often the inner protocol has spoken. */
  readonly turns?: number;
  readonly incoming?: Incoming;
  /** What is left of our message; the client acknowledges each fragment. */
  readonly outgoing?: string;
  /** Once the handshake has ended. */
  readonly facts?: TlsFacts;
  readonly inner: MethodState;
  readonly theirOuterTlvs?: string;
  /** What a TLS 1.2 client may resume later, once this login has succeeded. */
  readonly session?: SessionText;
  /** How this ends, when the client has acknowledged what we say last. */
  readonly ending?: Ending;
  /** Only in the state of a `needs-…`: the response is taken in, the evidence is missing. */
  readonly pending?: Pending;
};

type Pending =
  | { kind: 'session'; id: string }
  | { kind: 'ticket'; ticket: Ticket }
  | { kind: 'inner'; data: string; unsent: string; hasJustOpened: boolean };

type Connected = Link & { readonly connection: TlsConnection; readonly seed: string };

export function createTlsMethod(
  method: TlsMethod,
  engine: TlsEngine,
  inner: InnerProtocol,
): EapMethod {
  const version = method.version ?? 0;

  async function step(link: Link, input: MethodInput): Promise<MethodStep> {
    const connected = isConnected(link) ? link : undefined;
    if (connected?.pending !== undefined) return decide(connected, connected.pending, input);
    const { ending, outgoing } = link;
    // Our alert has been said: whatever the client answers to it, this is over.
    if (ending?.kind === 'failure' && outgoing === undefined) return concluded(ending);

    const packet = parseTlsPacket(input.response.data, {
      hasOuterTlvs: method.outerTlvs !== undefined,
    });
    if (packet === undefined) return discard();
    if (link.responses >= MAX_RESPONSES) return failed(`more than ${MAX_RESPONSES} responses`);
    if (method.version !== undefined && packet.version !== version) {
      return failed(`version ${packet.version} of ${method.name}, which was not offered`);
    }
    const heard = { ...link, responses: link.responses + 1 };
    if (outgoing !== undefined) {
      if (!isAcknowledgement(packet)) return discard();
      return sendRest(heard, fromText(outgoing), input);
    }

    const joined = joinFragment(heard.incoming, packet);
    switch (joined.kind) {
      case 'malformed':
        return failed(joined.detail);
      case 'more':
        return continued({ ...heard, incoming: joined.incoming }, emptyPacket());
      case 'whole': {
        const { incoming: _, ...rest } = heard;
        const { outerTlvs } = joined;
        const isFirst = rest.connection === undefined;
        if (outerTlvs.length > 0 && !isFirst) return failed('outer TLVs after the first message');
        const whole = {
          ...rest,
          connection: rest.connection ?? engine.accept(method.terms),
          seed: rest.seed ?? toText(drawFor('seed', input.fresh)),
        };
        return hear(
          outerTlvs.length > 0 ? { ...whole, theirOuterTlvs: toText(outerTlvs) } : whole,
          joined.data,
          input,
        );
      }
    }
  }

  /** A whole message, or an acknowledgement. */
  async function hear(link: Connected, data: Buffer, input: MethodInput): Promise<MethodStep> {
    if (data.length > 0) {
      const moment = { nowMs: input.nowMs, random: drawFor('receive', input.fresh) };
      return progressed(link, await engine.receive(link.connection, data, moment), input);
    }
    if (link.ending !== undefined) return concluded(link.ending);
    if (link.facts === undefined) return failed("nothing where the client's handshake was due");
    const acknowledgement = { data: NOTHING, unsent: NOTHING, hasJustOpened: false };
    return speak(link, link.facts, acknowledgement, input);
  }

  async function decide(
    { pending: _pending, ...link }: Connected,
    pending: Pending,
    input: MethodInput,
  ): Promise<MethodStep> {
    const { evidence } = input;
    switch (pending.kind) {
      case 'session': {
        if (evidence.kind !== 'session') return needed(link, pending);
        const moment = { nowMs: input.nowMs, random: drawFor('session', input.fresh) };
        return progressed(link, await engine.decide(link.connection, evidence, moment), input);
      }
      case 'ticket': {
        if (evidence.kind !== 'subscriber') return needed(link, pending);
        const mayResume = evidence.isKnown && evidence.policy === pending.ticket.policy;
        return decideTicket(link, mayResume, input);
      }
      case 'inner': {
        if (link.facts === undefined) return failed('inner data before the handshake ended');
        const { data, unsent, hasJustOpened } = pending;
        const heard = { data: fromText(data), unsent: fromText(unsent), hasJustOpened };
        return speak(link, link.facts, heard, input);
      }
    }
  }

  async function decideTicket(
    link: Connected,
    mayResume: boolean,
    input: MethodInput,
  ): Promise<MethodStep> {
    const decision = { kind: 'ticket', mayResume } as const;
    // What it asked for was given: this evidence is no answer to what comes next.
    const spent = { ...input, evidence: { kind: 'not-yet' } as const };
    const moment = { nowMs: input.nowMs, random: drawFor('ticket', input.fresh) };
    return progressed(link, await engine.decide(link.connection, decision, moment), spent);
  }

  async function progressed(
    before: Connected,
    progress: TlsProgress,
    input: MethodInput,
  ): Promise<MethodStep> {
    const link = { ...before, connection: progress.connection };
    switch (progress.kind) {
      case 'handshaking':
        return sendMessage(link, progress.output, input);
      case 'offers-session':
        return needed(link, { kind: 'session', id: progress.id });
      case 'offers-ticket': {
        const { ticket } = progress;
        if (!inner.acceptsTicket(ticket)) return decideTicket(link, false, input);
        return needed(link, { kind: 'ticket', ticket });
      }
      case 'open': {
        const { output, data, facts } = progress;
        const hasJustOpened = link.facts === undefined;
        // TLS has spoken to itself: new keys, or a warning.
        if (data.length === 0 && !hasJustOpened) return sendMessage(link, output, input);
        if (link.ending !== undefined) return failed('data where an acknowledgement was due');
        const heard = { data, unsent: output, hasJustOpened };
        return speak({ ...link, facts }, facts, heard, input);
      }
      case 'failed': {
        const ending = failureOf(progress);
        const isSaid = progress.from === 'us' && mayBeSaid(progress.output, progress.alert);
        return isSaid
          ? sendMessage({ ...link, ending }, progress.output, input)
          : concluded(ending);
      }
    }
  }

  /** The inner protocol's turn, and what it wants sent. */
  async function speak(
    link: Connected & { readonly facts?: TlsFacts },
    facts: TlsFacts,
    heard: { data: Buffer; unsent: Buffer; hasJustOpened: boolean },
    input: MethodInput,
  ): Promise<MethodStep> {
    const { data, unsent, hasJustOpened } = heard;
    const { turns = 0 } = link;
    const said = await inner.step(link.inner, {
      data,
      hasJustOpened,
      hasUnsentFlight: unsent.length > 0,
      facts,
      identity: input.identity,
      identifier: input.response.identifier,
      nextIdentifier: input.nextIdentifier,
      random: drawUnderKeys(link, 'inner'),
      fresh: drawUnderKeys(link, 'inner keys'),
      nowMs: input.nowMs,
      maxPacketBytes: input.maxPacketBytes,
      evidence: input.evidence,
      outerTlvs: {
        ours: method.outerTlvs ?? NOTHING,
        theirs: fromText(link.theirOuterTlvs ?? ''),
      },
      exportKey: (label, length, context) =>
        engine.exportKey(link.connection, label, length, context),
    });
    switch (said.kind) {
      case 'send': {
        const { output, ...sealed } = await seal(link, unsent, said, input);
        return sendMessage({ ...sealed, inner: said.state, turns: turns + 1 }, output, input);
      }
      case 'success': {
        const { output, ...sealed } = await seal(link, unsent, said, input);
        const ending = successOf(said, sealed.session);
        if (output.length === 0) return concluded(ending);
        return sendMessage({ ...sealed, ending }, output, input);
      }
      case 'failure': {
        const { alert, ...ending } = said;
        if (alert === undefined) return concluded(ending);
        const { connection, output } = await engine.abort(link.connection, alert);
        if (output.length === 0) return concluded(ending);
        return sendMessage({ ...link, connection, ending }, Buffer.concat([unsent, output]), input);
      }
      default: {
        const { state = link.inner, ...need } = said;
        const pending = {
          kind: 'inner',
          data: toText(data),
          unsent: toText(unsent),
          hasJustOpened,
        } as const;
        return { ...need, state: stateOf({ ...link, inner: state, pending }) };
      }
    }
  }

  /**
   * One flight: the end of the handshake, the ticket, the data. The ticket leads the data because some
   * clients read one piece of data and stop.
   */
  async function seal(
    link: Connected,
    unsent: Buffer,
    said: { data?: Buffer; ticket?: Ticket },
    input: MethodInput,
  ): Promise<Connected & { output: Buffer }> {
    const output = [unsent];
    let { connection, session } = link;
    if (said.ticket !== undefined) {
      // Not fresh: whoever works this round out again must come to the same ticket.
      const moment = { nowMs: input.nowMs, random: drawUnderKeys(link, 'issue') };
      const issued = await engine.issueTicket(connection, said.ticket, moment);
      ({ connection } = issued);
      output.push(issued.output);
      if (issued.session !== undefined) session = sessionText(issued.session);
    }
    if (said.data !== undefined && said.data.length > 0) {
      const sent = await engine.send(connection, said.data);
      ({ connection } = sent);
      output.push(sent.output);
    }
    return {
      ...link,
      connection,
      output: Buffer.concat(output),
      ...(session === undefined ? {} : { session }),
    };
  }

  function sendMessage(link: Link, message: Buffer, { maxPacketBytes }: MethodInput): MethodStep {
    const { packet, rest } = firstFragment(message, maxPacketBytes);
    return sendFragment(link, packet, rest);
  }

  function sendRest(link: Link, message: Buffer, { maxPacketBytes }: MethodInput): MethodStep {
    const { packet, rest } = nextFragment(message, maxPacketBytes);
    return sendFragment(link, packet, rest);
  }

  function sendFragment(
    { outgoing: _outgoing, ...link }: Link,
    packet: Partial<TlsPacket>,
    rest: Buffer,
  ): MethodStep {
    const data = encodeTlsPacket({ ...plainPacket(), ...packet });
    return continued(rest.length === 0 ? link : { ...link, outgoing: toText(rest) }, data);
  }

  function plainPacket(): TlsPacket {
    return { version, isStart: false, hasMore: false, data: NOTHING };
  }

  function emptyPacket(): Buffer {
    return encodeTlsPacket(plainPacket());
  }

  return {
    name: method.name,
    type: method.type,

    start() {
      const { outerTlvs } = method;
      const data = encodeTlsPacket({
        ...plainPacket(),
        isStart: true,
        ...(outerTlvs === undefined ? {} : { outerTlvBytes: outerTlvs.length, data: outerTlvs }),
      });
      return { data, state: stateOf({ responses: 0, inner: {} }) };
    },

    step: (state, input) => step(state as unknown as Link, input),
    mustNotRepeat(state) {
      const { connection, facts, outgoing, ending, inner: within } = state as unknown as Link;
      if (connection === undefined || facts === undefined) return false; // its keys are new in each try
      // What OpenSSL has encrypted once it does not encrypt anew.
      if (outgoing !== undefined || ending !== undefined || isNativeConnection(connection)) {
        return false;
      }
      return inner.mustNotRepeat?.(within) ?? false;
    },
  };
}

/**
 * Whether the next answer may be the server's flight: with new keys, and with a signature, which no chance
 * of ours makes twice. Of the state of any method that `createTlsMethod` has made.
 */
export function awaitsHello(state: MethodState): boolean {
  const { connection, outgoing, ending } = state as unknown as Link;
  if (outgoing !== undefined || ending !== undefined) return false;
  if (connection === undefined) return true;
  return !isNativeConnection(connection) && !isPastHello(connection);
}

function needed(link: Connected, pending: Pending & { kind: 'session' | 'ticket' }): MethodNeed {
  const state = stateOf({ ...link, pending });
  return pending.kind === 'session'
    ? { kind: 'needs-session', id: pending.id, state }
    : { kind: 'needs-subscriber', username: pending.ticket.identity, state };
}

/** Other bytes for every purpose of one step, so that what one shows says nothing of another. */
function drawFor(purpose: string, random: Buffer): Buffer {
  return hmac('sha256', random, Buffer.from(purpose, 'latin1'));
}

/** The same in every try of a step, other bytes in the next. */
function drawUnderKeys({ seed, turns = 0 }: Connected, purpose: string): Buffer {
  return drawFor(`${purpose} ${turns}`, fromText(seed));
}

function isConnected(link: Link): link is Connected {
  return link.connection !== undefined;
}

function continued(link: Link, data: Buffer): MethodStep {
  return { kind: 'continue', data, state: stateOf(link) };
}

function failed(detail: string): MethodStep {
  return { kind: 'failure', reason: 'tls-failed', detail };
}

function discard(): MethodStep {
  return { kind: 'discard', reason: 'malformed' };
}

function stateOf(link: Link): MethodState {
  return link;
}

const NOTHING = Buffer.alloc(0);
