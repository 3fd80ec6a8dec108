// What to try with a cluster, in words that can be copied from the screen.

import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Cluster } from '../../operations/cluster/cluster.ts';
import { bold, cyan, dim } from '../terminal.ts';

const HOME = resolve(import.meta.dirname, '../../..');

/** `isNew`: nothing was applied, so nobody may log in yet. */
export function nextSteps(cluster: Cluster, isNew: boolean): string {
  const { nodes, gatewayUrl, host } = cluster.addresses();
  const evergate = existsSync(join(HOME, 'src'))
    ? shortest(join(HOME, 'bin/evergate'))
    : 'evergate';
  const directory = shortest(cluster.directory);
  const data = directory === 'cluster' ? '' : ` --data ${directory}`;
  const api = ` --url ${gatewayUrl} --data ${directory}`;
  const [first, second = first, third = second] = nodes;
  const server = (port: number | undefined) => ` --server ${host}:${port}`;
  const login = `${evergate} login alice wonderland`;

  const steps = [
    ...(isNew
      ? [
          [
            'a router, a plan and a subscriber',
            `${evergate} apply ${shortest(join(HOME, 'examples/hotspot.yaml'))}${api}`,
          ],
        ]
      : []),
    [`a login on ${second?.name}`, `${login}${server(second?.authPort)}`],
    [
      `${second?.name} dies; ${third?.name} knows alice as well`,
      `${evergate} cluster kill ${second?.name}${data}; ${login}${server(third?.authPort)}`,
    ],
    [
      'the primary of the shared state dies; its replica takes over',
      `${evergate} cluster kill redis-1${data}`,
    ],
    [
      'the database stops answering, and nobody who logs in notices',
      `${evergate} cluster freeze postgres${data}`,
    ],
    [
      'virtual hotspots for half a minute, meanwhile',
      `${evergate} simulate${server(first?.authPort)}${api}`,
    ],
  ];
  return [
    `  ${bold('Try it')}, in another terminal:`,
    '',
    ...steps.flatMap(([why = '', command = '']) => [`  ${dim(`# ${why}`)}`, `  ${cyan(command)}`]),
    '',
  ].join('\n');
}

/** A path from here, unless it is shorter from the root. */
export function shortest(path: string): string {
  const near = relative('.', path);
  return near.length <= path.length ? near : path;
}
