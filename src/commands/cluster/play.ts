// `evergate cluster status|stop|kill|freeze|thaw|start`: a running cluster, spoken to from another
// process.

import { resolve } from 'node:path';
import { actOnPart, askStatus, stopCluster } from '../../operations/cluster/control.ts';
import type { PartAction } from '../../operations/cluster/control.ts';
import type { PartView } from '../../operations/cluster/look.ts';
import { quietRuntime } from '../quiet-runtime.ts';
import { bold, cyan, dim, green, print, printJson, red } from '../terminal.ts';
import { partsTable } from './view.ts';

type PlayOptions = { data: string; json?: boolean };

export async function clusterStatus(options: PlayOptions): Promise<void> {
  const views = await askStatus(resolve(options.data));
  if (options.json === true) printJson({ parts: views.map(partJson) });
  else print(partsTable(views).join('\n'));
}

export async function clusterStop(options: PlayOptions): Promise<void> {
  const stopped = await stopCluster(resolve(options.data), quietRuntime());
  if (options.json === true) {
    printJson(stopped);
    return;
  }
  switch (stopped.kind) {
    case 'stopped':
      print(`the cluster in ${options.data} is stopped`);
      return;
    case 'cleaned':
      print(
        `the cluster in ${options.data} had been killed; ended: ${stopped.leftovers.join(', ')}`,
      );
      return;
    case 'none':
      print(`no cluster runs in ${options.data}`);
      return;
  }
}

const DONE: Record<PartAction, string> = {
  kill: red('killed'),
  freeze: cyan('frozen'),
  thaw: green('thawed'),
  start: green('ready'),
};

export async function actOnCluster(
  action: PartAction,
  name: string,
  options: PlayOptions,
): Promise<void> {
  const pid = await actOnPart(resolve(options.data), action, name);
  if (options.json === true) printJson({ action, name, pid });
  else print(`${DONE[action]}  ${bold(name)}  ${dim(`process ${pid}`)}`);
}

function partJson(view: PartView) {
  const { name, role, condition, detail, pid, ports, loginsPerSecond, isPrimary } = view;
  return {
    name,
    role,
    state: condition,
    ...(detail === undefined ? {} : { detail }),
    pid: pid ?? null,
    ports,
    ...(loginsPerSecond === undefined ? {} : { logins_per_second: loginsPerSecond }),
    ...(isPrimary === undefined ? {} : { primary: isPrimary }),
  };
}
