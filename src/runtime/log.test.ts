import { expect, test } from 'vitest';
import { readableLog } from './log.ts';

function written(level: 'debug' | 'warn', say: (log: ReturnType<typeof readableLog>) => void) {
  let text = '';
  const write = (line: string) => {
    text += line;
  };
  say(readableLog({ level, fields: {}, write, nowMs: () => 0 }));
  // oxlint-disable-next-line no-control-regex -- colours are not what these tests are about
  return text.replaceAll(/\u001B\[\d+m/g, '').replaceAll(/^\d\d:\d\d:\d\d /gm, '');
}

test('a line for people has level, service, sentence and what varies', () => {
  const text = written('debug', (log) => {
    log.with({ service: 'radius' }).info('is ready', { auth_port: 1812, hosts: ['a', 'b'] });
    log.error('the journal cannot be written', {
      error: new Error('writing', { cause: new Error('ENOSPC') }),
    });
  });
  expect(text).toBe(
    'info  radius: is ready  auth_port=1812  hosts=["a","b"]\n' +
      'error the journal cannot be written  error=writing: ENOSPC\n',
  );
});

test('what is less important than the level is not written', () => {
  const text = written('warn', (log) => {
    log.debug('a');
    log.info('b');
    log.warn('c');
  });
  expect(text).toBe('warn  c\n');
});
