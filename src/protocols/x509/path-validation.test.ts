// RFC 5280 §6.1, on certificates of our own. What our own authority cannot make, such as short keys and
// strange extensions, comes from the openssl command: tests/conformance/x509-openssl.test.ts.

import { describe, expect, test } from 'vitest';
import type { Certificate } from './certificate.ts';
import { authorityOf, createAuthority, createRevocationList, issueCertificate } from './create.ts';
import type { AuthorityTerms, CertificateTerms, Issued } from './create.ts';
import { pathReferencesOf, recheckReferences } from './path-references.ts';
import { alertOf, validatePath } from './path-validation.ts';
import type { ClientTrust } from './path-validation.ts';
import { parseCrl } from './revocation.ts';
import type { Crl } from './revocation.ts';

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const DAY_MS = 86_400_000;
let serial = 0;

function terms() {
  serial += 1;
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(serial, 12);
  return { serial: bytes, notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 30 * DAY_MS };
}

function authority(
  commonName: string,
  issuer?: Issued,
  more: Partial<AuthorityTerms> = {},
): Issued {
  return createAuthority({
    ...terms(),
    commonName,
    pathLength: 5,
    ...(issuer === undefined ? {} : { issuer: authorityOf(issuer) }),
    ...more,
  });
}

function client(issuer: Issued, more: Partial<CertificateTerms> = {}): Issued {
  return issueCertificate({
    ...terms(),
    authority: authorityOf(issuer),
    usage: 'client',
    commonName: 'alice',
    ...more,
  });
}

function trusting(anchors: Issued[], more: Partial<ClientTrust> = {}): ClientTrust {
  return {
    anchors: anchors.map(({ certificate }) => certificate),
    intermediates: [],
    crls: [],
    revocation: 'none',
    ...more,
  };
}

function crl(
  issuer: Issued,
  revoked: Issued[],
  more: { ageMs?: number; signedBy?: Issued } = {},
): Crl {
  const thisUpdateMs = NOW_MS - (more.ageMs ?? 0);
  const signer = more.signedBy ?? issuer;
  const parsed = parseCrl(
    Buffer.from(
      createRevocationList({
        authority: { ...authorityOf(signer), certificate: issuer.certificate },
        number: 1,
        thisUpdateMs,
        nextUpdateMs: thisUpdateMs + DAY_MS,
        revoked: revoked.map(({ certificate }) => ({
          serial: certificate.serial,
          atMs: thisUpdateMs,
        })),
      }),
    ),
  );
  if (parsed.kind === 'refused') throw new Error(parsed.detail);
  return parsed.crl;
}

function verdict(
  chain: Issued[],
  trust: ClientTrust,
  usage: 'client' | 'server' = 'client',
  nowMs = NOW_MS,
) {
  const ders = chain.map(({ certificate }) => certificate.der);
  const outcome = validatePath(ders, trust, { nowMs, usage });
  return outcome.kind === 'valid' ? outcome.path.map(nameOf) : outcome.problem;
}

function nameOf({ subject }: Certificate): string {
  return subject.attributes.map(({ value }) => value).join();
}

const root = authority('Root');
const middle = authority('Middle', root);
const low = authority('Low', middle);
const alice = client(low);

