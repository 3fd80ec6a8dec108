// What an EAP method asks about a subscriber or an earlier login, found out. The method decides; this
// only looks things up.

import { createHash } from 'node:crypto';
import type { SharedState } from '../../../domain/shared-state.ts';
import type { Credential } from '../../../domain/subscriber.ts';
import type { Evidence, MethodNeed } from '../../../protocols/eap/method.ts';
import type { TlsSession } from '../../../protocols/tls/engine.ts';
import type { CredentialCache } from '../credential-cache.ts';
import { isSamePassword } from '../login.ts';
import type { Seal } from './record.ts';

/** `credential`: whom the method asked about; undefined if it asked about nobody. */
type Found = { evidence: Evidence; credential?: Credential | null };

export type EvidenceFinder = {
  find(need: MethodNeed): Promise<Found>;
  /** Remembers a TLS session for a later `needs-session`. */
  remember(session: TlsSession): Promise<void>;
};

export function createEvidenceFinder(options: {
  credentials: Pick<CredentialCache, 'find'>;
  state: SharedState;
  box: Seal;
}): EvidenceFinder {
  const { credentials, state, box } = options;

  return {
    async find(need) {
      if (need.kind === 'needs-session') {
        return { evidence: { kind: 'session', session: await findSession(need.id) } };
      }
      const credential = await credentials.find(need.username);
      const policy = credential === null ? '' : policyOf(credential);
      if (need.kind === 'needs-subscriber') {
        return {
          credential,
          evidence: { kind: 'subscriber', isKnown: credential !== null, policy },
        };
      }
      const expected = credential?.password ?? null;
      const evidence: Evidence =
        need.given === undefined
          ? { kind: 'password', password: expected, policy }
          : {
              kind: 'verdict',
              isRight: expected !== null && isSamePassword(need.given, expected),
              policy,
            };
      return { credential, evidence };
    },

    async remember({ id, value, lifetimeMs }) {
      await state.set(sessionKey(id), box.seal(value, sessionKey(id)), lifetimeMs);
    },
  };

  async function findSession(id: string): Promise<Buffer | null> {
    const sealed = await state.get(sessionKey(id));
    if (sealed === undefined) return null;
    try {
      return box.open(sealed, sessionKey(id));
    } catch {
      return null; // sealed under a key that is gone: a full handshake does as well
    }
  }
}

/** What let this subscriber in. A ticket of theirs is good only as long as it stays the same. */
function policyOf({ kind, id, password, plan }: Credential): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, id, plan?.id ?? '']))
    .update(password)
    .digest('base64url')
    .slice(0, 22);
}

function sessionKey(id: string): string {
  return `tls_session:${id}`;
}
