// `evergate certificate create` and `revoke`: a private authority for EAP-TLS and what it gives out.

import { join } from 'node:path';
import { createServerFiles, ensureServerCertificate } from '../../operations/certificates.ts';
import type { ServerFiles } from '../../operations/certificates.ts';
import { createAuthorityFiles } from '../../operations/certificates/authority.ts';
import type { CreatedFile } from '../../operations/certificates/authority.ts';
import {
  createClientFiles,
  createRevocationListFile,
  revokeClient,
} from '../../operations/certificates/clients.ts';
import type { ClientFiles } from '../../operations/certificates/clients.ts';
import {
  isCertificateName,
  isMailAddress,
  serverNames,
} from '../../operations/certificates/names.ts';
import type { RevocationListSummary } from '../../operations/certificates/revocation-list.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { bold, dim, green, print, printJson } from '../terminal.ts';
import { UsageError } from '../usage-error.ts';

export type CertificateOptions = {
  directory: string;
  days?: number;
  key?: 'ecdsa' | 'rsa';
  email?: string[];
  principal?: string[];
  replace?: boolean;
  json?: boolean;
};

export type CertificateKind = 'authority' | 'server' | 'client' | 'revocation-list';

/** Without a kind: all that EAP-TLS needs on the server, and what to do next. */
export async function createCertificate(
  kind: CertificateKind | undefined,
  names: readonly string[],
  options: CertificateOptions,
): Promise<void> {
  checkOptions(kind, names, options);
  const { directory, days, key: keyKind, replace = false } = options;
  const runtime = quietRuntime();
  const terms = { days, keyKind };
  switch (kind) {
    case undefined: {
      const files = await ensureServerCertificate(directory, runtime, {
        ...(days === undefined ? {} : { days }),
        keyKind,
      });
      reportSetup(files, options);
      return;
    }
    case 'authority': {
      const created = createAuthorityFiles(directory, runtime, { ...terms, name: names[0] });
      reportCreated(created, options, `Install ${created.certificateFile} on every device.`);
      return;
    }
    case 'server': {
      const created = createServerFiles(directory, runtime, {
        ...(days === undefined ? {} : { days }),
        keyKind,
        names,
        replace,
      });
      reportCreated(created, options, 'A server that uses it reads it again by itself.');
      return;
    }
    case 'client': {
      const [name = ''] = names;
      const { email = name.includes('@') ? [name] : [], principal: principalNames = [] } = options;
      const wanted = { ...terms, name, emails: email, principalNames, replace };
      reportClient(createClientFiles(directory, runtime, wanted), options);
      return;
    }
    case 'revocation-list': {
      const list = createRevocationListFile(directory, runtime, days);
      if (options.json === true) printJson(listJson(list));
      else print(`${green('written')}  ${list.file}  ${dim(listSentence(list))}`);
    }
  }
}

export function revokeCertificate(name: string, options: CertificateOptions): void {
  if (!isCertificateName(name))
    throw new UsageError(`${JSON.stringify(name)} names no certificate`);
  const revoked = revokeClient(options.directory, name, quietRuntime());
  if (options.json === true) {
    printJson({ name, serial: revoked.serial, revocation_list: listJson(revoked) });
    return;
  }
  print(`${green('revoked')}  ${bold(name)}  ${dim(`serial number ${revoked.serial}`)}`);
  print(`  ${revoked.file}: ${listSentence(revoked)}`);
  print(`  It counts where radius.eap.client_crl names it: ${revoked.file}`);
}

/** What cannot mean anything is wrong usage, before anything is written. */
function checkOptions(
  kind: CertificateKind | undefined,
  names: readonly string[],
  { days, email = [], principal = [], replace }: CertificateOptions,
): void {
  if (kind === 'client' && names.length !== 1) {
    throw new UsageError(
      'a client certificate needs one name: evergate certificate create client alice',
    );
  }
  const [name = ''] = names;
  if (kind === 'client' && !isCertificateName(name)) {
    throw new UsageError(
      `${JSON.stringify(name)} cannot be the name: letters, digits, spaces and @ . _ + - are allowed, up to 64`,
    );
  }
  if (kind === 'authority' && names.length > 1) throw new UsageError('an authority has one name');
  if (kind === 'revocation-list' && names.length > 0) {
    throw new UsageError('a revocation list has no name; `evergate certificate revoke` adds to it');
  }
  if (kind === 'server' && serverNames(names) === undefined) {
    throw new UsageError(`${names.join(', ')}: a server is called by DNS names and IP addresses`);
  }
  const wrong = email.find((address) => !isMailAddress(address));
  if (wrong !== undefined) throw new UsageError(`${wrong} is not a mail address`);
  if (kind !== 'client' && email.length + principal.length > 0) {
    throw new UsageError('--email and --principal belong to `create client`');
  }
  if (replace === true && kind !== 'client' && kind !== 'server') {
    throw new UsageError('--replace belongs to `create client` and `create server`');
  }
  if (days !== undefined && (days < 1 || days > MAX_DAYS)) {
    throw new UsageError(`--days is ${days}; allowed is 1 to ${MAX_DAYS}`);
  }
}