describe('a path is found', () => {
  const trust = trusting([root]);

  test('from a chain in order', () => {
    expect(verdict([alice, low, middle], trust)).toEqual(['alice', 'Low', 'Middle', 'Root']);
  });

  test('from a chain in any order, with the root and certificates that do not matter', () => {
    const others = [authority('Other'), client(root, { commonName: 'bob' })];
    expect(verdict([alice, root, ...others, middle, low], trust)).toHaveLength(4);
  });

  test('through intermediates that we have and the client does not send', () => {
    const intermediates = [middle.certificate, low.certificate];
    expect(verdict([alice], trusting([root], { intermediates }))).toHaveLength(4);
    expect(verdict([alice], trust)).toBe('unknown-ca');
  });

  test('to an anchor that somebody else has issued', () => {
    expect(verdict([alice, low], trusting([middle]))).toEqual(['alice', 'Low', 'Middle']);
  });

  test('through a cross certificate, when one way is a dead end and the other is not', () => {
    const other = authority('Other Root');
    const { privateKey } = authorityOf(middle);
    const cross = authority('Middle', other, { privateKey });
    expect(verdict([alice, low, middle, cross], trusting([other]))).toEqual([
      'alice',
      'Low',
      'Middle',
      'Other Root',
    ]);
    const expired = authority('Middle', root, { privateKey, notAfterMs: NOW_MS - 1000 });
    expect(verdict([alice, low, expired, cross], trusting([root, other]))).toHaveLength(4);
    expect(verdict([alice, low, cross, expired], trusting([root, other]))).toHaveLength(4);
  });

  test('in no circle, and not for ever', () => {
    const crossed = authority('A', undefined);
    const back = authority('B', crossed);
    const forth = authority('A', back, { privateKey: authorityOf(crossed).privateKey });
    expect(verdict([client(back), back, forth], trust)).toBe('unknown-ca');
    const sameName = Array.from({ length: 14 }, () => authority('Same', undefined));
    const [one = root] = sameName;
    expect(verdict([client(one), ...sameName], trust)).toBe('unknown-ca');
  });

  test('of at most 8 certificates', () => {
    const chain: Issued[] = [];
    let issuer = authority('Deep 0', undefined, { pathLength: 20 });
    const deepRoot = issuer;
    for (let depth = 1; depth <= 7; depth += 1) {
      issuer = authority(`Deep ${depth}`, issuer, { pathLength: 20 });
      chain.unshift(issuer);
    }
    const six = chain.slice(1);
    const [lastOfSix = root] = six;
    expect(verdict([client(lastOfSix), ...six], trusting([deepRoot]))).toHaveLength(8);
    expect(verdict([client(issuer), ...chain], trusting([deepRoot]))).toBe('unknown-ca');
  });
});

describe('a path is refused', () => {
  test('when an authority of the same name has another key', () => {
    const false_ = authority('Root');
    expect(verdict([client(false_)], trusting([root]))).toBe('unknown-ca');
    expect(verdict([client(false_), false_], trusting([root]))).toBe('unknown-ca');
  });

  test('when a signature is wrong, of the leaf or of an authority', () => {
    const trust = trusting([root]);
    const chain = [alice, low, middle].map(({ certificate }) => certificate.der);
    for (const [position, der] of chain.entries()) {
      const damaged = Buffer.from(der);
      damaged[damaged.length - 5] = (damaged.at(-5) ?? 0) ^ 1;
      const outcome = validatePath(chain.with(position, damaged), trust, {
        nowMs: NOW_MS,
        usage: 'client',
      });
      expect(outcome).toMatchObject({ kind: 'invalid', problem: 'bad-signature' });
    }
  });

  test('when a certificate of it is out of its time', () => {
    const trust = trusting([root]);
    const old = authority('Old', root, { notAfterMs: NOW_MS - 1000 });
    const young = authority('Young', root, { notBeforeMs: NOW_MS + 1000 });
    expect(verdict([client(root, { notAfterMs: NOW_MS - 1000 })], trust)).toBe('expired');
    expect(verdict([client(root, { notBeforeMs: NOW_MS + 1000 })], trust)).toBe('not-yet-valid');
    expect(verdict([client(old), old], trust)).toBe('expired');
    expect(verdict([client(young), young], trust)).toBe('not-yet-valid');
    expect(verdict([client(root)], trust, 'client', NOW_MS + 31 * DAY_MS)).toBe('expired');
  });

  test('when somebody issued who is no authority', () => {
    const bob = client(root, { commonName: 'bob' });
    expect(verdict([client(bob), bob], trusting([root]))).toBe('not-an-authority');
  });

  test('when it is longer than an authority allows; what it issues to itself does not count', () => {
    const strict = authority('Strict', root, { pathLength: 0 });
    const below = authority('Below', strict);
    const selfIssued = authority('Strict', strict, { pathLength: 0 });
    const trust = trusting([root]);
    expect(verdict([client(strict), strict], trust)).toHaveLength(3);
    expect(verdict([client(below), below, strict], trust)).toBe('not-an-authority');
    expect(verdict([client(selfIssued), selfIssued, strict], trust)).toHaveLength(4);
  });

  test('when the leaf is for something else', () => {
    const trust = trusting([root]);
    const server = client(root, { usage: 'server', commonName: 'radius.example' });
    expect(verdict([server], trust, 'server')).toHaveLength(2);
    expect(verdict([server], trust)).toBe('wrong-usage');
    expect(verdict([client(root)], trust, 'server')).toBe('wrong-usage');
    expect(verdict([middle], trust)).toBe('wrong-usage');
  });

  test('when the leaf is its own authority, trusted or not', () => {
    expect(verdict([root], trusting([root]))).toBe('unknown-ca');
    expect(verdict([authority('Self')], trusting([root]))).toBe('unknown-ca');
  });

  test('when there is nothing, nothing that can be read, or too much', () => {
    const trust = trusting([root]);
    const of = (chain: Buffer[]) => validatePath(chain, trust, { nowMs: NOW_MS, usage: 'client' });
    expect(of([])).toMatchObject({ problem: 'malformed' });
    expect(of([Buffer.of(1, 2, 3)])).toMatchObject({ problem: 'malformed' });
    expect(of(Array.from({ length: 17 }, () => client(root).certificate.der))).toMatchObject({
      problem: 'malformed',
    });
    const withRubbish = [client(root).certificate.der, Buffer.of(1, 2, 3)];
    expect(of(withRubbish)).toMatchObject({ kind: 'valid' });
  });

  test('when its authority may not give the name', () => {
    const permitted = { emails: ['example.org'], dnsNames: ['example.org'] };
    const limited = authority('Limited', root, { permitted });
    const trust = trusting([root]);
    const withNames = (names: Partial<CertificateTerms>) =>
      verdict([client(limited, names), limited], trust);
    expect(withNames({ emails: ['a@example.org'] })).toHaveLength(3);
    expect(withNames({ emails: ['a@EXAMPLE.org'], dnsNames: ['x.example.org'] })).toHaveLength(3);
    expect(withNames({ emails: ['a@sub.example.org'] })).toBe('forbidden-name');
    expect(withNames({ emails: ['a@example.org', 'a@example.com'] })).toBe('forbidden-name');
    expect(withNames({ dnsNames: ['badexample.org'] })).toBe('forbidden-name');
    expect(withNames({ ipAddresses: [Buffer.of(1, 2, 3, 4)] })).toHaveLength(3);
  });
});

