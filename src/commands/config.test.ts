import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configurationPage } from './config.ts';

test('docs/configuration.md is what `evergate config --markdown` prints', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  expect(page).toBe(`${configurationPage()}\n`);
});
