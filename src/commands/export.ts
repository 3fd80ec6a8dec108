// `evergate export`: the present state as a file that `apply` takes.

import { stringify } from 'yaml';
import { gatewayFrom } from './gateway-client.ts';
import type { GatewayOptions } from './gateway-client.ts';
import { print, printJson } from './terminal.ts';

export async function exportState(
  options: GatewayOptions & { secrets?: boolean; json?: boolean },
): Promise<void> {
  const state = await gatewayFrom(options).request(
    'GET',
    `/v1/export${options.secrets === true ? '?secrets=true' : ''}`,
  );
  if (options.json === true) printJson(state);
  else print(stringify(state, { lineWidth: 0 }).trimEnd());
}