describe('revocation', () => {
  const chain = [alice, low, middle];
  const lists = [crl(root, []), crl(middle, []), crl(low, [])];
  const checking = (revocation: ClientTrust['revocation'], crls: Crl[]) =>
    trusting([root], { revocation, crls });

  test('without any list it is not required, unless it is', () => {
    expect(verdict(chain, checking('when-present', []))).toHaveLength(4);
    expect(verdict(chain, checking('required', []))).toBe('revocation-unknown');
    expect(verdict(chain, checking('required', lists))).toHaveLength(4);
    expect(verdict(chain, checking('required', lists.slice(1)))).toBe('revocation-unknown');
  });

  test.each(['when-present', 'required'] as const)(
    '%s: a revoked leaf or authority is refused',
    (mode) => {
      expect(verdict(chain, checking(mode, lists.with(2, crl(low, [alice]))))).toBe('revoked');
      expect(verdict(chain, checking(mode, lists.with(1, crl(middle, [low]))))).toBe('revoked');
      expect(verdict(chain, checking('none', [crl(low, [alice])]))).toHaveLength(4);
    },
  );

  test('an old list still revokes, and is not enough where one is required', () => {
    const old = (revoked: Issued[]) => lists.with(2, crl(low, revoked, { ageMs: 2 * DAY_MS }));
    expect(verdict(chain, checking('when-present', old([alice])))).toBe('revoked');
    expect(verdict(chain, checking('when-present', old([])))).toHaveLength(4);
    expect(verdict(chain, checking('required', old([alice])))).toBe('revoked');
    expect(verdict(chain, checking('required', old([])))).toBe('revocation-unknown');
  });

  test('the newest list decides: what was on hold may be free again', () => {
    const earlier = crl(low, [alice], { ageMs: 1000 });
    const crls = [earlier, ...lists];
    expect(verdict(chain, checking('required', crls))).toHaveLength(4);
  });

  test.each(['when-present', 'required'] as const)(
    '%s: a list that somebody else has signed lets nobody in',
    (mode) => {
      const forged = crl(low, [], { signedBy: authority('Low') });
      expect(verdict(chain, checking(mode, lists.with(2, forged)))).toBe('revocation-unknown');
      expect(verdict(chain, checking(mode, [...lists, forged]))).toHaveLength(4);
    },
  );
});

