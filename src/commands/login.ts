// `evergate login USER PASSWORD`: one login as a router would send it, and what came back.

import { loadDictionary } from '../services/client/dictionary.ts';
import type { Dictionary } from '../services/client/dictionary.ts';
import { EAP_METHODS } from '../services/client/eap-device.ts';
import type { EapMethodName } from '../services/client/eap-device.ts';
import { tryLogin } from '../services/client/login.ts';
import type { LoginMethod } from '../services/client/login.ts';
import { describeAttributes } from '../services/client/describe-attributes.ts';
import type { DescribedAttribute } from '../services/client/describe-attributes.ts';
import { createRadiusClient } from '../services/client/radius-client.ts';
import { macAddress } from '../services/client/place.ts';
import { findServer } from '../services/client/server-address.ts';
import type { TlsConnectionFacts } from '../services/client/tls-client.ts';
import { complainAboutEap, tryByEap } from './eap-login.ts';
import type { EapLoginOptions, TriedEapLogin } from './eap-login.ts';
import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { formatTable } from './table.ts';
import { bold, dim, green, print, printJson, red, yellow } from './terminal.ts';
import { UsageError } from './usage-error.ts';

export type LoginOptions = ConfigOptions &
  Omit<EapLoginOptions, 'method'> & {
    method: LoginMethod | EapMethodName;
    server: string;
    secret: string;
    timeout: number;
  };

/** As long as routers wait for a first answer. */
const RETRANSMIT_AFTER_MS = 2_000;

export async function login(
  username: string,
  password: string | undefined,
  options: LoginOptions,
): Promise<void> {
  const { method } = options;
  if (password === undefined && method !== 'tls') {
    throw new UsageError(`--method ${method} needs a password`);
  }
  const { config } = loadFor(options);
  const dictionary = loadDictionary(config.radius.dictionaryFile);
  const server = await findServer(options.server, 1812);
  const runtime = quietRuntime();
  await using client = await createRadiusClient(
    {
      address: server.address,
      secret: options.secret,
      timeoutMs: options.timeout * 1000,
      retransmitAfterMs: RETRANSMIT_AFTER_MS,
    },
    runtime,
  );
  const place = {
    nasIdentifier: 'evergate-login',
    nasIpAddress: '127.0.0.1',
    calledStationId: '02-00-00-00-00-00:evergate',
    callingStationId: macAddress(1),
  };
  const shown = `${server.address}:${server.port}`;

  if (isEapMethod(method)) {
    const asked = { username, password, place };
    const tried = await tryByEap(client, server.port, asked, { ...options, method }, runtime);
    const { outcome } = tried;
    if (outcome.kind === 'silence') throw new Error(whySilent(shown, outcome));
    reportEap(username, tried, dictionary, options);
    complainAboutEap(username, tried, method);
    return;
  }
  const asked = { username, password: password ?? '', method, place };
  const outcome = await tryLogin(client, server.port, asked, runtime.random);
  switch (outcome.kind) {
    case 'accepted':
      report(username, outcome, dictionary, options);
      return;
    case 'rejected':
      report(username, outcome, dictionary, options);
      throw new Error(
        `${username} was rejected: ${outcome.message ?? 'the server does not say why; its log does'}`,
      );
    case 'not-proven':
      throw new Error(
        `${shown} accepted ${username} without proof that it knows the password (MS-CHAP2-Success): do not trust it`,
      );
    case 'unexpected':
      throw new Error(
        `${shown} answered with code ${outcome.code}: it wants another method than ${method}`,
      );
    case 'silence':
      throw new Error(whySilent(shown, outcome));
    case 'busy':
      throw new Error('no identifier was free');
  }
}

function isEapMethod(method: LoginOptions['method']): method is EapMethodName {
  return EAP_METHODS.some((name) => name === method);
}

function whySilent(server: string, outcome: { attempts: number; forged: number }): string {
  if (outcome.forged > 0) {
    return `${server} answers, but with another secret; --secret must be the one of the router with this machine's address`;
  }
  return (
    `no answer from ${server} after ${outcome.attempts} ${outcome.attempts === 1 ? 'attempt' : 'attempts'}. Either nothing listens there, or it does not know a router ` +
    'with this address and secret: `evergate apply` adds one, as examples/hotspot.yaml shows'
  );
}

