// The keys that a login over TLS earns, and the EAP Session-Id. TLS 1.3: RFC 9190 §2.3 and RFC 9427 §2.1,
// the same for all methods; before: RFC 5216 §2.3, RFC 5281 §8, RFC 5247 §2.2. TEAP has keys of its own.

import type { InnerInput } from './inner-protocol.ts';

const MSK_BYTES = 64;
/** MSK and EMSK. The length takes part in the derivation: 64 would give other bytes. */
const KEY_MATERIAL_BYTES = 128;
const METHOD_ID_BYTES = 64;

/** `label`: what TLS 1.2 and older derive the keys under; each method has its own. */
export async function tlsKeys(
  type: number,
  label: 'client EAP encryption' | 'ttls keying material',
  { facts, exportKey }: Pick<InnerInput, 'facts' | 'exportKey'>,
): Promise<{ msk: Buffer; sessionId: Buffer }> {
  const keyMaterial =
    facts.version === '1.3'
      ? await exportKey('EXPORTER_EAP_TLS_Key_Material', KEY_MATERIAL_BYTES, Buffer.of(type))
      : await exportKey(label, KEY_MATERIAL_BYTES);
  return {
    msk: keyMaterial.subarray(0, MSK_BYTES),
    sessionId: await tlsSessionId(type, { facts, exportKey }),
  };
}

/** RFC 9930 has the same for TEAP under TLS 1.3. */
export async function tlsSessionId(
  type: number,
  { facts, exportKey }: Pick<InnerInput, 'facts' | 'exportKey'>,
): Promise<Buffer> {
  const methodId =
    facts.version === '1.3'
      ? await exportKey('EXPORTER_EAP_TLS_Method-Id', METHOD_ID_BYTES, Buffer.of(type))
      : Buffer.from(facts.clientRandom + facts.serverRandom, 'hex');
  return Buffer.concat([Buffer.of(type), methodId]);
}