const MAX_DAYS = 36_500;

function reportSetup(files: ServerFiles, { directory, json }: CertificateOptions): void {
  const { authorityFile, certificateFile, keyFile, outcome, notAfterMs } = files;
  const { revocationListFile } = files;
  if (json === true) {
    printJson({
      outcome,
      authority: authorityFile,
      certificate: certificateFile,
      key: keyFile,
      ...(revocationListFile === undefined ? {} : { revocation_list: revocationListFile }),
      names: files.names,
      valid_until: new Date(notAfterMs).toISOString(),
    });
    return;
  }
  print(`${green(outcome)}  ${bold(certificateFile)}  ${dim(`valid until ${day(notAfterMs)}`)}`);
  print('');
  print('In evergate.yaml, or as EVERGATE_RADIUS_EAP_CERTIFICATE, _KEY, _CLIENT_CA, _CLIENT_CRL:');
  print('');
  print('  radius:');
  print('    eap:');
  print(`      certificate: ${certificateFile}`);
  print(`      key: ${keyFile}`);
  print(`      client_ca: ${authorityFile}`);
  if (revocationListFile !== undefined) print(`      client_crl: ${revocationListFile}`);
  print('');
  print('Next:');
  print(
    `  evergate certificate create client alice    ${dim('a certificate for a person or device')}`,
  );
  print(`  Install ${authorityFile} on each device, as the authority of this Wi-Fi,`);
  print(
    `  and tell it the name of the server, ${files.names[0] ?? 'none'}: then it talks to no other.`,
  );
  print(
    `  Keep ${join(directory, 'authority', 'authority.key')} safe: who has it can let anybody in.`,
  );
}

function reportCreated(created: CreatedFile, { json }: CertificateOptions, next: string): void {
  if (json === true) {
    printJson(createdJson(created));
    return;
  }
  print(createdLine(created));
  print(`  ${dim('key')}  ${created.keyFile}`);
  print(`  ${next}`);
}

function reportClient(created: ClientFiles, options: CertificateOptions): void {
  const { pkcs12, revoked, keyFile } = created;
  if (options.json === true) {
    printJson({
      ...createdJson(created),
      ...(pkcs12 === undefined ? {} : { pkcs12: pkcs12.file, password: pkcs12.password }),
      ...(revoked === undefined ? {} : { revoked }),
    });
    return;
  }
  print(createdLine(created));
  if (revoked !== undefined)
    print(`  ${dim('revoked')}   the one before, serial number ${revoked}`);
  print(`  ${dim('key')}       ${keyFile}`);
  if (pkcs12 === undefined) {
    print('  There is no openssl command here. For a phone, run where there is one:');
    print(
      `  openssl pkcs12 -export -in ${created.certificateFile} -inkey ${keyFile} ` +
        `-certfile ${join(options.directory, 'authority', 'authority.crt')} -out phone.p12`,
    );
    return;
  }
  print(`  ${dim('phone')}     ${pkcs12.file}`);
  print(
    `  ${dim('password')}  ${bold(pkcs12.password)}  ${dim('of the phone file; it is not shown again')}`,
  );
  print('  Send the file to the phone one way and the password another, and open it there.');
}

function createdLine({ certificateFile, certificate }: CreatedFile): string {
  return `${green('created')}  ${bold(certificateFile)}  ${dim(`valid until ${day(certificate.notAfterMs)}`)}`;
}

function createdJson({ certificateFile, keyFile, certificate }: CreatedFile) {
  return {
    certificate: certificateFile,
    key: keyFile,
    serial: certificate.serial,
    sha256: certificate.fingerprint,
    valid_until: new Date(certificate.notAfterMs).toISOString(),
  };
}

function listJson({ file, entries, nextUpdateMs }: RevocationListSummary) {
  return { file, entries, next_update: new Date(nextUpdateMs).toISOString() };
}

function listSentence({ entries, nextUpdateMs }: RevocationListSummary): string {
  return `${entries} revoked, fresh until ${day(nextUpdateMs)}`;
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}
