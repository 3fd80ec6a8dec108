// The package as somebody gets it from a registry: built, packed and unpacked under node_modules,
// where Node runs no TypeScript and where there is no src/. The packages it depends on are ours, so
// that nothing is downloaded.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freeTcpPort, freeUdpPort } from '../servers/free-port.ts';
import { startServerProcess } from '../servers/server-process.ts';
import type { ServerProcess } from '../servers/server-process.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const MODULES = join(ROOT, 'node_modules');

/** Somebody's project, with Evergate among its packages. */
let project = '';
let installed = '';

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'evergate-package-'));
  installed = join(project, 'node_modules/evergate');
  mkdirSync(installed, { recursive: true });
  npm('run', 'build');
  // Without the scripts: `prepare` would set up the git hooks of this clone.
  npm('pack', '--ignore-scripts', '--offline', '--pack-destination', project);
  const archive = readdirSync(project).find((name) => name.endsWith('.tgz')) ?? 'no archive';
  execFileSync('tar', ['-xzf', join(project, archive), '-C', installed, '--strip-components=1']);
  symlinkSync(MODULES, join(installed, 'node_modules'));
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

function npm(...args: string[]): void {
  const path = join(MODULES, '.bin') + delimiter + (process.env['PATH'] ?? '');
  const env = { ...process.env, PATH: path, npm_config_update_notifier: 'false' };
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd: ROOT, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')} failed:\n${stdout}${stderr}`);
}

