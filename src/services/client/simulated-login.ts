// A login of a virtual subscriber by any method that needs no more than a password. What went wrong with it
// comes in a few words: one of thousands is shown.

import type { SecureContext } from 'node:tls';
import type { Runtime } from '../../runtime/runtime.ts';
import { describeDistrust, describeRefusal } from './describe-eap.ts';
import { createEapDevice, outerIdentity } from './eap-device.ts';
import { tryEapLogin } from './eap-login.ts';
import type { EapLoginOutcome } from './eap-login.ts';
import { tryLogin } from './login.ts';
import type { LoginMethod, LoginOutcome } from './login.ts';
import type { Place } from './place.ts';
import type { RadiusClient } from './radius-client.ts';
import { createTlsClient, createTlsContext } from './tls-client.ts';

export type SimulatedMethod = LoginMethod | 'peap' | 'ttls';

type SimulatedOutcome =
  | { kind: 'busy' }
  | { kind: 'silence'; forged: number }
  | { kind: 'accepted'; roundTripMs: number }
  | { kind: 'rejected'; roundTripMs: number; why: string }
  /** An answer that proves nothing, or that no router would believe. */
  | { kind: 'wrong'; roundTripMs: number; why: string };

type SimulatedLogin = (
  client: RadiusClient,
  port: number,
  login: { username: string; password: string; method: SimulatedMethod; place: Place },
) => Promise<SimulatedOutcome>;

export function createSimulatedLogin(runtime: Pick<Runtime, 'clock' | 'random'>): SimulatedLogin {
  const { clock, random } = runtime;
  let context: SecureContext | undefined;

  return async (client, port, login) => {
    const { method, username, password, place } = login;
    if (method !== 'peap' && method !== 'ttls') {
      const outcome = await tryLogin(client, port, { username, password, method, place }, random);
      return judge(outcome, method);
    }
    context ??= createTlsContext({}); // costly, and the same for all: nobody is checked
    using tls = createTlsClient({ context, isServerChecked: false }, clock);
    const identity = outerIdentity(method, username);
    const device = createEapDevice(method, { username, password, identity }, tls, random);
    return judgeEap(await tryEapLogin(client, port, { device, identity, place }), method);
  };
}

function judge(outcome: LoginOutcome, method: LoginMethod): SimulatedOutcome {
  switch (outcome.kind) {
    case 'busy':
    case 'silence':
    case 'accepted':
      return outcome;
    case 'rejected':
      return { ...outcome, why: outcome.message ?? 'rejected' };
    default:
      return { kind: 'wrong', roundTripMs: outcome.roundTripMs, why: `${method}: ${outcome.kind}` };
  }
}

function judgeEap(outcome: EapLoginOutcome, method: string): SimulatedOutcome {
  const { roundTripMs } = outcome;
  switch (outcome.kind) {
    case 'busy':
    case 'silence':
      return outcome;
    case 'accepted':
      return outcome.keys === 'same'
        ? { kind: 'accepted', roundTripMs }
        : { kind: 'wrong', roundTripMs, why: 'router and device have different keys' };
    case 'rejected': {
      const why = describeRefusal(outcome.refusal, method) ?? outcome.message ?? 'rejected';
      return { kind: 'rejected', roundTripMs, why };
    }
    case 'distrust':
      return { kind: 'wrong', roundTripMs, why: describeDistrust(outcome.distrust) };
    case 'unexpected':
      return { kind: 'wrong', roundTripMs, why: outcome.detail };
  }
}
