// What `up` says when everything runs: what is where, and the exact words for what to do next, from
// the directory it was started in.

import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ADMIN_TOKEN_FILE } from '../operations/admin-token.ts';
import { reachable } from './reachable.ts';
import type { RunningServices } from './run-services.ts';
import { formatTable } from './table.ts';
import { bold, cyan, dim, green } from './terminal.ts';

export type NextStep = { command: string; why: string };

const HOME = resolve(import.meta.dirname, '../..');

/** `isNew`: no router may ask yet, so the first steps are those of the manual. */
export function nextSteps(running: RunningServices, isNew: boolean): NextStep[] {
  const { evergate, example, api, data, server, ca, accounting, radclient } = wordsFor(running);
  const first: NextStep[] = [
    { command: `${evergate} apply ${example}${api}`, why: 'a router, a plan and a subscriber' },
    { command: `${evergate} login alice wonderland${server}`, why: 'as that router would' },
    {
      command: `${evergate} login alice wonderland --method peap${ca}${server}`,
      why: 'as a device does on Wi-Fi with 802.1X, at any node of a cluster',
    },
    {
      // Signed, so that it works whatever the router has done before.
      command: `echo User-Name=alice,User-Password=wonderland,Message-Authenticator=0x00 | ${radclient} testing123`,
      why: 'the same with a foreign client, from the package freeradius-utils',
    },
  ];
  const always: NextStep[] = [
    {
      command: `${evergate} simulate${server}${accounting}${api}`,
      why: 'virtual hotspots for half a minute, and whether every record arrived',
    },
    { command: `${evergate} doctor${data}`, why: 'is everything as it should be?' },
  ];
  return isNew ? [...first, ...always] : always;
}

export function welcome(running: RunningServices, steps: NextStep[], version: string): string {
  const { config, radius, httpPort, databaseKind, authorityFile } = running;
  const http = `http://${reachable(config.gateway.host)}:${httpPort}`;
  const database =
    databaseKind === 'embedded'
      ? 'with a PostgreSQL of its own'
      : 'beside the configured PostgreSQL';
  const places = [
    [
      'RADIUS',
      `${config.radius.host} udp ${radius?.authPort} logins, ${radius?.acctPort} accounting`,
    ],
    ['API', `${http}/v1  ${dim('described at /v1/openapi.json')}`],
    ['Health', `${http}/health  ${dim('metrics at /metrics')}`],
    ['Data', `${config.data}  ${dim(database)}`],
    ['API key', join(config.data, ADMIN_TOKEN_FILE)],
    ...(authorityFile === undefined
      ? []
      : [['802.1X', `${authorityFile}  ${dim('is what devices trust')}`]]),
  ];
  return [
    '',
    `${bold(green('●'))} ${bold(`Evergate ${version} is up`)}`,
    '',
    indent(formatTable(places.map(([name = '', where = '']) => [dim(name), where]))),
    '',
    `  ${bold('Try it')}, in another terminal:`,
    '',
    indent(steps.map(({ command, why }) => `${dim(`# ${why}`)}\n${cyan(command)}`).join('\n')),
    '',
    dim('  Ctrl-C stops it in order.'),
    '',
  ].join('\n');
}

/** Options that are the default anyway are left out. */
function wordsFor({ config, httpPort, authorityFile, radius }: RunningServices) {
  const { authPort, acctPort } = radius ?? config.radius;
  const host = reachable(config.radius.host);
  const url =
    httpPort === 8080 ? '' : ` --url http://${reachable(config.gateway.host)}:${httpPort}`;
  const data = relative('.', config.data) === 'data' ? '' : ` --data ${config.data}`;
  return {
    // In a clone nobody has put `evergate` on the path yet.
    evergate: existsSync(join(HOME, 'src')) ? near('bin/evergate') : 'evergate',
    example: near('examples/hotspot.yaml'),
    api: url + data,
    data,
    server: host === '127.0.0.1' && authPort === 1812 ? '' : ` --server ${host}:${authPort}`,
    ca: authorityFile === undefined ? '' : ` --ca ${relative('.', authorityFile)}`,
    accounting: acctPort === authPort + 1 ? '' : ` --acct-port ${acctPort}`,
    radclient: `radclient ${host}:${authPort} auth`,
  };
}

function near(path: string): string {
  return relative('.', join(HOME, path));
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
