// RFC 5280 as others read it: the openssl command judges what we make, and we judge what it makes,
// above all what our own authority would never make.

import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificatesFromPem, parseCertificate } from '../../src/protocols/x509/certificate.ts';
import type { Certificate } from '../../src/protocols/x509/certificate.ts';
import {
  authorityOf,
  createAuthority,
  createRevocationList,
  issueCertificate,
} from '../../src/protocols/x509/create.ts';
import { pathReferencesOf } from '../../src/protocols/x509/path-references.ts';
import { validatePath } from '../../src/protocols/x509/path-validation.ts';
import type { ClientTrust } from '../../src/protocols/x509/path-validation.ts';
import { crlProblem, parseCrl } from '../../src/protocols/x509/revocation.ts';
import { ensureDebianPackage } from '../servers/ensure-package.ts';

const DAY_MS = 86_400_000;
/** A little later than what is made here begins. */
const nowMs = Date.now() + 600_000;
let directory = '';

beforeAll(() => {
  ensureDebianPackage(['openssl'], ['openssl']);
  directory = mkdtempSync(join(tmpdir(), 'evergate-x509-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' });
}

/** What openssl says, whether it likes it or not. */
function opensslSays(...args: string[]): string {
  const { stdout, stderr } = spawnSync('openssl', args, { cwd: directory, encoding: 'utf8' });
  return stdout + stderr;
}

function file(name: string, content: string): string {
  writeFileSync(join(directory, name), content);
  return name;
}

function read(name: string): Certificate {
  const [certificate] = certificatesFromPem(readFileSync(join(directory, name), 'utf8')) ?? [];
  if (certificate === undefined) throw new Error(`${name} cannot be read`);
  return certificate;
}

const KEYS = {
  p256: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  p384: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  p521: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  secp256k1: ['EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
  explicit: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
  rsa1024: ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  rsa2048: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'rsa-pss': ['RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ed25519: ['ED25519'],
  ed448: ['ED448'],
} as const;

type Wanted = {
  subject?: string;
  issuer?: string;
  key?: keyof typeof KEYS;
  /** Lines of an openssl extension section. */
  extensions?: string[];
  /** How the issuer signs. */
  signing?: string[];
  days?: number;
};

const AUTHORITY = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const CLIENT = ['keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth'];

/** Makes `<name>.pem` and `<name>.key` with the openssl command. Without an issuer it signs itself. */
function make(name: string, wanted: Wanted = {}): Certificate {
  const { subject = `/O=Test/CN=${name}`, issuer, key = 'p256', signing = [], days = 30 } = wanted;
  const extensions = wanted.extensions ?? (issuer === undefined ? AUTHORITY : CLIENT);
  openssl('genpkey', '-algorithm', ...KEYS[key], '-out', `${name}.key`);
  openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
  const signer =
    issuer === undefined
      ? ['-signkey', `${name}.key`]
      : ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`, '-CAcreateserial'];
  const section = file(`${name}.ext`, extensions.join('\n'));
  const adding = extensions.length === 0 ? [] : ['-extfile', section];
  const from = ['-in', `${name}.csr`, '-days', String(days), '-out', `${name}.pem`];
  openssl('x509', '-req', ...from, ...signer, ...adding, ...signing);
  return read(`${name}.pem`);
}

function verdict(
  chain: Certificate[],
  anchors: Certificate[],
  more: Partial<ClientTrust> & { usage?: 'client' | 'server' } = {},
): string {
  const { usage = 'client', ...trust } = more;
  const outcome = validatePath(
    chain.map(({ der }) => der),
    { anchors, intermediates: [], crls: [], revocation: 'none', ...trust },
    { nowMs, usage },
  );
  return outcome.kind === 'valid' ? 'valid' : outcome.problem;
}

describe('openssl accepts what we make', () => {
  const terms = () => ({
    serial: randomBytes(16),
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + DAY_MS,
  });

  test.each(['ecdsa', 'rsa'] as const)('%s', (keyKind) => {
    const root = createAuthority({
      ...terms(),
      keyKind,
      commonName: 'Our Root',
      pathLength: 1,
      permitted: { dnsNames: ['example.org'], emails: ['example.org'] },
    });
    const middle = createAuthority({
      ...terms(),
      keyKind,
      commonName: 'Our Middle',
      issuer: authorityOf(root),
    });
    const authority = authorityOf(middle);
    const server = issueCertificate({
      ...terms(),
      keyKind,
      authority,
      usage: 'server',
      commonName: 'radius',
      dnsNames: ['radius.example.org'],
      ipAddresses: [Buffer.of(127, 0, 0, 1)],
    });
    const client = issueCertificate({
      ...terms(),
      keyKind,
      authority,
      usage: 'client',
      commonName: 'Zoë',
      emails: ['zoe@example.org'],
      principalNames: ['zoë@corp.example'],
    });
    file('our-root.pem', root.certificatePem);
    file('our-middle.pem', middle.certificatePem);
    file('our-server.pem', server.certificatePem);
    file('our-client.pem', client.certificatePem);
    const listOf = (issuer: typeof root, revoked: string[]) =>
      createRevocationList({
        authority: authorityOf(issuer),
        number: 255,
        thisUpdateMs: nowMs - DAY_MS,
        nextUpdateMs: nowMs + DAY_MS,
        revoked: revoked.map((serial) => ({ serial, atMs: nowMs - DAY_MS, reason: 1 })),
      });
    file('our-crls.pem', listOf(root, []) + listOf(middle, [client.certificate.serial]));
    file('our-middle-crl.pem', listOf(middle, [client.certificate.serial]));

    const strictly = ['verify', '-x509_strict', '-CAfile', 'our-root.pem'];
    const through = [...strictly, '-untrusted', 'our-middle.pem'];
    expect(openssl(...through, '-purpose', 'sslclient', 'our-client.pem')).toContain('OK');
    expect(openssl(...through, '-purpose', 'sslserver', 'our-server.pem')).toContain('OK');
    expect(opensslSays(...through, '-purpose', 'sslserver', 'our-client.pem')).toContain(
      'unsuitable certificate purpose',
    );
    const checked = [...through, '-crl_check_all', '-CRLfile', 'our-crls.pem'];
    expect(openssl(...checked, 'our-server.pem')).toContain('OK');
    expect(opensslSays(...checked, 'our-client.pem')).toContain('certificate revoked');
    expect(
      opensslSays(
        'crl',
        '-in',
        'our-middle-crl.pem',
        '-verify',
        '-CAfile',
        'our-middle.pem',
        '-noout',
      ),
    ).toContain('verify OK');
    const shown = openssl('x509', '-in', 'our-client.pem', '-noout', '-text');
    expect(shown).toContain('othername: UPN::zo');
    expect(
      openssl('pkey', '-in', file('our-client.key', client.privateKeyPem), '-check', '-noout'),
    ).toContain('valid');
  });
});

describe('we accept what openssl makes', () => {
  test.each<[string, Wanted, Wanted]>([
    ['ECDSA P-256', {}, {}],
    [
      'ECDSA P-384 with SHA-384',
      { key: 'p384', signing: ['-sha384'] },
      { key: 'p384', signing: ['-sha384'] },
    ],
    [
      'ECDSA P-521 with SHA-512',
      { key: 'p521', signing: ['-sha512'] },
      { key: 'p521', signing: ['-sha512'] },
    ],
    ['RSA', { key: 'rsa2048' }, { key: 'rsa2048' }],
    [
      'RSA PSS',
      { key: 'rsa2048' },
      {
        key: 'rsa2048',
        signing: ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:-1'],
      },
    ],
    ['a key for RSA PSS alone', { key: 'rsa-pss' }, { key: 'rsa-pss' }],
    ['Ed25519', { key: 'ed25519' }, { key: 'ed25519' }],
    ['an anchor that has signed itself with SHA-1', { key: 'rsa2048', signing: ['-sha1'] }, {}],
    ['any purpose', {}, { extensions: ['extendedKeyUsage=anyExtendedKeyUsage'] }],
    ['no usage at all', {}, { extensions: ['subjectKeyIdentifier=hash'] }],
    ['critical policies', {}, { extensions: [...CLIENT, 'certificatePolicies=critical,1.2.3.4'] }],
    [
      'names of all kinds',
      {},
      {
        extensions: [
          ...CLIENT,
          'subjectAltName=email:a@b.c,DNS:d.e,IP:::1,URI:http://x/,RID:1.2.3,dirName:d,otherName:1.2.3;UTF8:z',
          '[d]',
          'CN=q',
        ],
      },
    ],
    ['a name of several parts', {}, { subject: '/DC=org/O=Ümläut/CN=a+emailAddress=a@b.c' }],
  ])('%s', (_, ofRoot, ofClient) => {
    const root = make('root', ofRoot);
    const client = make('client', { issuer: 'root', ...ofClient });
    expect(verdict([client], [root])).toBe('valid');
    expect(openssl('verify', '-CAfile', 'root.pem', 'client.pem')).toContain('OK');
  });

  test('all of the authorities that this machine trusts can be read', () => {
    ensureDebianPackage(['ca-certificates'], ['update-ca-certificates']);
    const text = readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8');
    const authorities = certificatesFromPem(text);
    expect(authorities?.length).toBeGreaterThan(100);
    for (const authority of authorities ?? []) expect(authority.publicKey).toBeDefined();
  });
});

describe('we refuse what openssl makes against the rules', () => {
  test.each<[string, string, Wanted, Wanted?]>([
    ['weak', 'RSA of 1024 bits', { key: 'rsa1024' }],
    ['weak', 'a signature with SHA-1', { signing: ['-sha1'] }],
    ['weak', 'RSA with SHA-1', { signing: ['-sha1'] }, { key: 'rsa2048' }],
    ['weak', 'RSA with MD5', { signing: ['-md5'] }, { key: 'rsa2048' }],
    ['weak', 'an authority with RSA of 1024 bits', {}, { key: 'rsa1024' }],
    ['unsupported-algorithm', 'Ed448', { key: 'ed448' }],
    ['unsupported-algorithm', 'another curve', { key: 'secp256k1' }],
    ['unsupported-algorithm', 'a curve that is spelled out', { key: 'explicit' }],
    ['malformed', 'version 1', { extensions: [] }],
    [
      'unsupported-extension',
      'an unknown critical extension',
      { extensions: [...CLIENT, '1.2.3.4=critical,DER:0500'] },
    ],
    [
      'unsupported-extension',
      'a demanded policy',
      { extensions: [...CLIENT, 'policyConstraints=critical,requireExplicitPolicy:0'] },
    ],
    ['wrong-usage', 'a key for encryption', { extensions: ['keyUsage=keyEncipherment'] }],
    ['wrong-usage', 'a certificate for mail', { extensions: ['extendedKeyUsage=emailProtection'] }],
    [
      'wrong-usage',
      'an authority for servers',
      {},
      { extensions: [...AUTHORITY, 'extendedKeyUsage=serverAuth'] },
    ],
    [
      'not-an-authority',
      'an authority that says it is none',
      {},
      { extensions: ['basicConstraints=CA:FALSE'] },
    ],
    [
      'not-an-authority',
      'an authority that does not say that it is one',
      {},
      { extensions: ['keyUsage=keyCertSign'] },
    ],
    [
      'not-an-authority',
      'an authority that may not sign certificates',
      {},
      { extensions: ['basicConstraints=CA:TRUE', 'keyUsage=cRLSign'] },
    ],
  ])('%s: %s', (problem, _, ofClient, ofRoot = {}) => {
    const root = make('root', ofRoot);
    const client = make('client', { issuer: 'root', ...ofClient });
    expect(verdict([client], [root])).toBe(problem);
  });

  test('an intermediate with a purpose limits those below it', () => {
    const root = make('root');
    const middle = make('middle', {
      issuer: 'root',
      extensions: [...AUTHORITY, 'extendedKeyUsage=serverAuth'],
    });
    const client = make('client', { issuer: 'middle', extensions: ['keyUsage=digitalSignature'] });
    expect(verdict([client, middle], [root])).toBe('wrong-usage');
    expect(verdict([client, middle], [root], { usage: 'server' })).toBe('valid');
  });

  test('a certificate with something behind it, or inside it where nothing belongs', () => {
    make('root');
    const { der } = make('client', { issuer: 'root' });
    expect(parseCertificate(Buffer.concat([der, Buffer.of(0)]))).toBeUndefined();
    for (let length = 0; length < der.length; length += 1) {
      expect(parseCertificate(der.subarray(0, length))).toBeUndefined();
    }
  });
});

describe('name constraints, as openssl reads them', () => {
  test.each<[string, string, string, boolean]>([
    ['permitted;DNS:example.org', 'DNS:example.org', '', true],
    ['permitted;DNS:example.org', 'DNS:a.EXAMPLE.org', '', true],
    ['permitted;DNS:example.org', 'DNS:notexample.org', '', false],
    ['excluded;DNS:example.org', 'DNS:a.example.org', '', false],
    ['excluded;DNS:example.org', 'DNS:example.com', '', true],
    ['permitted;DNS:.example.org', 'DNS:a.example.org', '', true],
    ['permitted;email:example.org', 'email:a@example.org', '', true],
    ['permitted;email:example.org', 'email:a@sub.example.org', '', false],
    ['permitted;email:.example.org', 'email:a@sub.example.org', '', true],
    ['permitted;email:a@example.org', 'email:a@example.org', '', true],
    ['permitted;email:a@example.org', 'email:b@example.org', '', false],
    ['permitted;email:example.org', '', '/emailAddress=a@evil.example', false],
    ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:10.1.2.3', '', true],
    ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:11.1.2.3', '', false],
    ['excluded;IP:10.0.0.0/255.0.0.0', 'IP:10.1.2.3', '', false],
    ['permitted;IP:10.0.0.0/255.0.0.0', 'IP:::1', '', false],
    ['permitted;IP:fe80::/ffff::', 'IP:fe80::1', '', true],
    ['permitted;dirName:d', '', '/O=Test/CN=x', true],
    ['permitted;dirName:d', '', '/O=test/CN=x', true],
    ['permitted;dirName:d', '', '/O=Other/CN=x', false],
    ['excluded;dirName:d', '', '/O=Test/CN=x', false],
  ])('%s for %s %s: %s', (constraint, alternativeName, subject, isAllowed) => {
    const root = make('root', {
      extensions: [...AUTHORITY, `nameConstraints=critical,${constraint}`, '[d]', 'O=Test'],
    });
    const names = alternativeName === '' ? [] : [`subjectAltName=${alternativeName}`];
    const client = make('client', {
      issuer: 'root',
      ...(subject === '' ? {} : { subject }),
      extensions: [...CLIENT, ...names],
    });
    expect(verdict([client], [root])).toBe(isAllowed ? 'valid' : 'forbidden-name');
    expect(opensslSays('verify', '-CAfile', 'root.pem', 'client.pem').includes('OK')).toBe(
      isAllowed,
    );
  });

  test('a limit on names that we do not compare refuses all of them', () => {
    const root = make('root', {
      extensions: [...AUTHORITY, 'nameConstraints=critical,permitted;URI:example.org'],
    });
    const withUri = [...CLIENT, 'subjectAltName=URI:http://example.org/'];
    expect(verdict([make('client', { issuer: 'root', extensions: withUri })], [root])).toBe(
      'forbidden-name',
    );
    expect(verdict([make('client', { issuer: 'root' })], [root])).toBe('valid');
  });
});

describe('revocation lists of openssl', () => {
  /** Of `issuer`, with `extensions` of the list itself. */
  function makeCrl(extensions: string[], revoked: string[] = [], issuer = 'root') {
    file(
      'ca.conf',
      [
        '[ca]',
        'default_ca=it',
        '[it]',
        'database=index.txt',
        'default_md=sha256',
        'crlnumber=crlnumber',
        '[list]',
        ...extensions,
      ].join('\n'),
    );
    file('index.txt', '');
    file('index.txt.attr', 'unique_subject = no\n');
    file('crlnumber', '01\n');
    const signer = ['-keyfile', `${issuer}.key`, '-cert', `${issuer}.pem`];
    for (const name of revoked) {
      openssl(
        'ca',
        '-config',
        'ca.conf',
        ...signer,
        '-revoke',
        `${name}.pem`,
        '-crl_reason',
        'keyCompromise',
      );
    }
    const adding = extensions.length === 0 ? [] : ['-crlexts', 'list'];
    openssl(
      'ca',
      '-config',
      'ca.conf',
      ...signer,
      '-gencrl',
      '-crldays',
      '2',
      '-out',
      'crl.pem',
      ...adding,
    );
    return parseCrl(readFileSync(join(directory, 'crl.pem')));
  }

  function usable(parsed: ReturnType<typeof parseCrl>) {
    if (parsed.kind === 'refused') throw new Error(parsed.detail);
    return parsed.crl;
  }

  test('a revoked certificate is refused, another is not', () => {
    const root = make('root');
    const [alice, bob] = [make('alice', { issuer: 'root' }), make('bob', { issuer: 'root' })];
    const crl = usable(makeCrl(['authorityKeyIdentifier=keyid'], ['alice']));
    expect(crlProblem(crl, root)).toBeUndefined();
    expect(crl.revoked.get(alice.serial)?.reason).toBe(1);
    const trust = { crls: [crl], revocation: 'required' } as const;
    expect(verdict([alice], [root], trust)).toBe('revoked');
    expect(verdict([bob], [root], trust)).toBe('valid');
    expect(pathReferencesOf([alice])[0]?.serial).toBe(alice.serial);
  });

  test('without version 2 extensions it is a list too; in DER as well', () => {
    const root = make('root');
    const alice = make('alice', { issuer: 'root' });
    makeCrl([], ['alice']);
    openssl('crl', '-in', 'crl.pem', '-outform', 'DER', '-out', 'crl.der');
    const crl = usable(parseCrl(readFileSync(join(directory, 'crl.der'))));
    expect(verdict([alice], [root], { crls: [crl], revocation: 'when-present' })).toBe('revoked');
  });

  test.each([
    ['a delta', 'deltaCRL=critical,1'],
    ['an indirect list', 'issuingDistributionPoint=critical,@point\n[point]\nindirectCRL=TRUE'],
    [
      'a list of some reasons',
      'issuingDistributionPoint=critical,@point\n[point]\nonlysomereasons=keyCompromise',
    ],
    ['an unknown critical extension', '1.2.3.4=critical,DER:0500'],
  ])('%s is refused, and says why', (_, extension) => {
    make('root');
    const parsed = makeCrl(
      extension.startsWith('delta') ? ['2.5.29.27=critical,DER:020101'] : extension.split('\n'),
    );
    expect(parsed).toMatchObject({
      kind: 'refused',
      detail: expect.stringMatching(/^it (?:is|only|has)/),
    });
  });

  test('a list of authorities alone says nothing of a client', () => {
    const root = make('root');
    const client = make('client', { issuer: 'root' });
    const only = (what: string) =>
      usable(makeCrl(['issuingDistributionPoint=critical,@point', '[point]', `${what}=TRUE`]));
    const judge = (what: string) =>
      verdict([client], [root], { crls: [only(what)], revocation: 'required' });
    expect(judge('onlyCA')).toBe('revocation-unknown');
    expect(judge('onlyuser')).toBe('valid');
  });

  test('a part of a list speaks of the certificates that name it', () => {
    const root = make('root');
    const address = 'http://crl.example/1';
    const named = make('named', {
      issuer: 'root',
      extensions: [...CLIENT, `crlDistributionPoints=URI:${address}`],
    });
    const other = make('other', { issuer: 'root' });
    const crl = usable(
      makeCrl(['issuingDistributionPoint=critical,@point', '[point]', `fullname=URI:${address}`]),
    );
    const trust = { crls: [crl], revocation: 'required' } as const;
    expect(verdict([named], [root], trust)).toBe('valid');
    expect(verdict([other], [root], trust)).toBe('revocation-unknown');
  });

  test('an authority without cRLSign, or another with its name, signs no list', () => {
    const root = make('root', {
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=keyCertSign'],
    });
    const client = make('client', { issuer: 'root' });
    const trust = { crls: [usable(makeCrl([]))], revocation: 'when-present' } as const;
    expect(verdict([client], [root], trust)).toBe('revocation-unknown');
    const again = make('root');
    const later = make('client', { issuer: 'root' });
    expect(verdict([later], [again], trust)).toBe('revocation-unknown');
  });

  describe('after an authority has changed its key', () => {
    const KEY_IDS = ['subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid:always'];
    const subject = '/O=Test/CN=Issuing';
    const issuing = { issuer: 'root', subject, extensions: [...AUTHORITY, ...KEY_IDS] };
    const ofOldKey = { issuer: 'old', extensions: [...CLIENT, ...KEY_IDS] };

    test('its new key revokes what the old one has issued, as openssl sees it with -extended_crl', () => {
      const root = make('root', { extensions: [...AUTHORITY, ...KEY_IDS] });
      const [old, renewed] = [make('old', issuing), make('renewed', issuing)];
      const [alice, bob] = [make('alice', ofOldKey), make('bob', ofOldKey)];
      const ofRoot = usable(makeCrl(['authorityKeyIdentifier=keyid:always']));
      const crl = usable(makeCrl(['authorityKeyIdentifier=keyid:always'], ['alice'], 'renewed'));
      const crls = [ofRoot, crl];
      const judge = (leaf: Certificate, more: Partial<ClientTrust>) =>
        verdict([leaf, old], [root], { crls, ...more });

      for (const revocation of ['when-present', 'required'] as const) {
        expect(judge(alice, { revocation, intermediates: [renewed] })).toBe('revoked');
        expect(judge(bob, { revocation, intermediates: [renewed] })).toBe('valid');
        expect(judge(alice, { revocation })).toBe('revocation-unknown');
        expect(judge(bob, { revocation })).toBe('revocation-unknown');
      }

      const names = ['old', 'renewed'].map((name) => `${name}.pem`);
      file('both.pem', names.map((name) => readFileSync(join(directory, name), 'utf8')).join(''));
      const how = ['verify', '-CAfile', 'root.pem', '-untrusted', 'both.pem', '-crl_check'];
      const checking = [...how, '-extended_crl', '-CRLfile', 'crl.pem'];
      expect(opensslSays(...checking, 'alice.pem')).toContain('certificate revoked');
      expect(opensslSays(...checking, 'bob.pem')).toContain('bob.pem: OK');
    });

    test('of two roots with one name, the new one says who is revoked, but not who is good', () => {
      const wanted = { subject, extensions: [...AUTHORITY, ...KEY_IDS] };
      const [old, renewed] = [make('old', wanted), make('renewed', wanted)];
      const [alice, bob] = [make('alice', ofOldKey), make('bob', ofOldKey)];
      const crl = usable(makeCrl(['authorityKeyIdentifier=keyid:always'], ['alice'], 'renewed'));
      const judge = (leaf: Certificate, more: Partial<ClientTrust>) =>
        verdict([leaf], [old, renewed], { crls: [crl], ...more });
      expect(judge(alice, { revocation: 'when-present' })).toBe('revoked');
      expect(judge(alice, { revocation: 'required' })).toBe('revoked');
      expect(judge(bob, { revocation: 'when-present' })).toBe('valid');
      expect(judge(bob, { revocation: 'required' })).toBe('revocation-unknown');
      const key = ['-CA', 'old.pem', '-CAkey', 'old.key', '-CAcreateserial'];
      const request = ['-req', '-in', 'renewed.csr', '-extfile', 'renewed.ext', '-days', '30'];
      openssl('x509', ...request, ...key, '-out', 'cross.pem');
      const vouched = { revocation: 'required', intermediates: [read('cross.pem')] } as const;
      expect(judge(bob, vouched)).toBe('valid');
      expect(judge(alice, vouched)).toBe('revoked');
    });
  });

  test('what is said of a name that openssl lets through is one short line', () => {
    const root = make('root');
    const subject = `/O=Test/CN=a\nlevel=info ${'x'.repeat(40)}/OU=${'y'.repeat(60)}`;
    const self = make('self', { subject });
    const outcome = validatePath(
      [self.der],
      { anchors: [root], intermediates: [], crls: [], revocation: 'none' },
      { nowMs, usage: 'client' },
    );
    expect(outcome).toMatchObject({
      problem: 'unknown-ca',
      detail: expect.stringMatching(/^O=Test, CN=a\\u\{a\}level=info x+… is issued by .{1,150}$/),
    });
  });
});
