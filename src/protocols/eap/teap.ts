// TEAP version 1: a login inside TLS that proves it was made inside this very tunnel. RFC 9930.
// Inside: EAP-MSCHAPv2, EAP-TLS or a plain password, for one identity or for a machine and then its
// user. Nothing inside: for a client certificate in the handshake, and for a ticket. Not offered: PACs,
// which RFC 9930 has given up, certificate enrolment, channel binding, and renegotiation.

import { hmac } from '../tls/hmac.ts';
import type { Ticket, TlsEngine, TlsTerms } from '../tls/engine.ts';
import { createEapTls, usernameOfCertificate } from './eap-tls.ts';
import type { EapTlsOptions } from './eap-tls.ts';
import { continueInner, startInner } from './inner-conversation.ts';
import type { InnerOutcome } from './inner-conversation.ts';
import type { InnerInput, InnerProtocol, InnerStep } from './inner-protocol.ts';
import type { EapFailureReason, EapMethod, MethodState } from './method.ts';
import { eapMsChapV2 } from './mschapv2.ts';
import { EapType } from './packet.ts';
import { judgePassword } from './password-verdict.ts';
import { TEAP_VERSION, bindingRequest, checkBindingResponse } from './teap-binding.ts';
import { countLogin, createIdentityRule } from './teap-identities.ts';
import type { TeapIdentity } from './teap-identities.ts';
import type { InnerKeys, TeapCompatibility, TeapTunnel } from './teap-keys.ts';
import { afterInnerMethod, innerMsChapV2Key, startTeapKeys, teapSessionKeys } from './teap-keys.ts';
import type { ClientMessage } from './teap-message.ts';
import { readClientMessage } from './teap-message.ts';
import { refuse, refuseLogin, refuseWithout } from './teap-refusal.ts';
import { chainsOf, keysOf, textOfChains, textOfKeys, toBytes } from './teap-state.ts';
import type { Login, Proving, Running, TeapState } from './teap-state.ts';
import { Status, TeapError, TlvType, encodeTlvs, parseTlvs } from './teap-tlv.ts';
import type { TeapTlv } from './teap-tlv.ts';
import { tlsSessionId } from './tls-keys.ts';
import { awaitsHello, createTlsMethod } from './tls-transport.ts';
import { withoutResumption } from './without-resumption.ts';

type TeapInnerMethod = 'mschapv2' | 'tls' | 'password';

export type TeapOptions = {
  engine: TlsEngine;
  /** The best first. A client that does not want it gets the next. */
  innerMethods: readonly TeapInnerMethod[];
  compatibility: TeapCompatibility;
  /** Tells a client which of its credentials are for us; the same on every node. */
  authorityId: Buffer;
  /** In the handshake. With one that stands for a subscriber nothing is asked inside. */
  clientCertificate?: TlsTerms['clientCertificate'];
  usernameOf?: EapTlsOptions['usernameOf'];
  /** Who must log in, one after the other. Empty: whoever the client is. The last one's name counts. */
  identities?: readonly TeapIdentity[];
};

const PROMPT = 'Name and password';

