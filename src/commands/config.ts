// `evergate config`: what is in effect and where it came from. Secrets are hidden.

import { KEYS, KEY_NAMES, OTHER_VARIABLES, variableOf } from '../runtime/config/keys.ts';
import type { Key } from '../runtime/config/keys.ts';
import { loadFor } from './load.ts';
import type { ConfigOptions } from './load.ts';
import { formatTable } from './table.ts';
import { bold, dim, print, printJson } from './terminal.ts';

export function config(options: ConfigOptions & { markdown?: boolean }): void {
  if (options.markdown === true) {
    print(configurationPage());
    return;
  }
  const { settings, file } = loadFor({ ...options, json: false });
  if (options.json === true) {
    const entries = settings.map(({ key, value, source }) => [key, { value, source }]);
    printJson({ file: file ?? null, settings: Object.fromEntries(entries) as unknown });
    return;
  }
  const rows = settings.map(({ key, value, source }) => {
    const isDefault = source === 'default';
    const shown = value ?? dim('not set');
    return [isDefault ? key : bold(key), isDefault ? shown : bold(shown), dim(source)];
  });
  print(formatTable([[dim('KEY'), dim('VALUE'), dim('FROM')], ...rows]));
}

/** docs/configuration.md, from the same table that the program reads. */
export function configurationPage(): string {
  const lines = [
    '# Configuration',
    '',
    'Read once, at start: `evergate.yaml` (`--config FILE`, else `EVERGATE_CONFIG`, else the file of that name in the',
    'working directory) and the environment, which wins. An unknown key or an impossible value stops the start with one',
    'sentence that says where it is and what is allowed. `evergate config` prints what is in effect and where it came from.',
    '',
    'Secrets can also be read from a file: `EVERGATE_HEALTH_TOKEN_FILE=/run/secrets/token`. An empty variable counts as',
    'not set. Relative paths begin at the working directory.',
    '',
    'This page is made by `evergate config --markdown`.',
    '',
    '| Key | Variable | Default | Allowed | What it is for |',
    '|---|---|---|---|---|',
  ];
  for (const name of KEY_NAMES) {
    const key: Key<unknown> = KEYS[name];
    const fallback = typeof key.default === 'function' ? '' : key.default;
    const shown = key.defaultShown ?? (fallback === undefined ? '–' : `\`${fallback}\``);
    const notes = [key.description, ...(key.secret === true ? ['Secret.'] : [])];
    const cells = [
      `\`${name}\``,
      `\`${variableOf(name)}\``,
      shown,
      key.kind.allowed,
      notes.join(' '),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  lines.push('', 'Other variables:', '', '| Variable | What it is for |', '|---|---|');
  for (const [variable, description] of Object.entries(OTHER_VARIABLES)) {
    lines.push(`| \`${variable}\` | ${description} |`);
  }
  return lines.join('\n');
}
