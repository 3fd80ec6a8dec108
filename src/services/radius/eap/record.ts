// An EAP conversation as it lies in the shared state: one record, replaced as a whole in each round, so
// that a node which dies leaves either the old round or the whole new one. Sealed, for it holds keys.
// The rounds themselves are pure functions here; logins.ts carries them out.

import type {
  ConversationOutcome,
  ConversationState,
} from '../../../protocols/eap/conversation.ts';
import type { EapFailureReason } from '../../../protocols/eap/method.ts';

/** Plain JSON. */
export type ConversationRecord = {
  /** The router that it belongs to: another one has no business with it, and would get its keys. */
  router: string;
  /** Counts the answers that were settled. */
  round: number;
  /** What the State of the outstanding request says, hexadecimal: an older one is no longer welcome. */
  token: string;
  /** Null: it has ended, and only its last answer may still be asked for. */
  conversation: ConversationState | null;
  /** Whom the method has asked about so far: outside a tunnel the device often says another name. */
  asked?: string;
  /** The random numbers of all rounds are derived from it. Hexadecimal. */
  seed: string;
  startedAtMs: number;
  last?: SettledRound;
  /** The tokens of the rounds before that one. */
  over: readonly string[];
};

export type SettledRound = {
  token: string;
  /** The method that was at work: the conversation itself may be over. */
  method: string;
  /** The digest of the device's answer, the only one that this round takes. */
  eap: string;
  outcome: SettledOutcome;
  /** The answers given, by the packet that brought the device's answer. Base64. */
  given: readonly Given[];
};
export type Given = { request: string; answer: string };

/** What the device's answer led to: worked out once, whatever packets bring it again. Bytes in base64. */
export type SettledOutcome =
  /** The request is in the answers given. */
  | { kind: 'challenge' }
  | { kind: 'failure'; eap: string; reason: EapFailureReason; detail?: string }
  | {
      kind: 'success';
      eap: string;
      username: string;
      msk?: string;
      sessionId?: string;
      session?: { id: string; value: string; lifetimeMs: number };
    };

/** The outcomes of a conversation that end a round. */
export type Ending = Extract<ConversationOutcome, { kind: 'challenge' | 'failure' | 'success' }>;

export function afterRound(
  record: ConversationRecord,
  round: { method: string; eap: string; ending: Ending; nextToken: string; asked?: string },
  given: Given,
): ConversationRecord {
  const { method, eap, ending, nextToken, asked } = round;
  return {
    ...record,
    round: record.round + 1,
    ...(asked === undefined ? {} : { asked }),
    token: nextToken,
    conversation: ending.kind === 'challenge' ? ending.state : null,
    last: { token: record.token, method, eap, outcome: settledOutcome(ending), given: [given] },
    over: record.last === undefined ? record.over : [...record.over, record.last.token],
  };
}

/** The same answer of the device came in one more packet. */
export function withGiven(
  record: ConversationRecord,
  last: SettledRound,
  given: Given,
): ConversationRecord {
  return { ...record, last: { ...last, given: [...last.given, given] } };
}

export function settledOutcome(ending: Ending): SettledOutcome {
  switch (ending.kind) {
    case 'challenge':
      return { kind: 'challenge' };
    case 'failure':
      return { ...ending, eap: ending.eap.toString('base64') };
    case 'success': {
      const { eap, username, msk, sessionId, session } = ending;
      return {
        kind: 'success',
        eap: eap.toString('base64'),
        username,
        ...(msk === undefined ? {} : { msk: msk.toString('base64') }),
        ...(sessionId === undefined ? {} : { sessionId: sessionId.toString('base64') }),
        ...(session === undefined
          ? {}
          : { session: { ...session, value: session.value.toString('base64') } }),
      };
    }
  }
}

export type Seal = {
  seal(plaintext: Buffer, context: string): Buffer;
  open(box: Buffer, context: string): Buffer;
};

export function keyOf(id: string): string {
  return `eap_session:${id}`;
}

export function sealRecord(box: Seal, id: string, record: ConversationRecord): Buffer {
  return box.seal(Buffer.from(JSON.stringify(record)), keyOf(id));
}

/** Undefined: sealed under a key that is gone, or not by us. It is as good as lost. */
export function openRecord(box: Seal, id: string, raw: Buffer): ConversationRecord | undefined {
  try {
    return JSON.parse(box.open(raw, keyOf(id)).toString()) as ConversationRecord;
  } catch {
    return undefined;
  }
}
