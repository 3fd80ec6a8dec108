// How `evergate certificate …` is called. What it does is in certificate/, loaded only when it is called.

import type { Command } from 'commander';
import { Argument, InvalidArgumentError, Option } from 'commander';
import type { CertificateKind, CertificateOptions } from './certificate/create.ts';

export function addCertificateCommands(certificate: Command): void {
  certificate
    .command('create')
    .description('without more: an authority and a server certificate, and what to do with them')
    .addArgument(
      new Argument('[kind]', 'what to make').choices([
        'authority',
        'server',
        'client',
        'revocation-list',
      ]),
    )
    .argument('[name...]', 'the name of the client, or the names of the server')
    .addOption(directory())
    .option('--days <n>', 'valid for (default: authority 3650, list 365, others 825)', wholeNumber)
    .addOption(new Option('--key <kind>', 'the kind of key').choices(['ecdsa', 'rsa']))
    .option(
      '--email <address...>',
      'mail addresses of the client (default: its name, if it is one)',
    )
    .option('--principal <name...>', 'user principal names of the client, as Windows has them')
    .option('--replace', 'make a new one; the old one of a client is revoked')
    .addOption(json())
    .action(
      async (kind: CertificateKind | undefined, names: string[], options: CertificateOptions) =>
        (await import('./certificate/create.ts')).createCertificate(kind, names, options),
    );

  certificate
    .command('revoke')
    .description('take the certificate of a client back')
    .argument('<name>', 'the client')
    .addOption(directory())
    .addOption(json())
    .action(async (name: string, options: CertificateOptions) =>
      (await import('./certificate/create.ts')).revokeCertificate(name, options),
    );

  certificate
    .command('show')
    .description('what is in a file of certificates or revocation lists')
    .argument('<file>')
    .addOption(json())
    .action(async (file: string, options: { json?: boolean }) =>
      (await import('./certificate/show.ts')).showCertificate(file, options),
    );
}

const json = () => new Option('--json', 'print JSON');
const directory = () =>
  new Option('--directory <directory>', 'where they lie').default('certificates');

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(value);
}
