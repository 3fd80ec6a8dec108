// `npm run build`: compiles src/ into dist/, for machines that get Evergate as a package, where Node
// runs no TypeScript. What is not TypeScript keeps its place beside the module that reads it.
// `npm pack` runs this first; in a clone nothing needs dist/.

import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const source = join(root, 'src');
const output = join(root, 'dist');

/** Compiled, or of use only to those who compile. */
const LEFT_BEHIND = ['.ts', '.c', '.sha256'];

rmSync(output, { recursive: true, force: true }); // a module that is gone must not be packed
const tsc = join(root, 'node_modules/.bin/tsc');
// No source maps: the package has no src/ that they could point to.
const { status } = spawnSync(tsc, ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (status !== 0) process.exit(1);

for (const entry of readdirSync(source, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || LEFT_BEHIND.includes(extname(entry.name))) continue;
  const path = join(entry.parentPath, entry.name);
  cpSync(path, join(output, path.slice(source.length)));
}
