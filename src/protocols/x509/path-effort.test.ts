// What a validation costs, counted in signatures. A stranger's chain must not keep us busy, and somebody
// who logs in every day only the time for the leaf.

import type * as Crypto from 'node:crypto';
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { authorityOf, createAuthority, createRevocationList, issueCertificate } from './create.ts';
import type { AuthorityTerms, Issued } from './create.ts';
import { writeBitString, writeObjectIdentifier, writeSequence } from './der-writer.ts';
import { Oid } from './object-identifiers.ts';
import { validatePath } from './path-validation.ts';
import type { ClientTrust } from './path-validation.ts';
import { crlsFromPem } from './revocation.ts';

vi.mock('node:crypto', async (importOriginal) => {
  const original = await importOriginal<typeof Crypto>();
  return { ...original, verify: vi.fn<typeof verify>(original.verify) };
});

const NOW_MS = Date.parse('2026-06-01T12:00:00Z');
const DAY_MS = 86_400_000;
let serial = 0;

function terms() {
  serial += 1;
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32BE(serial, 12);
  return { serial: bytes, notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + DAY_MS };
}

function authority(commonName: string, issuer?: Issued, more: Partial<AuthorityTerms> = {}) {
  const above = issuer === undefined ? {} : { issuer: authorityOf(issuer) };
  return createAuthority({ ...terms(), commonName, pathLength: 5, ...above, ...more });
}

function client(issuer: Issued): Issued {
  const authority = authorityOf(issuer);
  return issueCertificate({ ...terms(), usage: 'client', commonName: 'alice', authority });
}

