// A certificate authority of the openssl program, for tests that need certificates somebody else has
// made: good, expired and revoked ones. Keys are ECDSA P-256 unless a test says otherwise.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackage } from './ensure-package.ts';

export type Issued = {
  certificate: string;
  key: string;
  /** The same as files. */
  certificateFile: string;
  keyFile: string;
};

type IssueOptions = {
  commonName: string;
  usage: 'client' | 'server';
  /** As openssl writes them: `DNS:r1.example`, `IP:10.0.0.1`. */
  names?: readonly string[];
  isExpired?: boolean;
  key?: 'ecdsa' | 'rsa';
};

export type CertificateAuthority = Disposable & {
  readonly certificate: string;
  readonly certificateFile: string;
  issue(options: IssueOptions): Issued;
  revoke(issued: Issued): void;
  /** The revocation list as it is now, as a file. */
  writeCrl(): string;
};

export function createCertificateAuthority(commonName: string): CertificateAuthority {
  ensureDebianPackage(['openssl'], ['openssl']);
  const directory = mkdtempSync(join(tmpdir(), 'evergate-ca-'));
  const at = (name: string) => join(directory, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  const newKey = (file: string, kind: 'ecdsa' | 'rsa' = 'ecdsa') => {
    const of =
      kind === 'rsa'
        ? ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
        : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    openssl('genpkey', ...of, '-out', file);
  };

  writeFileSync(at('index'), '');
  writeFileSync(at('serial'), '1000\n');
  writeFileSync(at('crlnumber'), '01\n');
  writeFileSync(at('ca.cnf'), configuration(directory));
  newKey(at('ca.key'));
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    at('ca.key'),
    '-subj',
    `/CN=${commonName}`,
    '-config',
    at('ca.cnf'),
    '-extensions',
    'authority',
    '-days',
    '30',
    '-out',
    at('ca.pem'),
  );
  const byConfiguration = ['-config', at('ca.cnf')];
  let issuedCount = 0;

  return {
    certificate: readFileSync(at('ca.pem'), 'utf8'),
    certificateFile: at('ca.pem'),

    issue(options) {
      const { usage, names = [], isExpired = false, key } = options;
      const name = `${++issuedCount}`;
      const keyFile = at(`${name}.key`);
      const certificateFile = at(`${name}.pem`);
      newKey(keyFile, key);
      const csr = at(`${name}.csr`);
      const subject = `/CN=${options.commonName}`;
      openssl('req', '-new', '-key', keyFile, '-subj', subject, ...byConfiguration, '-out', csr);
      const extensions = at(`${name}.ext`);
      writeFileSync(extensions, extensionsOf(usage, names));
      const dates = isExpired
        ? ['-startdate', '20200101000000Z', '-enddate', '20200201000000Z']
        : ['-days', '20'];
      const asked = ['-notext', '-extfile', extensions, ...dates, '-in', csr];
      openssl('ca', '-batch', ...byConfiguration, ...asked, '-out', certificateFile);
      const certificate = readFileSync(certificateFile, 'utf8');
      return { certificate, key: readFileSync(keyFile, 'utf8'), certificateFile, keyFile };
    },

    revoke({ certificateFile }) {
      openssl('ca', ...byConfiguration, '-revoke', certificateFile);
    },

    writeCrl() {
      openssl('ca', ...byConfiguration, '-gencrl', '-crldays', '10', '-out', at('crl.pem'));
      return at('crl.pem');
    },

    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function extensionsOf(usage: 'client' | 'server', names: readonly string[]): string {
  return [
    'basicConstraints = critical, CA:FALSE',
    'keyUsage = critical, digitalSignature, keyEncipherment',
    `extendedKeyUsage = ${usage}Auth`,
    ...(names.length === 0 ? [] : [`subjectAltName = ${names.join(', ')}`]),
    '',
  ].join('\n');
}

function configuration(directory: string): string {
  return `
[req]
distinguished_name = name
[name]
[ca]
default_ca = default
[default]
dir = ${directory}
database = $dir/index
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
`;
}
