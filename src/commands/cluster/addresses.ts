// The line that `evergate cluster up --json` prints: where everything is. It names the files of
// passwords instead of the passwords, because such a line ends up in logs.

import type { Cluster } from '../../operations/cluster/cluster.ts';

export async function addressesJson(cluster: Cluster) {
  const { host, nodes, gatewayUrl, adminTokenFile, database, state } = cluster.addresses();
  const pidOf = (name: string) => cluster.part(name).pid();
  return {
    data: cluster.directory,
    pid: process.pid,
    host,
    nodes: nodes.map(({ name, authPort, acctPort, httpPort }) => ({
      name,
      pid: pidOf(name),
      auth_port: authPort,
      acct_port: acctPort,
      http_port: httpPort,
    })),
    gateway: { pid: pidOf('gateway'), url: gatewayUrl, token_file: adminTokenFile },
    database: {
      pid: pidOf('postgres'),
      port: database.port,
      user: database.user,
      name: database.name,
      version: database.version,
      password_file: database.passwordFile,
    },
    state: {
      program: state.program,
      servers: state.servers.map((port) => `${host}:${port}`),
      sentinels: state.sentinels.map((port) => `${host}:${port}`),
      master_name: state.masterName,
      primary: await cluster.redisPrimary(),
      password_file: state.passwordFile,
    },
    logs: `${cluster.directory}/logs`,
  };
}
