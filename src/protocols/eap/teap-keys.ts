// The keys of TEAP: what each inner method adds to the key of the tunnel, and what the router gets in
// the end. RFC 9930 §6; under TLS 1.3 RFC 9427 §2.2. hostap 2.10 differs in four points, said below each,
// which `compatibility` switches. The proof made with these keys is teap-binding.ts.

import type { Soon, TlsFacts } from '../tls/engine.ts';
import { prf } from '../tls/prf.ts';
import { EapType } from './packet.ts';
import { BindingMacs } from './teap-tlv.ts';

/**
 * hostap: 2.10 and older. Later ones exchange the halves of an EAP-MSCHAPv2 key as the RFC does, so under
 * TLS 1.2, beyond which hostap does not go by itself, they and Windows want rfc9930.
 */
export type TeapCompatibility = 'rfc9930' | 'hostap';

/** The tunnel, as far as keys are concerned. */
export type TeapTunnel = {
  compatibility: TeapCompatibility;
  facts: Pick<TlsFacts, 'version' | 'hash'>;
  exportKey(label: string, length: number, context?: Buffer): Soon<Buffer>;
};

/**
 * How far the keys have come. Two chains, because an inner method gives an MSK, an EMSK, both or
 * nothing, and the other side may know only one of them. RFC 9930 §6.2.
 */
export type TeapKeyChains = {
  /** S-IMCK[j] of each chain. */
  msk: Buffer;
  emsk: Buffer;
  /** No inner method has given a key so far: the keys for the router then come from the seed itself. */
  isBare: boolean;
};

export type InnerKeys = { msk?: Buffer; emsk?: Buffer };

/** The keys of the codes, CMK[j]. The second is missing where the inner method gives no EMSK. */
export type CompoundMacKeys = { msk: Buffer; emsk?: Buffer };

const SEED_BYTES = 40;
const CMK_BYTES = 20;
const IMSK_BYTES = 32;
const SESSION_KEY_BYTES = 64;
const NO_KEY = Buffer.alloc(IMSK_BYTES);

/** S-IMCK[0] of both chains. */
export async function startTeapKeys(tunnel: TeapTunnel): Promise<TeapKeyChains> {
  const context = usesExporter(tunnel) ? [Buffer.of(EapType.Teap)] : [];
  const seed = await tunnel.exportKey('EXPORTER: teap session key seed', SEED_BYTES, ...context);
  return { msk: seed, emsk: seed, isBare: true };
}

/** After an inner method has succeeded, or instead of one. A method that failed does not count. */
export async function afterInnerMethod(
  tunnel: TeapTunnel,
  chains: TeapKeyChains,
  inner: InnerKeys,
): Promise<{ chains: TeapKeyChains; macKeys: CompoundMacKeys }> {
  const isKeyless = inner.msk === undefined && inner.emsk === undefined;
  const fromMsk = await compoundKey(tunnel, chains.msk, sessionKeyOf(inner.msk));
  if (inner.emsk === undefined) {
    // hostap computes the code of a method without keys, but leaves the chain where it was.
    const isLeft = isKeyless && tunnel.compatibility === 'hostap';
    return {
      chains: {
        msk: isLeft ? chains.msk : fromMsk.next,
        emsk: chains.emsk,
        isBare: chains.isBare && isKeyless,
      },
      macKeys: { msk: fromMsk.macKey },
    };
  }
  const imsk = await bindKey(tunnel, inner.emsk);
  const fromEmsk = await compoundKey(tunnel, chains.emsk, imsk);
  return {
    chains: { msk: fromMsk.next, emsk: fromEmsk.next, isBare: false },
    macKeys: { msk: fromMsk.macKey, emsk: fromEmsk.macKey },
  };
}

/**
 * After the last inner method. `agreed`: which codes the client's last Crypto-Binding had; the chain of
 * the EMSK counts where its code is there. hostap always takes that of the MSK. RFC 9930 §6.4.
 */
export async function teapSessionKeys(
  tunnel: TeapTunnel,
  seed: Buffer,
  chains: TeapKeyChains,
  agreed: number,
): Promise<{ msk: Buffer; emsk: Buffer }> {
  const isByEmsk = tunnel.compatibility === 'rfc9930' && (agreed & BindingMacs.Emsk) !== 0;
  const secret = chains.isBare ? seed : isByEmsk ? chains.emsk : chains.msk;
  const derive = (label: string) =>
    derived(tunnel, secret, label, Buffer.alloc(0), SESSION_KEY_BYTES);
  return {
    msk: await derive('Session Key Generating Function'),
    emsk: await derive('Extended Session Key Generating Function'),
  };
}

/**
 * EAP-MSCHAPv2 counts here with the halves of its MSK exchanged, as in EAP-FAST; hostap 2.10 leaves
 * them. RFC 9930 §3.6.3, RFC 5422 §3.2.3.
 */
export function innerMsChapV2Key(msk: Buffer, compatibility: TeapCompatibility): Buffer {
  if (compatibility === 'hostap') return msk;
  return Buffer.concat([msk.subarray(16, 32), msk.subarray(0, 16)]);
}

/** IMCK[j], divided into S-IMCK[j] and CMK[j]. */
async function compoundKey(tunnel: TeapTunnel, previous: Buffer, imsk: Buffer) {
  const length = SEED_BYTES + CMK_BYTES;
  const imck = await derived(tunnel, previous, 'Inner Methods Compound Keys', imsk, length);
  return { next: imck.subarray(0, SEED_BYTES), macKey: imck.subarray(SEED_BYTES) };
}

/** IMSK[j] from an MSK: its first 32 bytes, filled up with zeros. */
function sessionKeyOf(msk: Buffer | undefined): Buffer {
  return msk === undefined ? NO_KEY : Buffer.concat([msk], IMSK_BYTES);
}

/** IMSK[j] from an EMSK. RFC 5295 §3.1 adds a zero and the length, 64, of which 32 are taken. */
function bindKey(tunnel: TeapTunnel, emsk: Buffer): Soon<Buffer> {
  const label = 'TEAPbindkey@ietf.org';
  if (usesExporter(tunnel)) return tunnel.exportKey(label, IMSK_BYTES, emsk);
  return prf(prfHashOf(tunnel), emsk, label, Buffer.of(0, 0, SESSION_KEY_BYTES), IMSK_BYTES);
}

/**
 * The PRF of TLS 1.2; under TLS 1.3 its exporter, with secret and seed as the context. hostap 2.10 knows
 * only the former.
 */
function derived(
  tunnel: TeapTunnel,
  secret: Buffer,
  label: string,
  seed: Buffer,
  length: number,
): Soon<Buffer> {
  if (usesExporter(tunnel)) {
    return tunnel.exportKey(`EXPORTER: ${label}`, length, Buffer.concat([secret, seed]));
  }
  return prf(prfHashOf(tunnel), secret, label, seed, length);
}

function usesExporter({ compatibility, facts }: TeapTunnel): boolean {
  return compatibility === 'rfc9930' && facts.version === '1.3';
}

/** The old suites with SHA-1 still have a PRF with SHA-256 in TLS 1.2. RFC 5246 §5. */
function prfHashOf({ facts }: TeapTunnel): 'sha256' | 'sha384' {
  return facts.hash === 'sha384' ? 'sha384' : 'sha256';
}
