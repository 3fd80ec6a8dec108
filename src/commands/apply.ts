// `evergate apply FILE`: what the file says becomes true, or nothing changes and the lines that are
// wrong are named. The gateway judges and writes; `up --apply` comes through here as well.

import type { Gateway, GatewayOptions } from './gateway-client.ts';
import { Refused, gatewayFrom } from './gateway-client.ts';
import { readDesiredState } from './desired-state.ts';
import type { DesiredStateFile } from './desired-state.ts';
import { formatTable } from './table.ts';
import { dim, green, print, printJson, yellow } from './terminal.ts';

export type AppliedChange = { kind: string; name: string; change: string };

export async function apply(
  file: string,
  options: GatewayOptions & { json?: boolean },
): Promise<void> {
  const applied = await applyFile(file, gatewayFrom(options));
  if (options.json === true) printJson(applied);
  else print(describeChanges(applied.changes));
}

export async function applyFile(
  path: string,
  gateway: Gateway,
): Promise<{ changes: AppliedChange[] }> {
  const file = readDesiredState(path);
  try {
    const answer = await gateway.request('POST', '/v1/apply', file.content);
    return answer as { changes: AppliedChange[] };
  } catch (error) {
    throw error instanceof Refused && error.errors.length > 0 ? withPlaces(error, file) : error;
  }
}

/** The same refusal, with lines instead of pointers. */
function withPlaces(refused: Refused, file: DesiredStateFile): Error {
  const [first, ...others] = refused.errors.map(({ pointer, detail }) =>
    pointer === undefined ? detail : `${file.locate(pointer)}: ${detail}`,
  );
  const more = others.length === 0 ? '' : ` (and ${others.length} more: ${others.join('; ')})`;
  return new Error(`nothing was changed. ${first}${more}`);
}

export function describeChanges(changes: readonly AppliedChange[]): string {
  const changed = changes.filter(({ change }) => change !== 'unchanged');
  const unchanged = changes.length - changed.length;
  const rows = changed.map(({ kind, name, change }) => [
    change === 'created' ? green('+ created') : yellow('~ changed'),
    kind,
    name,
  ]);
  const summary =
    changed.length === 0
      ? `nothing to change: ${unchanged} of ${changes.length} were so already`
      : dim(`${changed.length} changed, ${unchanged} were so already`);
  return [...(rows.length === 0 ? [] : [formatTable(rows)]), summary].join('\n');
}
