// EAP-GTC: the subscriber sends the password as it is. RFC 3748 §5.6. Only inside a TLS tunnel, or on
// a wire you trust; its merit is that the password may be stored as a hash.

import type { EapMethod } from './method.ts';
import { EapType } from './packet.ts';
import { judgePassword } from './password-verdict.ts';

export const eapGtc: EapMethod = {
  name: 'gtc',
  type: EapType.Gtc,

  start() {
    return { data: Buffer.from('Password: '), state: {} };
  },

  step(_state, { response, identity, evidence }) {
    const verdict = judgePassword(response.data, evidence);
    if (verdict === undefined) {
      return { kind: 'needs-password', username: identity, given: response.data };
    }
    return verdict.isRight
      ? { kind: 'success', username: identity }
      : { kind: 'failure', reason: 'wrong-password' };
  },
};
