import { expect, test } from 'vitest';
import { systemClock } from '../../runtime/clock.ts';
import { bearerToken, createCallers } from './callers.ts';

function callersAt(time: { nowMs: number }, expiresAtMs?: number) {
  const asked: string[] = [];
  const callers = createCallers({
    clock: { ...systemClock(), nowMs: () => time.nowMs, monotonicMs: () => time.nowMs },
    find: (key) => {
      asked.push(key);
      return Promise.resolve(
        key === 'good' ? { id: 'id', name: 'name', role: 'support', expiresAtMs } : undefined,
      );
    },
    noteUse: () => undefined,
  });
  return { callers, asked };
}

test('a key is looked up once in ten seconds, known or not', async () => {
  const time = { nowMs: 1_000_000 };
  const { callers, asked } = callersAt(time);
  const caller = { keyId: 'id', keyName: 'name', role: 'support' };
  expect(await callers.identify('good')).toEqual(caller);
  expect(await callers.identify('good')).toEqual(caller);
  expect(await callers.identify('bad')).toBe('unknown');
  expect(await callers.identify('bad')).toBe('unknown');
  expect(asked).toEqual(['good', 'bad']);
  time.nowMs += 10_001;
  expect(callers.remembered('good')).toBeUndefined();
  await callers.identify('good');
  callers.forgetAll();
  await callers.identify('good');
  expect(asked).toEqual(['good', 'bad', 'good', 'good']);
});

test('a key is not remembered beyond its time', async () => {
  const time = { nowMs: 1_000_000 };
  const { callers } = callersAt(time, 1_003_000);
  await callers.identify('good');
  time.nowMs = 1_002_999;
  expect(callers.remembered('good')).toBeDefined();
  time.nowMs = 1_003_000;
  expect(callers.remembered('good')).toBeUndefined();
});

test('invented keys push out the oldest, so that memory stays bounded', async () => {
  const { callers, asked } = callersAt({ nowMs: 1_000_000 });
  await callers.identify('good');
  for (let number = 0; number < 10_000; number++) await callers.identify(`bad-${number}`);
  expect(callers.remembered('good')).toBeUndefined();
  expect(callers.remembered('bad-9999')).toBe('unknown');
  expect(asked).toHaveLength(10_001);
});

test.each([
  [`Bearer evg_${'a'.repeat(43)}`, `evg_${'a'.repeat(43)}`],
  [`bearer   evg_${'-'.repeat(43)}`, `evg_${'-'.repeat(43)}`],
  [`Bearer evg_${'a'.repeat(42)}`, undefined],
  [`Bearer evg_${'a'.repeat(44)}`, undefined],
  ['Bearer something-else', undefined],
  ['', undefined],
  [undefined, undefined],
])('the token in %j', (header, token) => {
  expect(bearerToken(header)).toBe(token);
});