function trusting(anchors: Issued[], more: Partial<ClientTrust> = {}): ClientTrust {
  const certificates = anchors.map(({ certificate }) => certificate);
  return { anchors: certificates, intermediates: [], crls: [], revocation: 'none', ...more };
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

/** As if `to` had issued it: with its key identifier, and a signature that is another's. */
function pretend({ certificate }: Issued, from: Issued, to: Issued): Buffer {
  const der = Buffer.from(certificate.der);
  const old = from.certificate.publicKeyId;
  for (let at = der.indexOf(old); at !== -1; at = der.indexOf(old, at + 1)) {
    to.certificate.publicKeyId.copy(der, at);
  }
  return der;
}

const KEY_IDENTIFIERS = [Oid.subjectKeyIdentifier, Oid.authorityKeyIdentifier];

/** Signed again by `issuer`, without key identifiers: whoever has the name may have done it. */
function nameless({ certificate }: Issued, issuer: Issued): Buffer {
  const tbs = Buffer.from(certificate.tbs);
  for (const [position, identifier] of KEY_IDENTIFIERS.entries()) {
    const written = writeObjectIdentifier(identifier);
    tbs[tbs.indexOf(written) + written.length - 1] = 0x7e + position; // means nothing to us
  }
  const signature = sign('sha256', tbs, authorityOf(issuer).privateKey);
  const algorithm = writeSequence(writeObjectIdentifier(Oid.ecdsaWithSha256));
  return writeSequence(tbs, algorithm, writeBitString(signature));
}

function effort(chain: readonly Buffer[], trust: ClientTrust) {
  vi.mocked(verify).mockClear();
  const outcome = validatePath(chain, trust, { nowMs: NOW_MS, usage: 'client' });
  const results = vi.mocked(verify).mock.results.map(({ value }) => value === true);
  const problem = outcome.kind === 'valid' ? 'valid' : outcome.problem;
  return { problem, checked: results.length, wrong: results.filter((good) => !good).length };
}

describe('somebody who logs in again', () => {
  const root = authority('Root');
  const middle = authority('Middle', root);
  const low = authority('Low', middle);
  const chainOf = (leaf: Issued) => [leaf, low, middle, root].map((one) => one.certificate.der);

  test('costs one signature with another certificate of the same authority, and none with the same', () => {
    const trust = trusting([root]);
    const [one, other] = [chainOf(client(low)), chainOf(client(low))];
    expect(effort(one, trust)).toMatchObject({ problem: 'valid', checked: 3 });
    expect(effort(other, trust)).toMatchObject({ problem: 'valid', checked: 1 });
    expect(effort(one, trust)).toMatchObject({ problem: 'valid', checked: 0 });
  });

  test('is looked at all the same: what was proven may have expired or been revoked', () => {
    const leaf = client(low);
    const trust = trusting([root]);
    expect(effort(chainOf(leaf), trust).problem).toBe('valid');
    const later = validatePath(chainOf(leaf), trust, {
      nowMs: NOW_MS + 400 * DAY_MS,
      usage: 'client',
    });
    expect(later).toMatchObject({ kind: 'invalid', problem: 'expired' });
    expect(validatePath(chainOf(leaf), trust, { nowMs: NOW_MS, usage: 'server' }).kind).toBe(
      'invalid',
    );
  });

  test('with one byte changed is somebody else, whose signature is wrong', () => {
    const trust = trusting([root]);
    const [leaf, ...above] = chainOf(client(low));
    effort([leaf ?? Buffer.alloc(0), ...above], trust);
    const changed = Buffer.from(leaf ?? Buffer.alloc(0));
    changed.writeUInt8(changed.readUInt8(changed.length - 3) ^ 1, changed.length - 3);
    expect(effort([changed, ...above], trust)).toMatchObject({ wrong: 1 });
  });

  test('costs no more with revocation lists, whose signatures are remembered too', () => {
    const crls = [root, middle, low].flatMap((issuer) => {
      const pem = createRevocationList({
        authority: authorityOf(issuer),
        number: 1,
        thisUpdateMs: NOW_MS,
        nextUpdateMs: NOW_MS + DAY_MS,
        revoked: [],
      });
      return crlsFromPem(pem).flatMap((parsed) => (parsed.kind === 'crl' ? [parsed.crl] : []));
    });
    const trust = trusting([root], { crls, revocation: 'required' });
    expect(effort(chainOf(client(low)), trust)).toMatchObject({ problem: 'valid', checked: 6 });
    expect(effort(chainOf(client(low)), trust)).toMatchObject({ problem: 'valid', checked: 1 });
  });

  test('with a key of the same authority under two certificates costs one all the same', () => {
    const { privateKey } = authorityOf(root);
    const renewed = [1, 2, 3, 4].map(() => authority('Root', undefined, { privateKey }));
    const trust = trusting([root, ...renewed]);
    const server = issueCertificate({
      ...terms(),
      usage: 'server',
      commonName: 'radius',
      authority: authorityOf(root),
    });
    expect(effort([server.certificate.der], trust)).toEqual({
      problem: 'wrong-usage',
      checked: 1,
      wrong: 0,
    });
  });
});

describe('a stranger', () => {
  const root = authority('Trusted');
  const fake = authority('Trusted');
  const trust = trusting([root]);

  test('without an authority that we know costs nothing', () => {
    const chain = [client(fake), fake].map(({ certificate }) => certificate.der);
    expect(effort(chain, trust)).toEqual({ problem: 'unknown-ca', checked: 0, wrong: 0 });
  });

  test('with a leaf that nobody has signed costs one signature', () => {
    const leaf = pretend(client(fake), fake, root);
    expect(effort([leaf], trust)).toEqual({ problem: 'bad-signature', checked: 1, wrong: 1 });
  });

  test('with 15 authorities that nobody has signed costs three', () => {
    const privateKey = newKey();
    const middles = Array.from({ length: 15 }, () =>
      authority('Middle', fake, { privateKey, pathLength: 0 }),
    );
    const [one = fake] = middles;
    const chain = [client(one).certificate.der, ...middles.map((m) => pretend(m, fake, root))];
    const expected = { problem: 'bad-signature', checked: 3, wrong: 3 };
    expect(effort(chain, trust)).toEqual(expected);
    expect(effort(chain, trust)).toEqual(expected);
  });

  test('costs no more where a leaf does not say which key has signed it', () => {
    const genuine = Array.from({ length: 14 }, () => authority('Genuine', root));
    const leaf = nameless(client(fake), fake);
    const ofGenuine = issueCertificate({
      ...terms(),
      usage: 'client',
      commonName: 'alice',
      authority: { certificate: (genuine[0] ?? root).certificate, privateKey: newKey() },
    });
    const chain = genuine.map(({ certificate }) => certificate.der);
    expect(effort([leaf, ...chain], trust)).toMatchObject({ checked: 1, wrong: 1 });
    const unsigned = nameless(ofGenuine, fake);
    expect(effort([unsigned, ...chain], trust)).toMatchObject({ checked: 6, wrong: 3 });
    expect(effort([unsigned, ...chain], trust)).toMatchObject({ checked: 3, wrong: 3 });
  });

  test('with every genuine authority there is costs at most 22', () => {
    const privateKey = newKey();
    const many = Array.from({ length: 15 }, () => authority('Many', root, { privateKey }));
    const [one = root] = many;
    const leaf = issueCertificate({
      ...terms(),
      usage: 'server',
      commonName: 'radius',
      authority: authorityOf(one),
    });
    const chain = [leaf, ...many].map(({ certificate }) => certificate.der);
    const first = effort(chain, trust);
    expect(first).toMatchObject({ problem: 'wrong-usage', wrong: 0 });
    expect(first.checked).toBeLessThanOrEqual(22);
    expect(effort(chain, trust).checked).toBeLessThan(first.checked);
  });
});

test('an authority among many of its name is found, though its certificates do not say which', () => {
  const namesakes = Array.from({ length: 6 }, () => authority('Bootstrap'));
  const trust = trusting(namesakes);
  const efforts = namesakes.map((issuer) => effort([nameless(client(issuer), issuer)], trust));
  expect(efforts.map(({ problem }) => problem)).toEqual(namesakes.map(() => 'valid'));
  expect(efforts.map(({ wrong }) => wrong)).toEqual([0, 1, 2, 3, 4, 5]);
  const stranger = nameless(client(authority('Bootstrap')), authority('Other'));
  expect(effort([stranger], trust)).toEqual({ problem: 'bad-signature', checked: 6, wrong: 6 });
});
