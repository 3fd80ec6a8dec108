import { expect, test } from 'vitest';
import { holdsNativeConnection } from './engine.ts';

test.each([
  ['a portable connection', { link: { connection: { stage: 'open', version: '1.3' } } }, false],
  ['a native one', { link: { connection: { engine: 'native', id: 'a' } } }, true],
  [
    'a native one in a tunnel of a portable one',
    { connection: {}, inner: [{ engine: 'native' }] },
    true,
  ],
  ['text that only says so', { identity: 'native', engine: 'portable' }, false],
  ['nothing', {}, false],
])('whether only one process can go on with a login: %s', (_name, state, expected) => {
  expect(holdsNativeConnection(state)).toBe(expected);
});
