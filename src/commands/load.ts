// The configuration as a command sees it: the file, the environment, and its own options.

import { loadConfig } from '../runtime/config.ts';
import type { LoadedConfig } from '../runtime/config.ts';

export type ConfigOptions = { config?: string; data?: string; json?: boolean };

export function loadFor(options: ConfigOptions): LoadedConfig {
  const overrides = [];
  if (options.data !== undefined) {
    overrides.push({ key: 'data', text: options.data, option: '--data' } as const);
  }
  if (options.json === true) {
    overrides.push({ key: 'log.format', text: 'json', option: '--json' } as const);
  }
  return loadConfig({ file: options.config, environment: process.env, overrides });
}