type Answer = {
  kind: 'accepted' | 'rejected';
  response: Parameters<typeof describeAttributes>[0];
  isSigned: boolean;
  roundTripMs: number;
  attempts: number;
};

function report(
  username: string,
  outcome: Answer,
  dictionary: Dictionary,
  { method, json }: LoginOptions,
): void {
  const attributes = describeAttributes(outcome.response, dictionary);
  if (json === true) return printJson(answerJson(username, outcome, method, attributes));
  const retried = outcome.attempts > 1 ? `, ${outcome.attempts} attempts` : '';
  print(
    `${verdict(outcome)}  ${bold(username)}  ${dim(`${method}, ${rounded(outcome)} ms${retried}`)}`,
  );
  printAnswer(outcome, attributes);
}

function reportEap(
  username: string,
  { outcome, tls }: TriedEapLogin,
  dictionary: Dictionary,
  { method, json }: LoginOptions,
): void {
  if (outcome.kind !== 'accepted' && outcome.kind !== 'rejected') return;
  const attributes = describeAttributes(outcome.response, dictionary).filter(isWorthShowing);
  const keys = outcome.kind === 'accepted' ? outcome.keys : undefined;
  if (json === true) {
    return printJson({
      ...answerJson(username, outcome, method, attributes),
      rounds: outcome.rounds,
      ...(keys === undefined ? {} : { keys }),
      tls: tls === undefined ? null : tlsJson(tls),
    });
  }
  const resent = outcome.attempts - outcome.rounds;
  const retried = resent > 0 ? `, ${resent} sent again` : '';
  const how = `${method}, ${outcome.rounds} round trips, ${rounded(outcome)} ms${retried}`;
  print(`${verdict(outcome)}  ${bold(username)}  ${dim(how)}`);
  if (tls !== undefined) print(formatTable(tlsRows(tls)));
  if (keys === 'same') {
    print(`  keys    ${green('device and router have the same')} ${dim('(MSK = MS-MPPE keys)')}`);
  }
  printAnswer(outcome, attributes);
}

function tlsRows({ version, cipherSuite, isResumed, server }: TlsConnectionFacts): string[][] {
  const rows = [['  TLS', `${version}  ${cipherSuite}${isResumed ? '  resumed' : ''}`]];
  if (server !== undefined) {
    const until = new Date(server.expiresAtMs).toISOString().slice(0, 10);
    rows.push(['  server', `${server.name}, issued by ${server.issuer}, valid until ${until}`]);
    rows.push([
      '',
      server.isChecked
        ? green('its certificate was checked')
        : yellow('its certificate was not checked: --ca FILE names the authority to check it by'),
    ]);
  }
  return rows;
}

function tlsJson({ version, cipherSuite, isResumed, server }: TlsConnectionFacts) {
  return {
    version,
    cipher_suite: cipherSuite,
    resumed: isResumed,
    server_certificate:
      server === undefined
        ? null
        : {
            name: server.name,
            issuer: server.issuer,
            expires_at: new Date(server.expiresAtMs).toISOString(),
            checked: server.isChecked,
          },
  };
}

function answerJson(
  username: string,
  outcome: Answer,
  method: LoginOptions['method'],
  attributes: DescribedAttribute[],
) {
  return {
    outcome: outcome.kind,
    username,
    method,
    round_trip_ms: rounded(outcome),
    attempts: outcome.attempts,
    message_authenticator: outcome.isSigned,
    attributes,
  };
}

function printAnswer({ isSigned }: Answer, attributes: DescribedAttribute[]): void {
  if (!isSigned) print(yellow('  the answer has no Message-Authenticator (CVE-2024-3596)'));
  if (attributes.length > 0) print(formatTable(attributes.map(rowOf)));
}

function verdict({ kind }: Answer): string {
  return kind === 'accepted' ? green('accepted') : red('rejected');
}

function rounded({ roundTripMs }: Answer): number {
  return Math.round(roundTripMs * 10) / 10;
}

/** The end of EAP is bytes that the verdict has said in words. */
function isWorthShowing({ name }: DescribedAttribute): boolean {
  return name !== 'EAP-Message';
}

function rowOf({ name, value }: DescribedAttribute): string[] {
  return [`  ${name}`, value];
}
