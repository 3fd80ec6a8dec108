// RFC 5280 §6.3.3 (f): an authority that has changed its key, and lists that nobody at hand has signed.
// The same with certificates of others: tests/conformance/x509-openssl.test.ts.

import { describe, expect, test } from 'vitest';
import { authorityOf, createAuthority, createRevocationList, issueCertificate } from './create.ts';
import type { AuthorityTerms, Issued } from './create.ts';
import { pathReferencesOf, recheckReferences } from './path-references.ts';
import { validatePath } from './path-validation.ts';
import type { ClientTrust } from './path-validation.ts';
import { crlsFromPem } from './revocation.ts';
import type { Crl } from './revocation.ts';

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const DAY_MS = 86_400_000;
let serial = 0;

function terms() {
  serial += 1;
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(serial, 12);
  return { serial: bytes, notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS + 9 * DAY_MS };
}

function authority(commonName: string, issuer?: Issued, more: Partial<AuthorityTerms> = {}) {
  const above = issuer === undefined ? {} : { issuer: authorityOf(issuer) };
  return createAuthority({ ...terms(), commonName, pathLength: 5, ...above, ...more });
}

function client(issuer: Issued): Issued {
  const authority = authorityOf(issuer);
  return issueCertificate({ ...terms(), usage: 'client', commonName: 'alice', authority });
}

/** `dueInMs`: from now until the next one comes. */
function list(issuer: Issued, revoked: Issued[], { ageMs = 0, dueInMs = DAY_MS } = {}): Crl {
  const atMs = NOW_MS - ageMs;
  const pem = createRevocationList({
    authority: authorityOf(issuer),
    number: 1,
    thisUpdateMs: atMs,
    nextUpdateMs: NOW_MS + dueInMs,
    revoked: revoked.map(({ certificate }) => ({ serial: certificate.serial, atMs })),
  });
  const [parsed] = crlsFromPem(pem);
  if (parsed?.kind !== 'crl') throw new Error('no list');
  return parsed.crl;
}

type Trusting = { intermediates?: Issued[]; crls: Crl[]; nowMs?: number };

/** In words: with lists when there are some, and with lists that are required. */
function verdicts(chain: Issued[], anchors: Issued[], trusting: Trusting): [string, string] {
  const judge = (revocation: ClientTrust['revocation']) => {
    const { intermediates = [], crls, nowMs = NOW_MS } = trusting;
    const trust: ClientTrust = {
      anchors: anchors.map(({ certificate }) => certificate),
      intermediates: intermediates.map(({ certificate }) => certificate),
      crls,
      revocation,
    };
    const ders = chain.map(({ certificate }) => certificate.der);
    const outcome = validatePath(ders, trust, { nowMs, usage: 'client' });
    return outcome.kind === 'valid' ? 'valid' : `${outcome.problem}: ${outcome.detail}`;
  };
  return [judge('when-present'), judge('required')];
}

const REVOKED = expect.stringContaining('revoked: CN=alice was revoked on 2026-0');
const unknown = (why: string) => expect.stringMatching(new RegExp(`^revocation-unknown: .*${why}`));
const NOT_AT_HAND = unknown('we do not have the certificate of the key that signed it');

