import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { virtualRuntime } from '../../tests/simulation/virtual-runtime.ts';
import { loadConfig } from '../runtime/config.ts';
import { ownCertificate, withOwnCertificates } from './own-certificates.ts';

let data = '';
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'evergate-own-certificates-'));
});
afterEach(() => rmSync(data, { recursive: true }));

async function certificatesWith(environment: Record<string, string>) {
  const { config } = loadConfig({ environment: { EVERGATE_DATA: data, ...environment } });
  await using opened = new AsyncDisposableStack();
  return { config, radius: await withOwnCertificates(config, virtualRuntime(), opened) };
}

test('where nobody has configured one there is a certificate, for devices and routers alike', async () => {
  const { config, radius } = await certificatesWith({});
  const made = join(data, 'certificates/server/server.crt');
  expect(radius.eap.certificateFile).toBe(made);
  expect(radius.radsec.certificateFile).toBe(made);
  expect(existsSync(radius.eap.clientCaFile ?? '')).toBe(true);
  expect(ownCertificate(config).certificateFile).toBe(made);
});

test('an authority of routers that is configured stays, without a certificate beside it', async () => {
  const { radius } = await certificatesWith({
    EVERGATE_RADIUS_RADSEC_CLIENT_CA: '/etc/routers.crt',
  });
  expect(radius.radsec.clientCaFile).toBe('/etc/routers.crt');
  expect(radius.eap.clientCaFile).toBe(join(data, 'certificates/authority/authority.crt'));
});

test('where other nodes share the state nothing is made: they would have another one, or none', async () => {
  const { radius } = await certificatesWith({ EVERGATE_STATE_URL: 'valkey://127.0.0.1:6379' });
  expect(radius.eap.certificateFile).toBeUndefined();
  expect(existsSync(join(data, 'certificates'))).toBe(false);
});

test('a certificate that is configured is the one', async () => {
  const { radius } = await certificatesWith({
    EVERGATE_RADIUS_EAP_CERTIFICATE: '/etc/radius.crt',
    EVERGATE_RADIUS_EAP_KEY: '/etc/radius.key',
  });
  expect(radius.eap).toMatchObject({ certificateFile: '/etc/radius.crt', clientCaFile: undefined });
  expect(existsSync(join(data, 'certificates'))).toBe(false);
});
