// `evergate cluster`: a whole cluster on this machine, to try it, to watch it and to break it. The
// sub-commands are described here; each is loaded only when it is called.

import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

export function addClusterCommands(cluster: Command): void {
  const data = () =>
    new Option('--data <directory>', 'directory of the cluster').default('./cluster', './cluster');
  const json = () => new Option('--json', 'print JSON');

  cluster.helpCommand(false);
  cluster
    .command('up')
    .description('start nodes, a gateway, PostgreSQL, Redis and Sentinels, and show how they are')
    .option('--nodes <n>', 'how many radius nodes', wholeNumber, 3)
    .option('--apply <file>', 'apply this file once everything runs')
    .option('--port-base <port>', 'the first of 100 ports (default: free ones)', wholeNumber)
    .option('--no-restart', 'leave down what dies')
    .addOption(data())
    .addOption(new Option('--json', 'print one line of JSON with all addresses'))
    .action(async (options) => (await import('./cluster/up.ts')).clusterUp(options));

  cluster
    .command('status')
    .description('show how its parts are')
    .addOption(data())
    .addOption(json())
    .action(async (options) => (await import('./cluster/play.ts')).clusterStatus(options));

  cluster
    .command('stop')
    .description('stop it in order, and end what a killed one left behind')
    .addOption(data())
    .addOption(json())
    .action(async (options) => (await import('./cluster/play.ts')).clusterStop(options));

  for (const [action, description] of [
    ['kill', 'SIGKILL a part, such as radius-2, postgres or redis-1'],
    ['freeze', 'SIGSTOP a part: its connections stay open and nobody answers'],
    ['thaw', 'SIGCONT a frozen part'],
    ['start', 'start a part that is down, and wait until it answers'],
  ] as const) {
    cluster
      .command(action)
      .description(description)
      .argument('<name>')
      .addOption(data())
      .addOption(json())
      .action(async (name: string, options) =>
        (await import('./cluster/play.ts')).actOnCluster(action, name, options),
      );
  }
}

function wholeNumber(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(value);
}
