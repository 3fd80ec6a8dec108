import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDictionary } from './dictionary.ts';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-dictionary-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function written(text: string): string {
  const file = join(directory, 'dictionary');
  writeFileSync(file, text);
  return file;
}

test('an attribute of the operator stands beside those we come with', () => {
  const file = written(
    'VENDOR Cafe 54321\nBEGIN-VENDOR Cafe\nATTRIBUTE Cafe-Table 1 integer\nEND-VENDOR Cafe\n',
  );
  const dictionary = loadDictionary(file);
  expect(dictionary.attribute('Cafe-Table')).toMatchObject({ vendorId: 54321, path: [1] });
  expect(dictionary.attribute('User-Name')).toBeDefined();
});

test('a line that makes no sense is named', () => {
  const file = written('ATTRIBUTE Cafe-Table one integer\n');
  expect(() => loadDictionary(file)).toThrow(`${file}:1`);
});

test('a file that is not there is named', () => {
  expect(() => loadDictionary('/nowhere/dictionary')).toThrow(
    '/nowhere/dictionary: cannot be read',
  );
});
