// How a TEAP login is refused: said inside the tunnel, where nobody can forge it, and whatever the client
// answers, the EAP-Failure follows. RFC 9930 §3.6.5, §3.9.3. Why, teap.ts decides.

import type { InnerStep } from './inner-protocol.ts';
import type { EapFailureReason } from './method.ts';
import type { TeapState } from './teap-state.ts';
import { Status, TeapError, encodeTlvs } from './teap-tlv.ts';
import type { TeapTlv } from './teap-tlv.ts';

export function refuse(
  reason: EapFailureReason,
  detail: string,
  code: number,
  before: readonly TeapTlv[] = [],
): InnerStep {
  const state = { stage: 'refused', reason, detail } as const satisfies TeapState;
  const result = { kind: 'result', status: Status.Failure } as const;
  return { kind: 'send', data: encodeTlvs([...before, result, { kind: 'error', code }]), state };
}

/** An inner login that failed. The code says no more than that: not whether there is such a name. */
export function refuseLogin(reason: EapFailureReason, detail: string): InnerStep {
  const code =
    reason === 'no-common-method'
      ? TeapError.InnerMethodNotSupported
      : TeapError.UnspecifiedAuthenticationFailure;
  return refuse(reason, detail, code, [{ kind: 'intermediate-result', status: Status.Failure }]);
}

/** A message without what it was to bring. */
export function refuseWithout(tlv: string): InnerStep {
  return refuse('tls-failed', `no ${tlv} where one was due`, TeapError.UnexpectedTlvs);
}
