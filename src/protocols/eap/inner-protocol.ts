// What a method says inside its TLS connection: the part in which EAP-TLS, PEAP, TTLS and TEAP differ.
// All that they share, from fragments to tickets, is tls-transport.ts.

import type { AlertName, Soon, Ticket, TlsFacts } from '../tls/engine.ts';
import type { EapFailureReason, Evidence, MethodNeed, MethodState } from './method.ts';

export type InnerProtocol = {
  /** Whether a ticket has all that this method relies on. The subscriber's policy is checked besides. */
  acceptsTicket(ticket: Ticket): boolean;
  /** Called when the handshake has ended, then for everything that the client sends. First `state`: {}. */
  step(state: MethodState, input: InnerInput): Soon<InnerStep>;
  /** As of a method (method.ts). Absent: every step can be taken a second time. */
  mustNotRepeat?(state: MethodState): boolean;
};

export type InnerInput = {
  /** What the client said inside. Empty: it only acknowledged, or only ended the handshake. */
  data: Buffer;
  /** The handshake ended with this packet. */
  hasJustOpened: boolean;
  /** The end of our handshake (TLS 1.2: Finished) is not sent yet; it leads whatever is sent now. */
  hasUnsentFlight: boolean;
  facts: TlsFacts;
  /** The name outside, which proves nothing. */
  identity: string;
  /** Of the response that is being answered, and of the next request. */
  identifier: number;
  nextIdentifier: number;
  /**
   * Drawn for this step alone, of what was drawn before there were keys: the same whenever the client says
   * this in this state, however its packets are cut and flagged, which anybody can change.
   */
  random: Buffer;
  fresh: Buffer;
  nowMs: number;
  maxPacketBytes: number;
  evidence: Evidence;
  /** TEAP: as sent in the Start packet, and as the client sent with its first message. */
  outerTlvs: { ours: Buffer; theirs: Buffer };
  exportKey(label: string, length: number, context?: Buffer): Soon<Buffer>;
};

export type InnerStep =
  /** `data` encrypted, behind the unsent flight and the ticket. With nothing to send: an empty packet. */
  | { kind: 'send'; data: Buffer; state: MethodState; ticket?: Ticket }
  /** The response is kept: `step` is called again with the same data, and the evidence. */
  | MethodNeed
  /**
   * `data` is what we say last. Whatever is still to be sent goes out first, and the success follows
   * the client's acknowledgement; with nothing to send it follows at once.
   */
  | {
      kind: 'success';
      username: string;
      msk: Buffer;
      sessionId: Buffer;
      ticket?: Ticket;
      data?: Buffer;
    }
  /** With `alert` the client is told inside TLS, and the failure follows its next packet. */
  | { kind: 'failure'; reason: EapFailureReason; detail?: string; alert?: AlertName };
