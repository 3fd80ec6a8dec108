import { beforeEach, expect, test } from 'vitest';
import { virtualRuntime } from '../../../tests/simulation/virtual-runtime.ts';
import type { Router } from '../../domain/router.ts';
import { prepareSecret } from '../../protocols/radius/authenticator.ts';
import { silentLog } from '../../runtime/log.ts';
import type { Log } from '../../runtime/log.ts';
import { pathFrom } from '../../../tests/simulation/packets.ts';
import { createDiscardLog } from './discard-log.ts';
import type { DiscardLog } from './discard-log.ts';
import type { KnownRouter } from './router-table.ts';

type Line = { message: string; fields: Record<string, unknown> | undefined };

const router: KnownRouter = {
  router: { id: 'r1', name: 'lobby' } as Router,
  secret: prepareSecret(Buffer.from('testing123')),
  hasSignedRequests: false,
};

let runtime: ReturnType<typeof virtualRuntime>;
let lines: Line[];
let said: DiscardLog;

beforeEach(() => {
  runtime = virtualRuntime();
  lines = [];
  const note = (message: string, fields?: Record<string, unknown>) => {
    lines.push({ message, fields });
  };
  const log: Log = { ...silentLog(), info: note, warn: note };
  said = createDiscardLog({ clock: runtime.clock, log });
});

test('one reason of one subscriber speaks once a minute, with how often it happened', async () => {
  for (let i = 0; i < 5; i++) said.rejected('alice', router, 'wrong-password');
  expect(lines).toHaveLength(1);
  await runtime.scheduler.run(60_001);
  said.rejected('alice', router, 'wrong-password');
  expect(lines[1]?.fields).toMatchObject({ username: 'alice', times: 5 });
});

test('what the log knows beside the reason is said, and cut: others have a part in it', () => {
  said.rejected('alice', router, 'certificate-refused', 'x'.repeat(100_000));
  expect(String(lines[0]?.fields?.['detail']).length).toBe(300);
});

test('a thousand invented names keep no other warning out of the log', () => {
  for (let i = 0; i < 2_000; i++) said.rejected(`nobody-${i}`, router, 'unknown-subscriber');
  const named = lines.length;
  expect(named).toBe(1_000);
  said.unknownRouter(pathFrom('10.9.9.9'), 0);
  expect(lines.slice(named)).toMatchObject([{ fields: { reason: 'unknown-router' } }]);
});
