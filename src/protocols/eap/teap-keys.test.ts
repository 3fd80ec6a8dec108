import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { bindingRequest, checkBindingResponse } from './teap-binding.ts';
import { afterInnerMethod, innerMsChapV2Key, startTeapKeys, teapSessionKeys } from './teap-keys.ts';
import type { CompoundMacKeys, TeapTunnel } from './teap-keys.ts';
import { BindingMacs } from './teap-tlv.ts';

/**
 * What eapol_test of hostap 2.10 shows of its keys in three logins: EAP-TLS inside TLS 1.2, a password
 * inside TLS 1.3, and EAP-MSCHAPv2 inside a suite with SHA-384, with outer TLVs of both sides.
 */
const eapTls = {
  seed: 'd64b29509d8dff9e2a8f742b2f4d5b783cc3f8c0542b7425d71fa9dd2080b16469e895d47a83bcb6',
  msk: 'b53c8daa01e00c4e9c7a7724056e8c98da20aafcd838ecb0b0c6452c559c414a789fef04f3fcdd73ec7bd6e4d9ed208aedec6f86e135462208878c6afd412cc7',
  emsk: '2bb8d193910c5857f37f9dd024109628a6e25750c48ebf8cba6a27deab09ce44736e61621f87bb5a250b6e84b14ca941df71fe9c0b7cbe86df4690c56e557dfb',
  nextMsk: '9b402c3c25fdac709ac57b8adbaa8e91bc4396cf8e5daaf666c696a361404489e31dc1c793cf8726',
  nextEmsk: 'a8638f9134c2440176a284f24c8933dc9932daea19e1182c7a52337a456b2d37efb930d160f8ff0d',
  mskMacKey: 'e2c7d824e5d4b784b8a324afc37c134035e321d0',
  emskMacKey: 'b44c471af14ae5453b1c46696f988e337feb209a',
  nonce: '94f8848dfddf0339367feed01f7d79c9eb0ca9d1cdaf81cb08842b8657c78322',
  requestMac: '934b60a4563bab3afebd165c52cefbde2c2364b2',
  responseMac: 'e39c3195cf7d6fdb8d4a2e8562e7ae7ec77baf81',
  sessionMsk:
    '4b143c29c2b35026af2033d083d1a0a3342bffe57c8478ceab4cb08871769d399cf0be2139e6631f0f9990fd68bf5386ad1822902beab50019e40dc3d0a9dd08',
  sessionEmsk:
    '775d183c021087ab5b4676958ab0d4e30c082170670f343d38519cf38c8a806966832cb63d616af4bdacb12df352efc0829b63c34a089f2a441043de000b5332',
};
const password = {
  seed: 'e4adceec4052039cfd5974e6dded9cb505bd277c872498b4c7b8354f09e98671615907521e2ef0d8',
  macKey: 'a0b3700092629f844e49965b4e37358db7fb85a6',
  sessionMsk:
    '1f2e285e7746b8037ce434cf7e91063ffcdc68921bd583244c23743cf1746cd918db8584d08b9ea11d849e08304cfa8521af5ab89486a85bcd3f4e7b58971e93',
};
const sha384 = {
  seed: '7b295697dc2e1720c918f52e08c50eb20d86a5c4347d833dc71f282283d593e304a547ac3662320d',
  msk: '4b10795e3738924f76c12efd99663f9251f0f4cb979267c08ee97088b9bd40ab',
  next: '297a906257c61706213a50fcc6ecc607c84d35aad8f1ca5e82a61d3848177337ea33b91f0dd50613',
  macKey: '5754745b1a2d5aa103932ff5d8819890eafa9985',
  nonce: 'ff534ca50ed22d014fa69f1f22a5d4b1c34d2cdb9f95d2c60011d04c5b11066e',
  requestMac: '2a855966776fe9643af6d9c0c2642e5e009aeaec',
  sessionMsk:
    'e6274a3b47d9b4dd4b4c64ad79534a46cb4c0af8b86d639acf53a6049f95c28f748b07fd87fa00d24c0c9605efe489b42993004f9b50bae1fed8d082eb971827',
};
const outer = {
  ours: Buffer.from('000100086576657267617465', 'hex'), // Authority-ID `evergate`
  theirs: Buffer.alloc(0),
};

