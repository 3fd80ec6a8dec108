// Imports point one way. This is the table of ARCHITECTURE.md, held by a test.

import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, resolve, dirname } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

const mayImport: Record<string, readonly string[]> = {
  protocols: [],
  domain: [],
  runtime: [],
  stores: ['domain', 'runtime'],
  services: ['protocols', 'domain', 'runtime'],
  operations: ['stores', 'protocols', 'domain', 'runtime'],
  commands: ['services', 'operations', 'runtime'],
};

/** Time, chance, the network and timers come from src/runtime/, so that a simulation can stand in for them. */
const onlyInRuntime = [
  { what: 'Date.now', pattern: /\bDate\.now\(/ },
  { what: 'new Date() without an argument', pattern: /\bnew Date\(\)/ },
  { what: 'Math.random', pattern: /\bMath\.random\(/ },
  { what: 'setTimeout', pattern: /(?<![.\w])setTimeout\(/ },
  { what: 'setInterval', pattern: /(?<![.\w])setInterval\(/ },
  { what: 'node:dgram', pattern: /from 'node:dgram'/ },
  { what: 'fetch', pattern: /(?<![.\w])fetch\(/ },
] as const;

/** Pure folders compute; everything comes as arguments. node:crypto computes, so it is allowed. */
const forbiddenInPure =
  /from '(?:node:(?!crypto|assert|buffer|util)[\w/]+|pg|ioredis|fastify|kysely|pino)'/;

type SourceFile = { path: string; folder: string; code: string; imports: string[] };

function sourceFiles(): SourceFile[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .map((name) => {
      const code = readFileSync(join(src, name), 'utf8');
      const imports = [...code.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)].map((match) =>
        relative(src, resolve(src, dirname(name), match[1] ?? '')),
      );
      return { path: name, folder: name.split('/')[0] ?? '', code, imports };
    });
}

const files = sourceFiles();

test.each(files.map((file) => [file.path, file] as const))(
  'imports of %s point one way',
  (path, file) => {
    const wrong = file.imports.filter((imported) => !mayImportFile(file, imported));
    expect(path === 'main.ts' ? [] : wrong).toEqual([]);
  },
);

function mayImportFile(file: SourceFile, imported: string): boolean {
  const [folder = '', service] = imported.split('/');
  const isWiring = file.folder === 'services' && file.path.endsWith('/start.ts');
  if (folder === 'stores' && isWiring) return true;
  if (folder !== file.folder) return mayImport[file.folder]?.includes(folder) === true;
  return folder !== 'services' || service === file.path.split('/')[1]; // services do not meet in code
}

test('time, chance and the network live in src/runtime/ alone', () => {
  const found = files
    .filter((file) => file.folder !== 'runtime')
    .flatMap((file) =>
      onlyInRuntime
        .filter(({ pattern }) => pattern.test(file.code))
        .map(({ what }) => `${file.path}: ${what}`),
    );
  expect(found).toEqual([]);
});

test('protocols and domain are pure', () => {
  const found = files
    .filter((file) => ['protocols', 'domain'].includes(file.folder))
    .filter((file) => forbiddenInPure.test(file.code))
    .map((file) => file.path);
  expect(found).toEqual([]);
});

test('there is no index.ts: import the file you mean', () => {
  expect(files.filter((file) => file.path.endsWith('index.ts')).map((file) => file.path)).toEqual(
    [],
  );
});