describe('an intermediate authority that has changed its key', () => {
  const root = authority('Root');
  const old = authority('Issuing', root);
  const renewed = authority('Issuing', root);
  const [alice, bob] = [client(old), client(old)];
  const ofRoot = list(root, [], { dueInMs: 5 * DAY_MS });

  test('signs one list for the certificates of both keys', () => {
    const trusting = { intermediates: [renewed], crls: [ofRoot, list(renewed, [alice])] };
    expect(verdicts([alice, old], [root], trusting)).toEqual([REVOKED, REVOKED]);
    expect(verdicts([bob, old], [root], trusting)).toEqual(['valid', 'valid']);
  });

  test('is believed when the client sends only the old certificate, or ours are both at hand', () => {
    const trusting = { intermediates: [old, renewed], crls: [ofRoot, list(renewed, [alice])] };
    expect(verdicts([alice], [root], trusting)).toEqual([REVOKED, REVOKED]);
    expect(verdicts([bob], [root], trusting)).toEqual(['valid', 'valid']);
  });

  test('but a list of a key that we have no certificate of lets nobody in', () => {
    const crls = [ofRoot, list(renewed, [])];
    expect(verdicts([bob, old], [root], { crls })).toEqual([NOT_AT_HAND, NOT_AT_HAND]);
    // Not even when the client sends it: the next one would not, and be judged otherwise.
    expect(verdicts([bob, old, renewed], [root], { crls })).toEqual([NOT_AT_HAND, NOT_AT_HAND]);
  });

  test('may keep a list for each key: what one says, the other does not take back', () => {
    const crls = [ofRoot, list(old, [alice], { ageMs: DAY_MS }), list(renewed, [])];
    const trusting = { intermediates: [renewed], crls };
    expect(verdicts([alice, old], [root], trusting)).toEqual([REVOKED, REVOKED]);
    expect(verdicts([bob, old], [root], trusting)).toEqual(['valid', 'valid']);
  });

  test('with a list of each key: that of the issuer is enough while it is fresh', () => {
    const crls = [ofRoot, list(old, [], { ageMs: DAY_MS }), list(renewed, [])];
    expect(verdicts([bob, old], [root], { crls })).toEqual(['valid', 'valid']);
    const nowMs = NOW_MS + 2 * DAY_MS; // the old key signs no more
    expect(verdicts([bob, old], [root], { crls, nowMs })).toEqual([NOT_AT_HAND, NOT_AT_HAND]);
  });

  test('a newer list that we cannot prove counts when it names this very certificate', () => {
    const crls = [ofRoot, list(old, [], { ageMs: DAY_MS }), list(renewed, [alice])];
    expect(verdicts([alice, old], [root], { crls })).toEqual([NOT_AT_HAND, NOT_AT_HAND]);
    expect(verdicts([bob, old], [root], { crls })).toEqual(['valid', 'valid']);
    const older = [ofRoot, list(old, []), list(renewed, [alice], { ageMs: DAY_MS })];
    expect(verdicts([alice, old], [root], { crls: older })).toEqual(['valid', 'valid']);
  });

  test('is not believed to say who is good once its new certificate is expired or revoked', () => {
    const short = authority('Issuing', root, { notAfterMs: NOW_MS - 1000 });
    const namesake = unknown('has no revocation list, only a namesake of it has');
    const ofShort = { intermediates: [short], crls: [ofRoot, list(short, [alice])] };
    expect(verdicts([bob, old], [root], ofShort)).toEqual(['valid', namesake]);
    expect(verdicts([alice, old], [root], ofShort)).toEqual([REVOKED, REVOKED]);
    const crls = [list(root, [renewed]), list(renewed, [alice])];
    const ofRevoked = { intermediates: [renewed], crls };
    expect(verdicts([bob, old], [root], ofRevoked)).toEqual(['valid', namesake]);
  });

  test('whoever has its name, and no authority that we trust above it, signs nothing', () => {
    const stranger = authority('Issuing', authority('Stranger'));
    const mayNot = authority('Issuing', root);
    const trusting = { intermediates: [stranger], crls: [ofRoot, list(stranger, [])] };
    expect(verdicts([bob, old], [root], trusting)).toEqual([NOT_AT_HAND, NOT_AT_HAND]);
    const withoutUse = {
      ...mayNot,
      certificate: { ...mayNot.certificate, keyUsage: new Set(['keyCertSign'] as const) },
    };
    const forbidden = unknown('its authority may not sign revocation lists');
    const ofIt = { intermediates: [withoutUse], crls: [ofRoot, list(mayNot, [])] };
    expect(verdicts([bob, old], [root], ofIt)).toEqual([forbidden, forbidden]);
  });
});

describe('a root that has changed its key', () => {
  const old = authority('Cafe CA');
  const renewed = authority('Cafe CA');
  const cross = authority('Cafe CA', old, { privateKey: authorityOf(renewed).privateKey });
  const [alice, bob] = [client(old), client(old)];
  const crls = [list(renewed, [alice])];

  test('revokes with its new key what the old one has issued', () => {
    const [whenPresent, required] = verdicts([alice], [old, renewed], { crls });
    expect([whenPresent, required]).toEqual([REVOKED, REVOKED]);
  });

  test('says who is good when the old key vouches for the new one', () => {
    const trusting = { intermediates: [cross], crls };
    expect(verdicts([bob], [old, renewed], trusting)).toEqual(['valid', 'valid']);
    expect(verdicts([bob], [old], trusting)).toEqual(['valid', 'valid']);
    expect(verdicts([alice], [old], trusting)).toEqual([REVOKED, REVOKED]);
    // RFC 5280 §6.3.3 (f): the same trust anchor. These two might be two authorities.
    const namesake = unknown('CN=Cafe CA has no revocation list, only a namesake of it has');
    expect(verdicts([bob], [old, renewed], { crls })).toEqual(['valid', namesake]);
  });

  test('is found through the new key when this vouches for the old one', () => {
    const oldByNew = authority('Cafe CA', renewed, { privateKey: authorityOf(old).privateKey });
    const trusting = { intermediates: [oldByNew], crls };
    expect(verdicts([alice], [renewed], trusting)).toEqual([REVOKED, REVOKED]);
    expect(verdicts([bob], [renewed], trusting)).toEqual(['valid', 'valid']);
  });

  test('a resumption says the same of who is revoked', () => {
    const trust = (lists: Crl[]): ClientTrust => ({
      anchors: [old.certificate, renewed.certificate],
      intermediates: [],
      crls: lists,
      revocation: 'when-present',
    });
    const options = { nowMs: NOW_MS, usage: 'client' } as const;
    const outcome = validatePath([alice.certificate.der], trust([]), options);
    if (outcome.kind === 'invalid') throw new Error(outcome.detail);
    const references = pathReferencesOf(outcome.path);
    expect(recheckReferences(references, trust([]), NOW_MS)).toBeUndefined();
    expect(recheckReferences(references, trust(crls), NOW_MS)).toBe('revoked');
  });
});
