// What lies in deploy/ is used as it stands: it must be what the program understands.

import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../src/runtime/config.ts';
import { variableOf } from '../src/runtime/config/keys.ts';

const deploy = resolve(import.meta.dirname, '../deploy');
const nodes = ['radius-1', 'radius-2', 'radius-3'];

test('the nodes of the example cluster differ in their names alone', () => {
  const configs = nodes.map(
    (node) => loadConfig({ file: join(deploy, `cluster/${node}.yaml`), environment: {} }).config,
  );
  expect(configs.map(({ node }) => node)).toEqual(nodes);
  expect(new Set(configs.map((config) => JSON.stringify({ ...config, node: '' }))).size).toBe(1);
});

test('the variables that the units set are ones that we read', () => {
  const known = ['database.url', 'state.url', 'secrets.key'].map(
    (key) => `${variableOf(key)}_FILE`,
  );
  const units = readdirSync(join(deploy, 'systemd')).map((name) =>
    readFileSync(join(deploy, 'systemd', name), 'utf8'),
  );
  const set = units.flatMap((unit) =>
    [...unit.matchAll(/^Environment=(\w+)=/gm)].map(([, name]) => name),
  );
  expect(new Set(set)).toEqual(new Set(['EVERGATE_CONFIG', ...known]));
  expect(units.map((unit) => /^ExecStart=.* start (\w+)$/m.exec(unit)?.[1]).toSorted()).toEqual([
    'gateway',
    'radius',
  ]);
});
