// `evergate login USER PASSWORD`: one login as a router would send it, and what came back.

import { loadDictionary } from '../services/client/dictionary.ts';
import type { Dictionary } from '../services/client/dictionary.ts';
import { tryLogin } from '../services/client/login.ts';
import type { LoginMethod, LoginOutcome } from '../services/client/login.ts';
import { describeAttributes } from '../services/client/describe-attributes.ts';
import type { DescribedAttribute } from '../services/client/describe-attributes.ts';
import { createRadiusClient } from '../services/client/radius-client.ts';
import { macAddress } from '../services/client/place.ts';
import { findServer } from '../services/client/server-address.ts';
import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { quietRuntime } from './quiet-runtime.ts';
import { formatTable } from './table.ts';
import { bold, dim, green, print, printJson, red, yellow } from './terminal.ts';

export type LoginOptions = ConfigOptions & {
  method: LoginMethod | 'peap' | 'ttls';
  server: string;
  secret: string;
  timeout: number;
};

/** As long as routers wait for a first answer. */
const RETRANSMIT_AFTER_MS = 2_000;

export async function login(
  username: string,
  password: string,
  options: LoginOptions,
): Promise<void> {
  const { method } = options;
  if (method === 'peap' || method === 'ttls') {
    throw new Error(
      `--method ${method} needs EAP over TLS, which comes with a later release; pap, chap and mschapv2 work today`,
    );
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
  const outcome = await tryLogin(
    client,
    server.port,
    { username, password, method, place },
    runtime.random,
  );

  const shown = `${server.address}:${server.port}`;
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

function whySilent(server: string, outcome: { attempts: number; forged: number }): string {
  if (outcome.forged > 0) {
    return `${server} answers, but with another secret; --secret must be the one of the router with this machine's address`;
  }
  return (
    `no answer from ${server} after ${outcome.attempts} ${outcome.attempts === 1 ? 'attempt' : 'attempts'}. Either nothing listens there, or it does not know a router ` +
    'with this address and secret: `evergate apply` adds one, as examples/hotspot.yaml shows'
  );
}

function report(
  username: string,
  outcome: Extract<LoginOutcome, { kind: 'accepted' | 'rejected' }>,
  dictionary: Dictionary,
  { method, json }: LoginOptions,
): void {
  const attributes = describeAttributes(outcome.response, dictionary);
  const roundTripMs = Math.round(outcome.roundTripMs * 10) / 10;
  if (json === true) {
    printJson({
      outcome: outcome.kind,
      username,
      method,
      round_trip_ms: roundTripMs,
      attempts: outcome.attempts,
      message_authenticator: outcome.isSigned,
      attributes,
    });
    return;
  }
  const verdict = outcome.kind === 'accepted' ? green('accepted') : red('rejected');
  const how = `${method}, ${roundTripMs} ms${outcome.attempts > 1 ? `, ${outcome.attempts} attempts` : ''}`;
  print(`${verdict}  ${bold(username)}  ${dim(how)}`);
  if (!outcome.isSigned) print(yellow('  the answer has no Message-Authenticator (CVE-2024-3596)'));
  if (attributes.length > 0) print(formatTable(attributes.map(rowOf)));
}

function rowOf({ name, value }: DescribedAttribute): string[] {
  return [`  ${name}`, value];
}