const hex = (text: string) => Buffer.from(text, 'hex');
const NOTHING = Buffer.alloc(0);

/** An exporter that shows what it was asked for. */
function tunnel(
  compatibility: TeapTunnel['compatibility'],
  version: '1.2' | '1.3' = '1.2',
  { hash = 'sha256', seed = '' }: { hash?: 'sha256' | 'sha384'; seed?: string } = {},
): TeapTunnel & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    compatibility,
    facts: { version, hash },
    exportKey(label, length, context) {
      asked.push(`${label}, ${length}, ${context?.toString('hex') ?? 'none'}`);
      if (seed !== '') return hex(seed);
      const digest = createHash('shake256', { outputLength: length });
      return digest
        .update(label)
        .update(context ?? NOTHING)
        .digest();
    },
  };
}

describe('as hostap 2.10 computes them', () => {
  test('EAP-TLS inside gives an MSK and an EMSK', async () => {
    const here = tunnel('hostap', '1.2', { seed: eapTls.seed });
    const start = await startTeapKeys(here);
    expect(here.asked).toEqual(['EXPORTER: teap session key seed, 40, none']);
    const inner = { msk: hex(eapTls.msk), emsk: hex(eapTls.emsk) };
    const { chains, macKeys } = await afterInnerMethod(here, start, inner);
    expect(chains).toEqual({
      msk: hex(eapTls.nextMsk),
      emsk: hex(eapTls.nextEmsk),
      isBare: false,
    });
    expect(macKeys).toEqual({ msk: hex(eapTls.mskMacKey), emsk: hex(eapTls.emskMacKey) });
    expect(await teapSessionKeys(here, start.msk, chains, BindingMacs.Both)).toEqual({
      msk: hex(eapTls.sessionMsk),
      emsk: hex(eapTls.sessionEmsk),
    });
  });

  test('a password gives no key: the seed stays', async () => {
    const here = tunnel('hostap', '1.3', { seed: password.seed });
    const start = await startTeapKeys(here);
    const { chains, macKeys } = await afterInnerMethod(here, start, {});
    expect(macKeys).toEqual({ msk: hex(password.macKey) });
    expect(chains).toEqual(start);
    const { msk } = await teapSessionKeys(here, start.msk, chains, BindingMacs.Msk);
    expect(msk).toEqual(hex(password.sessionMsk));
  });

  test('a suite with SHA-384 computes everything with it', async () => {
    const here = tunnel('hostap', '1.2', { seed: sha384.seed, hash: 'sha384' });
    const start = await startTeapKeys(here);
    const { chains, macKeys } = await afterInnerMethod(here, start, { msk: hex(sha384.msk) });
    expect(chains.msk).toEqual(hex(sha384.next));
    expect(macKeys).toEqual({ msk: hex(sha384.macKey) });
    const { mskMac } = bindingRequest(here, hex(sha384.nonce), macKeys, outer);
    expect(mskMac).toEqual(hex(sha384.requestMac));
    const { msk } = await teapSessionKeys(here, start.msk, chains, BindingMacs.Msk);
    expect(msk).toEqual(hex(sha384.sessionMsk));
  });
});

