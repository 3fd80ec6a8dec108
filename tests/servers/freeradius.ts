// FreeRADIUS 3.2 as the other side of the benchmarks: a configuration of our own in a temporary
// directory, as lean as its documentation allows, so that the comparison flatters nobody.
// Users come from its `files` module or from PostgreSQL; accounting goes to PostgreSQL (radacct,
// with the queries and the schema that its package ships) or is answered and forgotten.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureDebianPackage } from './ensure-package.ts';
import { freeUdpPort } from './free-port.ts';
import type { PostgresServer } from './postgres.ts';
import type { ServerProcess } from './server-process.ts';
import { startServerProcess } from './server-process.ts';

export type Freeradius = AsyncDisposable & {
  readonly process: ServerProcess;
  readonly authPort: number;
  readonly acctPort: number;
};

/** Where FreeRADIUS finds PostgreSQL. The role may create tables. */
type FreeradiusDatabase = Pick<PostgresServer, 'socketDirectory' | 'port' | 'user' | 'database'>;

export type FreeradiusOptions = {
  secret: string;
  /** `user0` to `user<n-1>` with the passwords `pass0` … */
  users: number;
  /** Undefined: users in memory (`files`), accounting answered without being kept. */
  database?: FreeradiusDatabase;
  /** Logins by EAP-TLS instead. */
  eapTls?: FreeradiusEapTls;
  core?: number;
};

type FreeradiusEapTls = {
  certificateFile: string;
  keyFile: string;
  clientCaFile: string;
  maxVersion: '1.2' | '1.3';
};

const CONFIGURATION = '/etc/freeradius/3.0';
const POSTGRES_MODULE = '/usr/lib/freeradius/rlm_sql_postgresql.so';

export async function startFreeradius(options: FreeradiusOptions): Promise<Freeradius> {
  ensureDebianPackage(['freeradius', 'freeradius-postgresql'], ['freeradius']);
  if (options.database !== undefined) requirePostgresModule();
  const directory = mkdtempSync(join(tmpdir(), 'evergate-freeradius-'));
  const authPort = await freeUdpPort();
  const acctPort = await freeUdpPort();
  if (options.database !== undefined) fillDatabase(options.database, options.users);
  writeConfiguration(directory, { ...options, authPort, acctPort });

  await using opened = new AsyncDisposableStack();
  opened.defer(() => rmSync(directory, { recursive: true, force: true }));
  const server = await startServerProcess({
    name: 'FreeRADIUS',
    command: 'freeradius',
    args: ['-f', '-l', 'stdout', '-d', directory],
    ...(options.core === undefined ? {} : { core: options.core }),
    isReady: ({ output }) => output().includes('Ready to process requests'),
  });
  opened.use(server);
  const closing = opened.move();
  return {
    process: server,
    authPort,
    acctPort,
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  };
}

function writeConfiguration(
  directory: string,
  options: FreeradiusOptions & { authPort: number; acctPort: number },
): void {
  const { database, eapTls } = options;
  mkdirSync(join(directory, 'run'));
  writeFileSync(join(directory, 'dictionary'), '');
  writeFileSync(join(directory, 'users'), database === undefined ? usersFile(options.users) : '');
  writeFileSync(
    join(directory, 'radiusd.conf'),
    `
prefix = /usr
libdir = /usr/lib/freeradius
confdir = ${CONFIGURATION}
modconfdir = ${CONFIGURATION}/mods-config
run_dir = ${directory}/run
pidfile = ${directory}/run/pid
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
log {
  auth = no
}
security {
  reject_delay = 0
  status_server = yes
}
# The client sends a Message-Authenticator, which FreeRADIUS then checks, as Evergate does.
client bench {
  ipaddr = 127.0.0.0/8
  secret = ${options.secret}
}
thread pool {
  start_servers = 5
  max_servers = 32
  min_spare_servers = 3
  max_spare_servers = 10
}
modules {
  pap {
  }
  expr {
  }
  always ok {
    rcode = ok
  }
  files {
    usersfile = ${directory}/users
  }
  ${database === undefined ? '' : sqlModule(database)}
  ${eapTls === undefined ? '' : eapModule(eapTls)}
}
policy {
  $INCLUDE ${CONFIGURATION}/policy.d/accounting
}
server default {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = ${options.authPort}
    recv_buff = 4194304
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = ${options.acctPort}
    recv_buff = 4194304
  }
  ${
    eapTls === undefined
      ? `
  authorize {
    ${database === undefined ? 'files' : 'sql'}
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
  }`
      : `
  authorize {
    eap
  }
  authenticate {
    eap
  }`
  }
  preacct {
    acct_unique
  }
  accounting {
    ${database === undefined ? 'ok' : 'sql'}
  }
}
`,
  );
}

