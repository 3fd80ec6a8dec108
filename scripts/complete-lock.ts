// Completes package-lock.json after `npm install`. A platform package that this machine could not
// fetch is missing from the lockfile, and `npm ci` then refuses on every machine. An entry without
// an integrity is enough: npm tries it, and an optional package may fail.
// With --check it changes nothing and exits 1 when something is missing.

import { readFileSync, writeFileSync } from 'node:fs';

type LockEntry = {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  optionalDependencies?: Record<string, string>;
};

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, LockEntry> };
const missing: string[] = [];

for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined || !/^\d/.test(version)) continue;
    missing.push(name);
    lock.packages[key] = { version, optional: true, ...(entry.dev === true ? { dev: true } : {}) };
  }
}

if (missing.length > 0 && process.argv.includes('--check')) {
  console.error(`package-lock.json lacks ${missing.join(', ')}. Run: npm run complete-lock`);
  process.exit(1);
}
if (missing.length > 0) {
  lock.packages = Object.fromEntries(
    Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
}
console.log(missing.length === 0 ? 'package-lock.json is complete' : `added ${missing.join(', ')}`);