export function createTeap(options: TeapOptions): EapMethod {
  const { engine, innerMethods, compatibility, clientCertificate = 'none' } = options;
  const { usernameOf = usernameOfCertificate, identities = [] } = options;
  const rule = createIdentityRule(identities);
  const eapMethods = innerMethods.flatMap((name): EapMethod[] => {
    if (name === 'mschapv2') return [eapMsChapV2];
    // No resumption inside: whoever wants a short login resumes the tunnel. RFC 9930 §3.6.4.
    return name === 'tls' ? [createEapTls({ engine: withoutResumption(engine), usernameOf })] : [];
  });
  const hasPassword = innerMethods.includes('password');
  const prefersPassword = innerMethods[0] === 'password';

  const inner: InnerProtocol = {
    acceptsTicket: ({ certificate }) =>
      clientCertificate !== 'required' || certificate !== undefined,

    async step(methodState, input) {
      const state = methodState as TeapState;
      if (state.stage === undefined) return opened(input);
      if (state.stage === 'refused') {
        return { kind: 'failure', reason: state.reason, detail: state.detail };
      }
      // A client that has nothing to say confirms something that this state does not know of.
      if (input.data.length === 0) return failure('tls-failed', 'nothing where TLVs were due');
      const read = readClientMessage(input.data);
      switch (read.kind) {
        case 'message':
          return heard(state, read.message, input);
        case 'unknown':
          return { kind: 'send', data: encodeTlvs([read.nak]), state: stateOf(state) };
        case 'refused':
          return refuse('tls-failed', read.detail, read.code);
      }
    },

    // The server's flight of EAP-TLS has a signature, and most signatures take chance of their own.
    mustNotRepeat(methodState) {
      const state = methodState as TeapState;
      if (state.stage !== 'method' || state.running.kind !== 'eap') return false;
      const { conversation } = state.running.inner;
      const isTls = conversation.stage === 'method' && conversation.type === EapType.Tls;
      return isTls && awaitsHello(conversation.state);
    },
  };

  /** The tunnel stands. What a client says unasked are hints of its identity, which we do not need. */
  async function opened(input: InnerInput): Promise<InnerStep> {
    const { facts, identity, evidence } = input;
    if (facts.version === '1.0' || facts.version === '1.1') {
      return { kind: 'failure', reason: 'tls-failed', alert: 'protocol_version' };
    }
    const chains = textOfChains(await startTeapKeys(tunnelOf(input)));
    const login: Login = { seed: chains.msk, chains, identityTypes: [], methods: 0 };
    if (facts.resumed !== undefined) {
      const { identity: username, policy } = facts.resumed;
      return finish({ ...login, username, policy }, {}, input);
    }
    const certificate = facts.clientCertificate;
    const username = certificate === undefined ? undefined : usernameOf(certificate, identity);
    const type = outerIdentityType(input) ?? rule.next(login);
    const isWanted = type === undefined || rule.mayBe(type, login);
    if (certificate === undefined || username === undefined || !isWanted)
      return begin(login, input);
    if (evidence.kind !== 'subscriber') return { kind: 'needs-subscriber', username };
    if (evidence.isKnown) {
      const { policy } = evidence;
      const proven = { username, policy, certificate: certificate.certificate };
      const counted = countLogin({ ...login, ...proven }, type);
      return rule.isComplete(counted) ? finish(counted, {}, input) : begin(counted, input);
    }
    // The certificate of a machine, say, that is no subscriber: who sits before it is asked inside.
    if (innerMethods.length > 0) return begin(login, input);
    const detail = `${username} has a valid certificate and is no subscriber`;
    return refuse('unknown-subscriber', detail, TeapError.ClientCertificateRejected);
  }

  /** The next login inside. */
  function begin(login: Login, input: InnerInput): InnerStep {
    const type = rule.next(login);
    const hint = type === undefined ? [] : [{ kind: 'identity-type', type } as const];
    return prefersPassword ? askPassword(login, hint) : askEap(login, hint, input);
  }

  function askPassword(login: Login, before: readonly TeapTlv[]): InnerStep {
    const state = { stage: 'method', login, running: { kind: 'password' } } as const;
    const request = { kind: 'password-request', prompt: PROMPT } as const;
    return { kind: 'send', data: encodeTlvs([...before, request]), state: stateOf(state) };
  }

  /** EAP inside begins with the question for a name, as everywhere. RFC 9930 §3.6.1. */
  function askEap(login: Login, before: readonly TeapTlv[], input: InnerInput): InnerStep {
    const outcome = eapMethods.length > 0 && startInner(Buffer.alloc(0), eapMethods, input);
    if (outcome === false || outcome.kind !== 'challenge') {
      return refuseLogin('no-common-method', 'no inner method is left');
    }
    return sayEap(login, before, outcome);
  }

  function sayEap(
    login: Login,
    before: readonly TeapTlv[],
    { eap, inner: conversation }: InnerOutcome & { kind: 'challenge' },
  ): InnerStep {
    const running = { kind: 'eap', inner: conversation } as const;
    const data = encodeTlvs([...before, { kind: 'eap-payload', eap }]);
    return { kind: 'send', data, state: stateOf({ stage: 'method', login, running }) };
  }

  /** The order is that of RFC 9930 §4.3: the binding, results, the identity, the method. */
  async function heard(
    state: Exclude<TeapState, { stage?: undefined | 'refused' }>,
    message: ClientMessage,
    input: InnerInput,
  ): Promise<InnerStep> {
    const fatal = message.errors.find((code) => code >= 2000);
    if (message.result === Status.Failure || fatal !== undefined) {
      const code = fatal ?? message.errors[0];
      return failure('refused-by-peer', code === undefined ? 'a failed Result' : `error ${code}`);
    }
    let { login } = state;
    if (state.stage !== 'method' && state.proving !== undefined) {
      const { keys, nonce, isAfterMethod } = state.proving;
      const checked = checkBindingResponse(
        tunnelOf(input),
        message.cryptoBinding,
        toBytes(nonce),
        keysOf(keys),
        input.outerTlvs,
      );
      if (checked.kind === 'refused') return refuse('tls-failed', checked.detail, checked.code);
      if (isAfterMethod && message.intermediateResult !== Status.Success) {
        return refuse(
          'refused-by-peer',
          'no success of the inner method',
          TeapError.UnexpectedTlvs,
        );
      }
      login = { ...login, agreedMacs: checked.macs };
    }
    switch (state.stage) {
      case 'method':
        return afterMethod(state.running, login, message, input);
      case 'proof':
        return rule.isComplete(login) ? sendResult(login, [], input) : begin(login, input);
      case 'result':
        return conclude(login, message, input);
    }
  }

  function afterMethod(
    running: Running,
    login: Login,
    message: ClientMessage,
    input: InnerInput,
  ): InnerStep | Promise<InnerStep> {
    const type = message.identityType;
    if (type !== undefined && !rule.mayBe(type, login)) {
      return refuse('tls-failed', `identity type ${type}`, TeapError.UnexpectedTlvs);
    }
    const known = type === undefined ? login : { ...login, identityType: type };
    if (running.kind === 'eap') {
      if (message.eap === undefined) return refuseWithout('EAP-Payload');
      return continueInner(running.inner, message.eap, eapMethods, input).then((outcome) =>
        afterEap(outcome, running.inner.conversation, known, input),
      );
    }
    if (message.unknownToClient.includes(TlvType.PasswordRequest)) {
      return prefersPassword
        ? askEap(login, [], input)
        : refuseLogin('no-common-method', 'no method');
    }
    if (message.password === undefined) return refuseWithout('Basic-Password-Auth-Resp');
    const { username, password } = message.password;
    const verdict = judgePassword(password, input.evidence);
    if (verdict === undefined) return { kind: 'needs-password', username, given: password };
    if (!verdict.isRight) return refuseLogin('wrong-password', `password of ${username}`);
    return afterSuccess({ ...known, username, policy: verdict.policy }, {}, input);
  }

  function afterEap(
    outcome: InnerOutcome,
    before: { stage: string; type?: number },
    login: Login,
    input: InnerInput,
  ): InnerStep | Promise<InnerStep> {
    switch (outcome.kind) {
      case 'challenge':
        return sayEap(login, [], outcome);
      case 'need': {
        const running = { kind: 'eap', inner: outcome.inner } as const;
        return { ...outcome.need, state: stateOf({ stage: 'method', login, running }) };
      }
      case 'success': {
        const { username, policy, msk } = outcome;
        const isMsChapV2 = before.type === EapType.MsChapV2;
        const key = msk && isMsChapV2 ? innerMsChapV2Key(msk, compatibility) : msk;
        const isByCertificate = before.type === EapType.Tls;
        const proven = { ...login, ...(isByCertificate && { earnsNoTicket: true as const }) };
        return afterSuccess({ ...proven, username, policy }, key ? { msk: key } : {}, input);
      }
      case 'failure':
        if (outcome.reason === 'no-common-method' && hasPassword && !prefersPassword) {
          return askPassword(login, []);
        }
        return refuseLogin(outcome.reason, outcome.detail ?? outcome.reason);
    }
  }

  /** An inner login has succeeded. Its binding is asked for, and the next or the end begins. */
  async function afterSuccess(
    login: Login,
    keys: InnerKeys,
    input: InnerInput,
  ): Promise<InnerStep> {
    const { identityType = rule.next(login), ...before } = login;
    const counted = countLogin(before, identityType);
    const { login: done, proving, tlvs } = await prove(counted, keys, input, true);
    // Under TLS 1.3 the ticket goes out with the Result. It must not reach somebody between the client
    // and us who only passed the inner method on, and the binding alone shows that there is nobody.
    const isTicketDue =
      input.facts.version === '1.3' &&
      keys.msk !== undefined &&
      ticketOf(done, input.facts) !== undefined;
    // hostap 2.10 forgets the keys of one method when it is asked for the next in the same message.
    if (!rule.isComplete(done) || isTicketDue) {
      const state = { stage: 'proof', login: done, proving } as const;
      return { kind: 'send', data: encodeTlvs(tlvs), state: stateOf(state) };
    }
    return sendResult(done, tlvs, input, proving);
  }

  /** Without anything asked inside. */
  async function finish(login: Login, keys: InnerKeys, input: InnerInput): Promise<InnerStep> {
    const { login: next, proving, tlvs } = await prove(login, keys, input, false);
    return sendResult(next, tlvs, input, proving);
  }

  async function prove(login: Login, inner: InnerKeys, input: InnerInput, isAfterMethod: boolean) {
    const tunnel = tunnelOf(input);
    const { chains, macKeys } = await afterInnerMethod(tunnel, chainsOf(login.chains), inner);
    const nonce = hmac('sha256', input.random, Buffer.from('nonce'));
    const binding = bindingRequest(tunnel, nonce, macKeys, input.outerTlvs);
    const result = { kind: 'intermediate-result', status: Status.Success } as const;
    const tlvs: TeapTlv[] = [{ kind: 'crypto-binding', ...binding }];
    return {
      login: { ...login, chains: textOfChains(chains) },
      proving: { nonce: nonce.toString('hex'), keys: textOfKeys(macKeys), isAfterMethod },
      tlvs: isAfterMethod ? [result, ...tlvs] : tlvs,
    };
  }

  function sendResult(
    login: Login,
    before: readonly TeapTlv[],
    { facts }: InnerInput,
    proving?: Proving,
  ): InnerStep {
    const data = encodeTlvs([...before, { kind: 'result', status: Status.Success }]);
    const state = stateOf({ stage: 'result', login, ...(proving && { proving }) });
    const ticket = facts.version === '1.3' ? ticketOf(login, facts) : undefined;
    return { kind: 'send', data, state, ...(ticket && { ticket }) };
  }

  async function conclude(
    login: Login,
    { result, requestedStatus }: ClientMessage,
    input: InnerInput,
  ): Promise<InnerStep> {
    // What else a client asks for is not done: then it says itself how this ends. RFC 9930 §3.6.5.
    if ((result ?? requestedStatus) !== Status.Success) return refuseWithout('Result');
    const { username, seed, agreedMacs = 0 } = login;
    if (username === undefined) return failure('tls-failed', 'a login of nobody');
    const chains = chainsOf(login.chains);
    const { msk } = await teapSessionKeys(tunnelOf(input), toBytes(seed), chains, agreedMacs);
    const ticket = input.facts.version === '1.3' ? undefined : ticketOf(login, input.facts);
    return {
      kind: 'success',
      username,
      msk,
      sessionId: await tlsSessionId(EapType.Teap, input),
      ...(ticket && { ticket }),
    };
  }

  function tunnelOf({ facts, exportKey }: InnerInput): TeapTunnel {
    return { compatibility, facts, exportKey };
  }

  const method = {
    name: 'teap',
    type: EapType.Teap,
    version: TEAP_VERSION,
    terms: { purpose: 'teap', clientCertificate },
    outerTlvs: encodeTlvs([{ kind: 'authority-id', id: options.authorityId }]),
  } as const;
  return createTlsMethod(method, engine, inner);
}

/**
 * A resumed login earns no new one, so that the lifetime of the first is the bound. Neither does a
 * certificate inside: the engine asks again only after those of its own handshakes.
 */
function ticketOf(login: Login, { resumed }: InnerInput['facts']): Ticket | undefined {
  const { username, policy, certificate, earnsNoTicket } = login;
  if (resumed !== undefined || earnsNoTicket === true) return undefined;
  if (username === undefined || policy === undefined) return undefined;
  return { identity: username, policy, ...(certificate === undefined ? {} : { certificate }) };
}

/** Whose certificate it is that the client shows in the handshake. RFC 9930 §8.5. */
function outerIdentityType({ outerTlvs }: InnerInput): number | undefined {
  return parseTlvs(outerTlvs.theirs)?.find((tlv) => tlv.kind === 'identity-type')?.type;
}

function failure(reason: EapFailureReason, detail: string): InnerStep {
  return { kind: 'failure', reason, detail };
}

function stateOf(state: Exclude<TeapState, { readonly stage?: undefined }>): MethodState {
  return state;
}
