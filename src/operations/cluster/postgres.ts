// The PostgreSQL of a cluster: the same programs and the same data as the embedded one, but reached
// over TCP on the loopback interface and with a password, because several processes share it.

import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../../runtime/runtime.ts';
import { findBinaries } from '../../stores/postgres/embedded/binaries.ts';
import {
  DATABASE,
  USER,
  environment,
  majorOf,
  makeCluster,
} from '../../stores/postgres/embedded/cluster.ts';
import { chooseIdentity } from '../../stores/postgres/embedded/identity.ts';
import { endOrphan } from '../../stores/postgres/embedded/orphan.ts';
import type { PartOptions } from './part.ts';
import { HOST } from './ports.ts';
import { readOrMakePassword, writeSecretFile } from './secret-files.ts';

export type PreparedPostgres = {
  version: string;
  user: string;
  database: string;
  passwordFile: string;
  url(port: number): string;
  part(port: number, logFile: string): PartOptions;
};

const CONNECTIONS_PER_NODE = 20;
/** For the gateway, the schema and whoever looks. */
const OTHER_CONNECTIONS = 40;
/** The last word of how it is set up: where this is, the password is set. */
const ACCESS_RULES = `# Evergate's cluster on one machine: nobody without the password.
host all all 127.0.0.1/32 scram-sha-256
`;

/** Makes the data if there is none, which takes a second or two; throws when there are no programs. */
export function preparePostgres(options: {
  /** Of the cluster. */
  directory: string;
  secretsDirectory: string;
  nodes: number;
  runtime: Runtime;
}): PreparedPostgres {
  const { runtime, nodes } = options;
  const passwordFile = join(options.secretsDirectory, 'database.password');
  const password = readOrMakePassword(passwordFile, runtime.random);
  mkdirSync(join(options.directory, 'postgres'), { recursive: true });
  const directory = realpathSync(join(options.directory, 'postgres'));
  const cluster = join(directory, 'cluster');
  const binaries = findBinaries({
    madeByMajor: majorOf(cluster),
    only: undefined,
    linkDirectory: join(directory, 'lib'),
  });
  // PostgreSQL's user must pass through: only the way, not the list of what lies there.
  if (process.getuid?.() === 0) {
    for (const path of [options.directory, directory]) chmodSync(path, statSync(path).mode | 0o011);
  }
  const identity = chooseIdentity(cluster, [cluster, binaries.bin]);
  if (!existsSync(cluster)) makeCluster(directory, cluster, binaries, identity);
  const postgres = join(binaries.bin, 'postgres');

  const rulesFile = join(cluster, 'pg_hba.conf');
  if (readFileSync(rulesFile, 'utf8') !== ACCESS_RULES) {
    const [program, ...args] = identity.command([postgres, '--single', '-D', cluster, 'postgres']);
    execFileSync(program, args, {
      cwd: cluster,
      env: environment(binaries, cluster),
      input: `alter role ${USER} password '${password}';\n`,
      stdio: ['pipe', 'ignore', 'ignore'], // what it echoes holds the password
    });
    writeSecretFile(rulesFile, ACCESS_RULES);
    identity.give(rulesFile);
  }

  return {
    version: binaries.version,
    user: USER,
    database: DATABASE,
    passwordFile,
    url: (port) => `postgres://${USER}:${password}@${HOST}:${port}/${DATABASE}`,
    part: (port, logFile) => ({
      name: 'postgres',
      role: 'postgres',
      ports: { tcp: port },
      listensOn: { tcp: [port] },
      command() {
        const settings = {
          listen_addresses: HOST,
          port: String(port),
          unix_socket_directories: '',
          max_connections: String(OTHER_CONNECTIONS + CONNECTIONS_PER_NODE * nodes),
          logging_collector: 'off',
          log_destination: 'stderr',
          log_line_prefix: '%m [%p] ',
          // Statements hold names and sealed secrets: they do not belong in a log.
          log_min_error_statement: 'panic',
        };
        const given = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
        return identity.command([postgres, '-D', cluster, ...given]);
      },
      environment: environment(binaries, cluster),
      directory: cluster,
      logFile,
      stopSignal: 'SIGINT', // a fast shutdown: SIGTERM would wait for its clients
      // A killed one may still have children at work on the data.
      beforeStart: () => endOrphan(cluster, runtime),
      isReady: (pid) => Promise.resolve(saysReady(cluster, pid)),
    }),
  };
}

/** postmaster.pid: process id, data, start, port, socket directory, address, memory, status. */
function saysReady(cluster: string, pid: number): boolean {
  const lines = readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  return Number(lines[0]) === pid && lines[7]?.startsWith('ready') === true;
}
