// docs/requirements.md is the ledger of the project: this holds it honest. Each row is there once, what
// it names exists, and whatever it calls done names a test. The links of the other pages are held too.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** How many rows each letter of the ledger has. */
const ROWS = {
  R: 18,
  S: 17,
  N: 12,
  A: 6,
  P: 9,
  G: 12,
  H: 16,
  M: 10,
  L: 14,
  E: 16,
  D: 17,
  C: 8,
  B: 19,
  K: 16,
  F: 16,
  T: 19,
  Q: 10,
  O: 8,
  X: 9,
  W: 6,
  Z: 6,
};
const STATES = ['done', 'part', 'not yet'];
const RELEASES = [
  '802.1X',
  'hotspot',
  'auth and payments',
  'gateway and events',
  'operations',
  'console',
];

type Row = { id: string; state: string; where: string; proof: string };

const page = read('docs/requirements.md');
const rows: Row[] = page
  .split('\n')
  .filter((line) => /^\| [A-Z]\d+ \|/.test(line))
  .map((line) => {
    const [, id = '', , state = '', where = '', proof = ''] = line
      .split('|')
      .map((cell) => cell.trim());
    return { id, state, where, proof };
  });

test('each row of the ledger is there exactly once', () => {
  const ledger = Object.entries(ROWS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
  );
  expect(rows.map(({ id }) => id).toSorted()).toEqual(ledger.toSorted());
});

test('each row has a state, and the page counts them rightly', () => {
  for (const { id, state } of rows) expect(STATES, id).toContain(state);
  for (const state of STATES) {
    const count = rows.filter((row) => row.state === state).length;
    expect(page).toMatch(new RegExp(`^\\| \`${state}\` \\|.*\\| ${count} \\|$`, 'm'));
  }
});

test('each path that is named exists', () => {
  for (const path of pathsIn(page)) expect(existsSync(join(root, path)), path).toBe(true);
});

test('what is done says where it lives and which test holds it', () => {
  for (const { id, where, proof } of rows.filter(({ state }) => state === 'done')) {
    expect(pathsIn(where), `${id} lives nowhere`).not.toEqual([]);
    expect(testsIn(proof), `${id} names no test`).not.toEqual([]);
  }
});

test('what is not yet done says which release brings it', () => {
  for (const { id, proof } of rows.filter(({ state }) => state === 'not yet')) {
    expect(RELEASES, id).toContain(/^Release "([^"]+)"/.exec(proof)?.[1]);
  }
});

test('each test that is quoted is in a file that its row names', () => {
  for (const { id, where, proof } of rows) {
    const quoted = [...proof.matchAll(/"([^"]+)"/g)].map(([, text = '']) => text);
    const names = quoted.filter((text) => !RELEASES.includes(text));
    const code = testsIn(`${where} ${proof}`).map(sourceOf).join('\n');
    for (const name of names) expect(code, id).toContain(name.replaceAll(/^… | …$/g, ''));
  }
});

test('the README has its section on high availability', () => {
  expect(read('README.md')).toMatch(/^## High availability$/m);
});

test('each link of a page leads somewhere', () => {
  const broken = pages().flatMap((path) => {
    const links = [...read(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
    return links.filter((link) => !leadsSomewhere(path, link)).map((link) => `${path}: ${link}`);
  });
  expect(broken).toEqual([]);
});

function pathsIn(text: string): string[] {
  const quoted = [...text.matchAll(/`([^`\s]+)`/g)].map(([, path = '']) => path);
  return quoted.filter((path) =>
    /^(src|tests|docs|scripts|bin|examples|deploy)\/|\.md$/.test(path),
  );
}

function testsIn(text: string): string[] {
  return pathsIn(text).filter((path) => path.endsWith('.test.ts'));
}

/** A suite that several stores are held to lies beside its test, in a file of laws. */
function sourceOf(path: string): string {
  const laws = path.replace('.test.ts', '-laws.ts');
  return read(path) + (existsSync(join(root, laws)) ? read(laws) : '');
}

function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  const inDocs = docs.filter((path) => path.endsWith('.md')).map((path) => join('docs', path));
  return ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...inDocs];
}

function leadsSomewhere(from: string, link: string): boolean {
  if (/^[a-z]+:/.test(link)) return true; // the tests use no network
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : join(dirname(from), path);
  if (!existsSync(join(root, target))) return false;
  return anchor === undefined || anchorsOf(read(target)).includes(anchor);
}

/** As code forges make them of headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