describe('as RFC 9930 has it', () => {
  test('who has sent the code of an EMSK gets the keys of its chain', async () => {
    const here = tunnel('rfc9930', '1.2', { seed: eapTls.seed });
    const start = await startTeapKeys(here);
    const inner = { msk: hex(eapTls.msk), emsk: hex(eapTls.emsk) };
    const { chains } = await afterInnerMethod(here, start, inner);
    const byMsk = await teapSessionKeys(here, start.msk, chains, BindingMacs.Msk);
    const byBoth = await teapSessionKeys(here, start.msk, chains, BindingMacs.Both);
    expect(byMsk.msk).toEqual(hex(eapTls.sessionMsk));
    expect(byBoth.msk).not.toEqual(byMsk.msk);
  });

  test('a password alone leaves the keys to the seed, and one after another method does not', async () => {
    const here = tunnel('rfc9930', '1.2', { seed: password.seed });
    const start = await startTeapKeys(here);
    const alone = await afterInnerMethod(here, start, {});
    expect(alone.macKeys).toEqual({ msk: hex(password.macKey) });
    const { msk } = await teapSessionKeys(here, start.msk, alone.chains, BindingMacs.Msk);
    expect(msk).toEqual(hex(password.sessionMsk));

    const first = await afterInnerMethod(here, start, { msk: hex(eapTls.msk) });
    const second = await afterInnerMethod(here, first.chains, {});
    expect(second.chains.isBare).toBe(false);
    expect(second.chains.msk).not.toEqual(first.chains.msk);
    const there = tunnel('hostap', '1.2');
    expect((await afterInnerMethod(there, first.chains, {})).chains).toEqual(first.chains);
  });

  test('TLS 1.3 computes them with its exporter. RFC 9427 §2.2', async () => {
    const here = tunnel('rfc9930', '1.3');
    const start = await startTeapKeys(here);
    const emsk = Buffer.alloc(64, 6);
    const { chains } = await afterInnerMethod(here, start, { msk: Buffer.alloc(40, 5), emsk });
    await teapSessionKeys(here, start.msk, chains, BindingMacs.Both);
    const [, , bindKey = ''] = here.asked;
    expect(here.asked).toEqual([
      'EXPORTER: teap session key seed, 40, 37',
      `EXPORTER: Inner Methods Compound Keys, 60, ${start.msk.toString('hex')}${'05'.repeat(32)}`,
      `TEAPbindkey@ietf.org, 32, ${emsk.toString('hex')}`,
      expect.stringContaining(`Inner Methods Compound Keys, 60, ${start.emsk.toString('hex')}`),
      `EXPORTER: Session Key Generating Function, 64, ${chains.emsk.toString('hex')}`,
      `EXPORTER: Extended Session Key Generating Function, 64, ${chains.emsk.toString('hex')}`,
    ]);
    expect(bindKey).toContain('TEAPbindkey');
  });

  test('EAP-MSCHAPv2 counts with its halves exchanged, which hostap 2.10 does not do', () => {
    const msk = Buffer.concat([Buffer.alloc(16, 1), Buffer.alloc(16, 2)]);
    expect(innerMsChapV2Key(msk, 'rfc9930')).toEqual(
      Buffer.concat([Buffer.alloc(16, 2), Buffer.alloc(16, 1)]),
    );
    expect(innerMsChapV2Key(msk, 'hostap')).toEqual(msk);
  });
});

describe('a Crypto-Binding', () => {
  const here = tunnel('hostap');
  const nonce = hex(eapTls.nonce);
  const mskOnly: CompoundMacKeys = { msk: hex(eapTls.mskMacKey) };
  const both: CompoundMacKeys = { ...mskOnly, emsk: hex(eapTls.emskMacKey) };
  const answered = (keys: CompoundMacKeys) => {
    const oddNonce = Buffer.from(nonce);
    oddNonce[31] = 0x23;
    const response = { ...bindingRequest(here, nonce, keys, outer), subType: 1, nonce: oddNonce };
    return response;
  };

  test('has the code that hostap 2.10 expects, and its answer the one that we expect', () => {
    const request = bindingRequest(here, nonce, mskOnly, outer);
    expect(request).toMatchObject({ macs: 2, subType: 0, mskMac: hex(eapTls.requestMac) });
    const response = { ...answered(mskOnly), mskMac: hex(eapTls.responseMac) };
    const checked = checkBindingResponse(here, response, nonce, mskOnly, outer);
    expect(checked).toEqual({ kind: 'genuine', macs: BindingMacs.Msk });
  });

  test('an odd nonce is made even in a request', () => {
    const odd = Buffer.alloc(32, 0xff);
    expect(bindingRequest(here, odd, mskOnly, outer).nonce[31]).toBe(0xfe);
  });

  test('has two codes where the inner method gives an EMSK, and each must be right', () => {
    const request = bindingRequest(here, nonce, both, outer);
    expect(request.macs).toBe(BindingMacs.Both);
    expect(request.emskMac).not.toEqual(request.mskMac);
    const wrong = checkBindingResponse(here, answered(both), nonce, both, outer);
    expect(wrong).toMatchObject({ kind: 'refused', code: 2007 }); // codes of a request
  });

  test('an EMSK that only the client has does not count', () => {
    const response = { ...answered(mskOnly), macs: BindingMacs.Emsk };
    const checked = checkBindingResponse(here, response, nonce, mskOnly, outer);
    expect(checked).toMatchObject({ kind: 'refused', code: 2004 });
  });
});
