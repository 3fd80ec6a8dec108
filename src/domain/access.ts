// May this subscriber go online, and on what terms? The password has been checked already; this is
// about the plan, the dates and what is used up. The reason travels with the answer.

import type { Credential } from './subscriber.ts';

export type RejectReason =
  | 'unknown-subscriber'
  | 'wrong-password'
  | 'no-password-sent'
  | 'disabled'
  | 'expired'
  | 'time-used-up'
  | 'data-used-up'
  | 'too-many-devices'
  | 'conversation-lost'
  | 'method-refused'
  | 'certificate-refused'
  | 'tls-failed';

export type AccessDecision = Grant | { kind: 'reject'; reason: RejectReason };

export type Grant = {
  kind: 'accept';
  /** Undefined: as long as the router likes. At least 1. */
  sessionSeconds: number | undefined;
  /** What is left of the plan's data, both directions together; undefined is unlimited. At least 1. */
  remainingBytes: number | undefined;
  uploadBitsPerSecond: number | undefined;
  downloadBitsPerSecond: number | undefined;
  /** Seats in the cluster; undefined is unlimited. */
  devices: number | undefined;
  /** How often the router shall report, in seconds. */
  interimSeconds: number;
};

/** What the subscriber is told; the router shows it. It says no more than they know themselves. */
export const REJECT_MESSAGES: Record<RejectReason, string> = {
  'unknown-subscriber': 'Wrong user name or password.',
  'wrong-password': 'Wrong user name or password.',
  'no-password-sent': 'This way of logging in is not supported.',
  disabled: 'This account is disabled.',
  expired: 'This account has expired.',
  'time-used-up': 'The time of your plan is used up.',
  'data-used-up': 'The data of your plan is used up.',
  'too-many-devices': 'All devices of your plan are online already.',
  'conversation-lost': 'Please try again.',
  'method-refused': 'This way of logging in is not supported.',
  'certificate-refused': 'Your certificate does not let you in.',
  'tls-failed': 'The secure connection could not be made.',
};

/** RFC 2869 §5.16 allows 60 s at least and advises 600 s. */
export const INTERIM_SECONDS = 600;

export function decideAccess(credential: Credential, nowMs: number): AccessDecision {
  if (credential.disabled) return { kind: 'reject', reason: 'disabled' };
  if (credential.expiresAtMs !== undefined && nowMs >= credential.expiresAtMs) {
    return { kind: 'reject', reason: 'expired' };
  }
  const plan = credential.plan;
  const secondsLeft = remaining(plan?.durationSeconds, credential.usedSeconds);
  if (secondsLeft === 0) return { kind: 'reject', reason: 'time-used-up' };
  const bytesLeft = remaining(plan?.dataBytes, credential.usedBytes);
  if (bytesLeft === 0) return { kind: 'reject', reason: 'data-used-up' };

  return {
    kind: 'accept',
    sessionSeconds: shorter(secondsLeft, secondsUntil(credential.expiresAtMs, nowMs)),
    remainingBytes: bytesLeft,
    uploadBitsPerSecond: plan?.uploadBitsPerSecond,
    downloadBitsPerSecond: plan?.downloadBitsPerSecond,
    devices: plan?.devices,
    interimSeconds: INTERIM_SECONDS,
  };
}

/** Undefined if there is no limit, 0 if it is reached. */
function remaining(limit: number | undefined, used: number): number | undefined {
  if (limit === undefined) return undefined;
  return Math.max(0, Math.floor(limit - used));
}

function secondsUntil(momentMs: number | undefined, nowMs: number): number | undefined {
  if (momentMs === undefined) return undefined;
  return Math.max(1, Math.ceil((momentMs - nowMs) / 1000));
}

function shorter(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  if (b === undefined) return a;
  return Math.min(a, b);
}
