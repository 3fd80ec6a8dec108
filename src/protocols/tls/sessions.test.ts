import { expect, test } from 'vitest';
import { type RememberedSession, mayContinue, openSession, sealSession } from './sessions.ts';
import { createTicketBox } from './ticket-box.ts';

const NOW_MS = 1_800_000_000_000;
const LIFETIME_MS = 3_600_000;
const box = createTicketBox(Buffer.alloc(32, 1), LIFETIME_MS);

const session: RememberedSession = {
  purpose: 'eap-tls',
  suite: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  masterSecret: Buffer.alloc(48, 7),
  expiresAtMs: NOW_MS + LIFETIME_MS,
  ticket: { identity: 'älice', policy: 'plan', certificate: 'ab' },
  path: [{ certificate: 'ab', issuer: 'cd', serial: '1', notAfterMs: NOW_MS * 2 }],
};
const ECDSA_128 = 0xc02b;

test('what was sealed is opened under its id, until its time is over', () => {
  const value = sealSession(box, 'id', session, NOW_MS);
  expect(openSession(box, 'id', value, NOW_MS)).toEqual(session);
  expect(openSession(box, 'id', value, session.expiresAtMs - 1)).toEqual(session);
  expect(openSession(box, 'id', value, session.expiresAtMs)).toBeUndefined();
  expect(openSession(box, 'another id', value, NOW_MS)).toBeUndefined();
});

test('a session without a certificate stays one without', () => {
  const { path: _path, ...without } = session;
  const value = sealSession(box, 'id', without, NOW_MS);
  expect(openSession(box, 'id', value, NOW_MS)).toEqual(without);
});

test('nothing else is opened', () => {
  const value = sealSession(box, 'id', session, NOW_MS);
  const other = createTicketBox(Buffer.alloc(32, 2), LIFETIME_MS);
  expect(openSession(other, 'id', value, NOW_MS)).toBeUndefined();
  for (let index = 0; index < value.length; index += 1) {
    const forged = Buffer.from(value);
    forged[index] = (forged[index] ?? 0) ^ 1;
    expect(openSession(box, 'id', forged, NOW_MS)).toBeUndefined();
  }
  for (const content of [
    '',
    '{',
    'null',
    '{"format":"tls12-session/2","id":"id"}',
    '\0\u0001\u0002',
  ])
    expect(
      openSession(box, 'id', box.seal(Buffer.from(content), NOW_MS), NOW_MS),
      content,
    ).toBeUndefined();
  expect(openSession(box, 'id', Buffer.alloc(0), NOW_MS)).toBeUndefined();
});

test('a session fits its purpose, its suite and the demand for a certificate', () => {
  const { path: _path, ...withoutCertificate } = session;
  const required = { purpose: 'eap-tls', clientCertificate: 'required' } as const;
  const optional = { purpose: 'eap-tls', clientCertificate: 'optional' } as const;
  expect(mayContinue(session, required, [ECDSA_128])).toBe(true);
  expect(mayContinue(session, { ...required, purpose: 'peap' }, [ECDSA_128])).toBe(false);
  expect(mayContinue(session, required, [0xc02f, 0x1301])).toBe(false);
  expect(mayContinue(withoutCertificate, required, [ECDSA_128])).toBe(false);
  expect(mayContinue(withoutCertificate, optional, [ECDSA_128])).toBe(true);
  const of13 = { ...session, suite: 'TLS_AES_128_GCM_SHA256' } as const;
  expect(mayContinue(of13, required, [0x1301])).toBe(false);
});
