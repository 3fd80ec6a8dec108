// The command line as a stranger meets it: what is wrong is said in one line on standard error, and
// the exit code tells wrong usage (2) from what did not work (1).

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const EXECUTABLE = resolve(import.meta.dirname, '../../bin/evergate');
let directory = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'evergate-commands-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function run(args: string[], environment: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(EXECUTABLE, args, {
    encoding: 'utf8',
    cwd: directory,
    env: { PATH: process.env['PATH'], HOME: directory, ...environment },
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

function file(name: string, content: string): string {
  writeFileSync(join(directory, name), content);
  return name;
}

describe('wrong usage exits with 2 and one line', () => {
  test.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['aply', 'x.yaml'], 'Did you mean apply?'],
    [['render', 'nginx'], "unknown command 'render'"],
    [['backup', 'create'], "unknown command 'backup'"],
    [['database', 'promote'], "unknown command 'promote'"],
    [['up', '--colour'], "unknown option '--colour'"],
    [['apply'], "missing required argument 'file'"],
    [['start'], "missing required argument 'service'"],
    [['start', 'radios'], 'there is no service radios; there are radius, gateway'],
    [['token', 'create'], "required option '--role <role>' not specified"],
    [
      ['token', 'create', '--role', 'king'],
      'Allowed choices are owner, manager, support, read-only',
    ],
    [['login', 'alice'], '--method pap needs a password'],
    [
      ['login', 'alice', 'x', '--method', 'smoke'],
      'Allowed choices are pap, chap, mschapv2, peap, ttls',
    ],
    [['simulate', '--rate', 'fast'], 'It must be a whole number'],
    [['simulate', '--routers', '0'], '--routers is 0; allowed is 1 to 1000'],
  ])('evergate %j', (args, sentence) => {
    const { status, stdout, stderr } = run(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(sentence);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

test('without a command it shows what there is, and exits with 2', () => {
  const { status, stderr } = run([]);
  expect(status).toBe(2);
  expect(stderr).toContain('Commands:');
});

test('--help and --version go to standard output and exit with 0', () => {
  const version = run(['--version']);
  expect(version).toMatchObject({ status: 0, stderr: '' });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  const help = run(['--help']);
  expect(help).toMatchObject({ status: 0, stderr: '' });
  for (const verb of ['up', 'start', 'apply', 'export', 'token', 'login', 'simulate', 'doctor']) {
    expect(help.stdout).toMatch(new RegExp(`^  ${verb} `, 'm'));
  }
});

describe('what does not work exits with 1 and one line', () => {
  const failures: [string, string[], RegExp][] = [
    [
      'no gateway',
      ['export', '--url', 'http://127.0.0.1:9'],
      /^evergate: no gateway answers at http:\/\/127\.0\.0\.1:9\. Start one/,
    ],
    ['no API key', ['export'], /^evergate: no API key: set EVERGATE_TOKEN, or name with --data/],
    ['no file', ['apply', 'nothing.yaml'], /^evergate: nothing\.yaml cannot be read: ENOENT/],
    [
      'no server, by EAP',
      ['login', 'a', 'b', '--method', 'peap', '--server', '127.0.0.1:9', '--timeout', '0.2'],
      /^evergate: no answer from 127\.0\.0\.1:9 after 1 attempt\./,
    ],
    [
      'no server',
      ['login', 'a', 'b', '--server', '127.0.0.1:9', '--timeout', '0.2'],
      /^evergate: no answer from 127\.0\.0\.1:9 after 1 attempt\./,
    ],
    [
      'no such name',
      ['login', 'a', 'b', '--server', 'no.such.host.invalid'],
      /^evergate: the name no\.such\.host\.invalid has no address/,
    ],
  ];
  test.each(failures)('%s', (name, args, sentence) => {
    const needsKey = name === 'no gateway' || name === 'no file';
    const { status, stdout, stderr } = run(args, needsKey ? { EVERGATE_TOKEN: 'evg_x' } : {});
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(sentence);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  test('EVERGATE_DEBUG=1 adds the stack for those who ask', () => {
    const { stderr } = run(['export'], { EVERGATE_DEBUG: '1' });
    expect(stderr).toMatch(/\n +at /);
  });
});

describe('evergate config', () => {
  test('prints every key with its value and where it came from, secrets hidden', () => {
    const path = file(
      'cluster.yaml',
      'node: r1\ndatabase: { url: "postgres://eve:hunter2@db/e" }\n',
    );
    const { status, stdout } = run(['config', '--json', '--config', path], {
      EVERGATE_RADIUS_AUTH_PORT: '1645',
      EVERGATE_HEALTH_TOKEN: 'open sesame',
    });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      file: 'cluster.yaml',
      settings: {
        node: { value: 'r1', source: 'cluster.yaml:1:7' },
        'database.url': { value: 'postgres://eve:***@db/e', source: 'cluster.yaml:2:18' },
        'radius.auth_port': { value: '1645', source: 'EVERGATE_RADIUS_AUTH_PORT' },
        'health.token': { value: '***', source: 'EVERGATE_HEALTH_TOKEN' },
        'state.command_timeout': { value: '200ms', source: 'default' },
      },
    });
    expect(stdout).not.toContain('hunter2');
    expect(stdout).not.toContain('sesame');
  });

  test('finds evergate.yaml in the working directory, and EVERGATE_CONFIG elsewhere', () => {
    file('evergate.yaml', 'node: from-here\n');
    const other = file('other.yaml', 'node: from-there\n');
    try {
      expect(run(['config']).stdout).toMatch(/^node +from-here +evergate\.yaml:1:7$/m);
      expect(run(['config'], { EVERGATE_CONFIG: other }).stdout).toMatch(/^node +from-there /m);
    } finally {
      rmSync(join(directory, 'evergate.yaml'));
    }
  });

  test.each(['up', 'start radius', 'config', 'doctor', 'database status'])(
    'a bad file stops `%s` with key, line and what is allowed',
    (verb) => {
      const path = file('bad.yaml', 'radius:\n  auth_port: many\n');
      const { status, stdout, stderr } = run([...verb.split(' '), '--config', path]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toBe(
        'evergate: bad.yaml:2:14: radius.auth_port is "many"; allowed is a port from 0 to 65535 (0 picks a free one)\n',
      );
    },
  );
});