/** What mods-available/sql of the package sets, with this database. */
function sqlModule(database: FreeradiusDatabase): string {
  return `
  sql {
    dialect = "postgresql"
    driver = "rlm_sql_postgresql"
    server = "${database.socketDirectory}"
    port = ${database.port}
    login = "${database.user}"
    radius_db = "${database.database}"
    acct_table1 = "radacct"
    acct_table2 = "radacct"
    postauth_table = "radpostauth"
    authcheck_table = "radcheck"
    groupcheck_table = "radgroupcheck"
    authreply_table = "radreply"
    groupreply_table = "radgroupreply"
    usergroup_table = "radusergroup"
    delete_stale_sessions = yes
    pool {
      start = 5
      min = 3
      max = 32
      spare = 10
      uses = 0
      retry_delay = 30
      lifetime = 0
      idle_timeout = 60
    }
    client_table = "nas"
    group_attribute = "SQL-Group"
    $INCLUDE \${modconfdir}/\${.:name}/main/\${dialect}/queries.conf
  }`;
}

/** TLS alone, so that nobody has to ask for it; packets as long as ours. */
function eapModule(options: FreeradiusEapTls): string {
  const { certificateFile, keyFile, clientCaFile, maxVersion } = options;
  return `
  eap {
    default_eap_type = tls
    timer_expire = 60
    max_sessions = 16384
    tls-config common {
      certificate_file = ${certificateFile}
      private_key_file = ${keyFile}
      ca_file = ${clientCaFile}
      auto_chain = no
      fragment_size = 1190
      tls_min_version = "1.2"
      tls_max_version = "${maxVersion}"
      cipher_list = "DEFAULT"
      ecdh_curve = "X25519:prime256v1"
      cache {
        enable = no
      }
    }
    tls {
      tls = common
    }
  }`;
}

/** The package with this module has no program of its own that could be looked for. */
function requirePostgresModule(): void {
  if (existsSync(POSTGRES_MODULE)) return;
  if (process.getuid?.() === 0) spawnSync('apt-get', ['install', '-y', 'freeradius-postgresql']);
  if (existsSync(POSTGRES_MODULE)) return;
  throw new Error(
    'this needs rlm_sql_postgresql: install the Debian package freeradius-postgresql',
  );
}

function usersFile(users: number): string {
  let text = '';
  for (let user = 0; user < users; user++) {
    text += `user${user} Cleartext-Password := "pass${user}"\n`;
  }
  return text;
}

function fillDatabase(database: FreeradiusDatabase, users: number): void {
  const run = (args: string[], input?: string) => {
    const at = ['-h', database.socketDirectory, '-p', String(database.port), '-U', database.user];
    const { status, stderr } = spawnSync(
      'psql',
      [...at, '-d', database.database, '-q', '-v', 'ON_ERROR_STOP=1', ...args],
      { encoding: 'utf8', ...(input === undefined ? {} : { input }) },
    );
    if (status !== 0) throw new Error(`preparing the database of FreeRADIUS: ${stderr}`);
  };
  run(['-f', `${CONFIGURATION}/mods-config/sql/main/postgresql/schema.sql`]);
  run(
    ['-f', '-'],
    `truncate radacct, radcheck;
     insert into radcheck (username, attribute, op, value)
     select 'user' || n, 'Cleartext-Password', ':=', 'pass' || n from generate_series(0, ${users - 1}) n;
     vacuum analyze;`,
  );
}
