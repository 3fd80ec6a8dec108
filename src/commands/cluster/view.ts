// What people see of a cluster: a table of its parts, and what happened, in sentences.

import type { PartEvent } from '../../operations/cluster/part.ts';
import type { Condition, PartView } from '../../operations/cluster/look.ts';
import { formatTable } from '../table.ts';
import { bold, cyan, dim, green, red, yellow } from '../terminal.ts';

const SHOWN: Record<Condition, string> = {
  waiting: dim('○ waiting'),
  stopped: dim('○ stopped'),
  down: red('✗ down'),
  frozen: cyan('❄ frozen'),
  up: yellow('◐ up'),
  degraded: yellow('● degraded'),
  ready: `${green('●')} ready`,
};

const ROLES: Record<PartView['role'], string> = {
  radius: 'RADIUS',
  gateway: 'API',
  postgres: 'PostgreSQL',
  redis: 'Redis',
  sentinel: 'Sentinel',
};

/** One line per part, and one above them. */
export function partsTable(views: readonly PartView[]): string[] {
  const heading = ['NAME', 'STATE', 'ROLE', 'LOGINS/S', 'PORTS', 'PID', ''].map(dim);
  const rows = views.map((view) => [
    bold(view.name),
    stateOf(view),
    roleOf(view),
    rateOf(view),
    portsOf(view),
    view.pid === undefined ? dim('–') : String(view.pid),
    dim(view.detail ?? ''),
  ]);
  return formatTable([heading, ...rows]).split('\n');
}

function roleOf({ role, isPrimary, condition }: PartView): string {
  if (isPrimary === true) return `${ROLES[role]} ${green('primary')}`;
  return role === 'redis' && isPrimary === false && condition !== 'down'
    ? `${ROLES[role]} ${dim('replica')}`
    : ROLES[role];
}

/** Right-aligned under its heading. */
function rateOf({ loginsPerSecond }: PartView): string {
  if (loginsPerSecond === undefined) return '';
  const text = loginsPerSecond.toFixed(loginsPerSecond < 10 ? 1 : 0).padStart('LOGINS/S'.length);
  return loginsPerSecond === 0 ? dim(text) : text;
}

/** RADIUS ports are written as everybody does: logins/accounting. */
function portsOf({ ports }: PartView): string {
  const { auth, acct, http, tcp } = ports;
  const radius = auth === undefined ? [] : [`${auth}/${acct}`];
  const health = http === undefined ? [] : [`${dim('http')} ${http}`];
  return [...radius, ...health, ...(tcp === undefined ? [] : [String(tcp)])].join(' ');
}

function stateOf({ condition, restartsInMs }: PartView): string {
  return restartsInMs === undefined
    ? SHOWN[condition]
    : `${SHOWN[condition]}, ${Math.ceil(restartsInMs / 1000)} s`;
}

/** Undefined for what the table alone may say. */
export function eventSentence(event: PartEvent): string | undefined {
  const { part } = event;
  switch (event.kind) {
    case 'died': {
      const after = event.restartsInMs;
      const next = after === undefined ? 'it stays down' : `it starts again in ${after / 1000} s`;
      return `${part}: ${red('died')} (${event.how}); ${next}`;
    }
    case 'not-restarted':
      return `${part}: ${red('could not be started')}, ${event.why}`;
    case 'frozen':
      return `${part}: ${cyan('frozen')}`;
    case 'thawed':
      return `${part}: thawed`;
    case 'started':
    case 'ready':
    case 'stopped':
      return undefined;
  }
}

/** What is another way than when it was last looked, in sentences. */
export function changes(before: readonly PartView[], now: readonly PartView[]): string[] {
  const turned = now.flatMap((view) => {
    const old = before.find(({ name }) => name === view.name);
    const turn = old === undefined ? undefined : turnOf(old, view);
    return turn === undefined ? [] : [{ name: view.name, turn }];
  });
  // One cause shows on several parts at once: one sentence says it.
  const byTurn = Map.groupBy(turned, ({ turn }) => turn);
  return [...byTurn].map(([turn, parts]) => `${listed(parts.map(({ name }) => name))}: ${turn}`);
}

function turnOf(old: PartView, { condition, detail, isPrimary }: PartView): string | undefined {
  if (isPrimary === true && old.isPrimary === false) return `${green('primary')} now`;
  if (old.condition === condition && old.detail === detail) return undefined;
  switch (condition) {
    case 'ready':
      return `${green('ready')} again`;
    case 'degraded':
      return `${yellow('degraded')}, works ${detail ?? ''}`.trimEnd();
    case 'up': {
      const isOnItsWay = ['waiting', 'down', 'frozen', 'up'].includes(old.condition);
      return isOnItsWay ? undefined : `${yellow('not ready')}, ${detail ?? 'and says no reason'}`;
    }
    case 'down':
    case 'frozen':
    case 'stopped':
    case 'waiting':
      return undefined; // these are events, and have been told
  }
}

function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? '';
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`;
}