describe('what is said about a refusal', () => {
  const LOG_LINE = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,200}$/u;
  const hostile = `\n\u001b[31mlevel=info \u202e${'🙂'.repeat(7000)}`;

  function detail(chain: Issued[], trust: ClientTrust, nowMs = NOW_MS): string {
    const ders = chain.map(({ certificate }) => certificate.der);
    const outcome = validatePath(ders, trust, { nowMs, usage: 'client' });
    return outcome.kind === 'valid' ? '' : outcome.detail;
  }

  test('is one short line, whatever names a stranger has chosen', () => {
    const stranger = authority(hostile);
    const leaf = client(stranger, { commonName: hostile });
    const trust = trusting([root]);
    const details = [
      detail([leaf, stranger], trust),
      detail([leaf, stranger], trust, NOW_MS + 40 * DAY_MS),
      detail([client(root, { commonName: hostile, usage: 'server' })], trust),
      detail([client(root, { commonName: hostile, notAfterMs: NOW_MS - 1 })], trust),
    ];
    for (const line of details) expect(line).toMatch(LOG_LINE);
    expect(details[1]).toMatch(/which leads to no trusted authority, and expired on 2026-07-01$/);
  });

  test('is short as well where an authority has such names, or may not give them', () => {
    const own = authority(hostile, root, { permitted: { dnsNames: ['a.b'], emails: ['a.b'] } });
    const trust = trusting([root]);
    const long = `x.${'y'.repeat(5000)}`;
    const details = [
      detail([client(own, { dnsNames: [long] }), own], trust),
      detail([client(own, { emails: [`a@${long}`] }), own], trust),
      detail([client(own), own], { ...trust, revocation: 'required' }),
      detail([client(own), own], { ...trust, crls: [crl(own, [own])], revocation: 'required' }),
    ];
    for (const line of details) expect(line).toMatch(LOG_LINE);
    expect(details[0]).toContain('may not give out the DNS name x.yyy');
  });

  test('keeps honest names as they are', () => {
    const zoe = client(authority('Café 東京'), { commonName: 'Zoë' });
    expect(detail([zoe], trusting([root]))).toBe(
      'CN=Zoë is issued by CN=Café 東京, which leads to no trusted authority',
    );
  });
});

describe('a ticket', () => {
  const trust = trusting([root], { revocation: 'when-present' });
  const outcome = validatePath(
    [alice, low, middle].map(({ certificate }) => certificate.der),
    trust,
    {
      nowMs: NOW_MS,
      usage: 'client',
    },
  );
  if (outcome.kind === 'invalid') throw new Error(outcome.detail);
  const references = pathReferencesOf(outcome.path);

  test('survives JSON and counts while its path does', () => {
    expect(JSON.parse(JSON.stringify(references))).toEqual(references);
    expect(recheckReferences(references, trust, NOW_MS)).toBeUndefined();
  });

  test('is refused after expiry, revocation, and a change of trust', () => {
    const revoking = (revocation: ClientTrust['revocation'], crls: Crl[]) =>
      recheckReferences(references, trusting([root], { revocation, crls }), NOW_MS);
    expect(recheckReferences(references, trust, NOW_MS + 31 * DAY_MS)).toBe('expired');
    expect(recheckReferences(references, trusting([middle]), NOW_MS)).toBe('unknown-ca');
    expect(recheckReferences([], trust, NOW_MS)).toBe('unknown-ca');
    expect(revoking('when-present', [crl(low, [alice])])).toBe('revoked');
    expect(revoking('when-present', [crl(root, [middle])])).toBe('revoked');
    expect(revoking('none', [crl(low, [alice])])).toBeUndefined();
    expect(revoking('required', [])).toBe('revocation-unknown');
    expect(revoking('required', [crl(low, []), crl(middle, []), crl(root, [])])).toBeUndefined();
  });
});

test('each problem has the alert that RFC 8446 §6.2 has for it', () => {
  expect(alertOf('unknown-ca')).toBe('unknown_ca');
  expect(alertOf('not-yet-valid')).toBe('certificate_expired');
  expect(alertOf('revoked')).toBe('certificate_revoked');
  expect(alertOf('weak')).toBe('bad_certificate');
  expect(alertOf('wrong-usage')).toBe('unsupported_certificate');
});