function evergate(args: string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(join(installed, 'bin/evergate'), args, {
    encoding: 'utf8',
    cwd: project,
    env: { ...process.env, ...environment },
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

/** Runs a module of somebody's project. */
function node(file: string, code: string) {
  writeFileSync(join(project, file), code);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
    encoding: 'utf8',
    cwd: project,
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

test('packing builds first', () => {
  const { scripts } = manifest();
  expect(scripts['prepack']).toBe(scripts['build']);
});

test('it holds what is compiled, what is read beside it, the manual and the examples', () => {
  const files = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !path.startsWith('node_modules/'),
  );
  expect(files).toEqual(
    expect.arrayContaining([
      'bin/evergate',
      'docs/configuration.md',
      'examples/hotspot.yaml',
      'README.md',
      'LICENSE',
    ]),
  );
  expect(filesBelow(join(installed, 'dist'), '.sql')).toEqual(
    filesBelow(join(ROOT, 'src'), '.sql'),
  );
  expect(filesBelow(join(installed, 'dist'), '.node')).toEqual(
    filesBelow(join(ROOT, 'src'), '.node'),
  );
  const sources = files.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'));
  expect(sources).toEqual([]);
  expect(files.filter((path) => path.includes('.test.'))).toEqual([]);
});

test('it says its version and its configuration', () => {
  const version = `${manifest().version}\n`;
  expect(evergate(['--version'])).toEqual({ status: 0, stdout: version, stderr: '' });
  const config = evergate(['config', '--json'], { EVERGATE_RADIUS_WORKERS: '2' });
  expect(config).toMatchObject({ status: 0, stderr: '' });
  expect(config.stdout).toContain('radius.workers');
  expect(() => void JSON.parse(config.stdout)).not.toThrow();
});

test('`up` with two workers lets a subscriber in, and stops in order', async () => {
  const authPort = await freeUdpPort();
  const environment = {
    EVERGATE_DATA: join(project, 'data'),
    EVERGATE_RADIUS_WORKERS: '2',
    EVERGATE_RADIUS_HOST: '127.0.0.1',
    EVERGATE_RADIUS_AUTH_PORT: String(authPort),
    EVERGATE_RADIUS_ACCT_PORT: String(await freeUdpPort()),
    EVERGATE_GATEWAY_HOST: '127.0.0.1',
    EVERGATE_GATEWAY_PORT: String(await freeTcpPort()),
  };
  await using up = await startServerProcess({
    name: 'the packed evergate up',
    command: join(installed, 'bin/evergate'),
    args: ['up', '--apply', join(installed, 'examples/hotspot.yaml')],
    environment,
    workingDirectory: project,
    isReady: (process) => readyLine(process) !== undefined,
    readyWithinMs: 90_000,
  });
  const addon = `runtime/udp/prebuilt/${process.platform}-${process.arch}.node`;
  const engine = existsSync(join(installed, 'dist', addon)) ? 'batched' : 'dgram';
  expect(readyLine(up)).toMatchObject({ database: 'embedded', udp_engine: engine });

  const server = `127.0.0.1:${authPort}`;
  for (const method of ['pap', 'mschapv2']) {
    const login = ['login', 'alice', 'wonderland', '--server', server, '--method', method];
    const accepted = evergate([...login, '--json'], environment);
    expect(accepted).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(accepted.stdout)).toMatchObject({ outcome: 'accepted', method });
  }
  expect(await up.stop()).toEqual({ code: 0, signal: null });
});

test('`evergate/radius` can be imported, and its types hold', () => {
  const code = `import { parsePacket } from 'evergate/radius';
const packet = parsePacket(Buffer.from('0c2a0014' + '00'.repeat(16), 'hex'));
if (packet.kind === 'packet') console.log(packet.code, packet.identifier);
`;
  expect(node('parse.mjs', code)).toEqual({ status: 0, stdout: '12 42\n', stderr: '' });

  const mistake = `// @ts-expect-error: a packet is no number, and the compiler knows
export const wrong: number = packet;
`;
  writeFileSync(join(project, 'parse.mts'), code + mistake);
  const options = { strict: true, noEmit: true, types: ['node'], target: 'es2024' };
  const typeRoots = [join(MODULES, '@types')];
  for (const resolution of [
    { module: 'nodenext', moduleResolution: 'nodenext' },
    { module: 'esnext', moduleResolution: 'bundler' },
  ]) {
    const compilerOptions = { ...options, typeRoots, ...resolution };
    const config = JSON.stringify({ compilerOptions, files: ['parse.mts'] });
    writeFileSync(join(project, 'tsconfig.json'), config);
    const tsc = spawnSync(join(MODULES, '.bin/tsc'), ['-p', project], { encoding: 'utf8' });
    expect(tsc).toMatchObject({ status: 0, stdout: '' });
  }
});

test('the examples of its guide run as they stand there', async () => {
  const [looking = '', printed = ''] = blocksOf('Look into a packet');
  const looked = node('look.mjs', looking);
  expect(looked).toMatchObject({ status: 0, stderr: '' });
  const spaceless = (text: string) => text.replaceAll(/\s+/g, ''); // Node breaks lines by itself
  expect(spaceless(looked.stdout)).toBe(spaceless(printed));

  const port = String(await freeUdpPort());
  const [server = ''] = blocksOf('A server');
  writeFileSync(join(project, 'server.mjs'), server.replace('1812', port));
  const serving = spawn(process.execPath, ['server.mjs'], { cwd: project, stdio: 'ignore' });
  try {
    const [login = '', prints = ''] = blocksOf('A client');
    writeFileSync(join(project, 'login.mjs'), again(login.replace('1812', port)));
    const args = ['login.mjs', 'alice', 'wonderland'];
    const { stdout } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
      cwd: project,
      timeout: 30_000,
    });
    // One line is chance; the others are what the guide says.
    const constant = (text: string) => text.replace(/0x[0-9a-f]{32}/, '0x…');
    expect(constant(stdout)).toBe(constant(prints));
  } finally {
    serving.kill();
    await once(serving, 'exit');
  }
});

/** The client of the guide asks once; here the server may not listen yet. */
function again(login: string): string {
  const send = /^socket\.send\(.*\);$/m.exec(login)?.[0] ?? '';
  return login.replace(
    send,
    `const asking = setInterval(() => ${send.slice(0, -1)}, 200);
socket.on('close', () => clearInterval(asking));`,
  );
}

/** The code blocks under a heading of docs/guides/radius-library.md. */
function blocksOf(heading: string): string[] {
  const guide = readFileSync(join(installed, 'docs/guides/radius-library.md'), 'utf8');
  const section = guide.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^```\w*\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

type Manifest = { version: string; scripts: Record<string, string> };

function manifest(): Manifest {
  return JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
}

function filesBelow(directory: string, suffix: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(suffix))
    .toSorted();
}

function readyLine(process: ServerProcess): Record<string, unknown> | undefined {
  const line = process
    .output()
    .split('\n')
    .find((candidate) => candidate.includes('"message":"ready"'));
  return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>);
}
