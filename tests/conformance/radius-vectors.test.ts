// Packets that others made: the examples of RFC 2865 §7 and RFC 5997 §6, and what FreeRADIUS's
// radclient 3.2.1 sent; and the dictionaries of FreeRADIUS (Debian package freeradius-common).

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeAttributes } from '../../src/protocols/radius/attributes.ts';
import {
  prepareSecret,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
  verifyResponse,
} from '../../src/protocols/radius/authenticator.ts';
import { createDictionary } from '../../src/protocols/radius/dictionary.ts';
import {
  standardDictionary,
  standardTables,
} from '../../src/protocols/radius/dictionary/standard.ts';
import { encodeRequest } from '../../src/protocols/radius/encode.ts';
import { parseFreeradiusDictionary } from '../../src/protocols/radius/freeradius-dictionary.ts';
import {
  findValue,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from '../../src/protocols/radius/packet.ts';
import type { Packet } from '../../src/protocols/radius/packet.ts';
import { revealUserPassword, verifyChap } from '../../src/protocols/radius/password.ts';
import { createReplyWriter } from '../../src/protocols/radius/reply.ts';

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

function packet(text: string): Packet {
  const parsed = parsePacket(hex(text));
  if (parsed.kind !== 'packet') throw new Error(parsed.reason);
  return parsed;
}

describe('the examples of RFC 2865 §7', () => {
  const secret = prepareSecret(Buffer.from('xyzzy5461'));
  const writer = createReplyWriter();

  const telnet = packet(`
    01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
    93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03`);
  const chap = packet(`
    01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e 0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
    75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04 06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00
    02 07 06 00 00 00 01`);
  const card = packet(`
    01 02 00 39 f3 a4 7a 1f 6a 6d 76 71 0b 94 7a b9 30 41 a0 39 01 07 6d 6f 70 73 79 02 12 33 65 75
    73 77 82 89 b5 70 88 5e 15 08 48 25 c5 04 06 c0 a8 01 10 05 06 00 00 00 07`);
  const cardAgain = packet(`
    01 03 00 43 b1 22 55 6d 42 8a 13 d0 d6 25 38 07 c4 57 ec f0 01 07 6d 6f 70 73 79 02 12 69 2c 1f
    20 5f c0 81 b9 19 b9 51 95 f5 61 a5 81 04 06 c0 a8 01 10 05 06 00 00 00 07 18 0a 33 32 37 36 39
    34 33 30`);

  test.each([
    ['nemo', telnet, 'arctangent'],
    ['mopsy', card, 'challenge'],
    ['mopsy with a card', cardAgain, '99101462'],
  ])('the password of %s is revealed', (_name, request, password) => {
    const hidden = findValue(request, 2) ?? Buffer.alloc(0);
    expect(String(revealUserPassword(hidden, secret, packetAuthenticator(request)))).toBe(password);
  });

  test('the CHAP password of flopsy is right, with the Request Authenticator as challenge', () => {
    const response = findValue(chap, 3) ?? Buffer.alloc(0);
    const challenge = packetAuthenticator(chap);
    expect(verifyChap(response, challenge, Buffer.from('arctangent'))).toBe(true);
  });

  test('the login of nemo is decoded', () => {
    const key = { secret, requestAuthenticator: packetAuthenticator(telnet) };
    const decoded = decodeAttributes(telnet, standardDictionary, key);
    expect(decoded.map(({ name, value }) => [name, value])).toEqual([
      ['User-Name', 'nemo'],
      ['User-Password', 'arctangent'],
      ['NAS-IP-Address', '192.168.1.16'],
      ['NAS-Port', 3],
    ]);
  });

  test('the login of nemo is encoded to the same bytes', () => {
    const bytes = encodeRequest(
      {
        code: PacketCode.AccessRequest,
        identifier: 0,
        authenticator: packetAuthenticator(telnet),
        secret,
        messageAuthenticator: false,
        attributes: [
          { name: 'User-Name', value: 'nemo' },
          { name: 'User-Password', value: 'arctangent' },
          { name: 'NAS-IP-Address', value: '192.168.1.16' },
          { name: 'NAS-Port', value: 3 },
        ],
      },
      standardDictionary,
    );
    expect(bytes).toEqual(telnet.bytes);
  });

  test.each([
    [
      'Accept for nemo',
      telnet,
      `02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00
       0e 06 c0 a8 01 03`,
    ],
    [
      'Accept for flopsy',
      chap,
      `02 01 00 38 15 ef bc 7d ab 26 cf a3 dc 34 d9 c0 3c 86 01 a4 06 06 00 00 00 02 07 06 00 00 00 01
       08 06 ff ff ff fe 0a 06 00 00 00 02 0d 06 00 00 00 01 0c 06 00 00 05 dc`,
    ],
    [
      'Challenge for mopsy',
      card,
      `0b 02 00 4e 36 f3 c8 76 4a e8 c7 11 57 40 3c 0c 71 ff 9c 45 12 30 43 68 61 6c 6c 65 6e 67 65 20
       33 32 37 36 39 34 33 30 2e 20 20 45 6e 74 65 72 20 72 65 73 70 6f 6e 73 65 20 61 74 20 70 72 6f
       6d 70 74 2e 18 0a 33 32 37 36 39 34 33 30`,
    ],
    ['Reject for mopsy', cardAgain, '03 03 00 14 a4 2f 4f ca 45 91 6c 4e 09 c8 34 0f 9e 74 6a a0'],
  ])('the %s is verified, and written to the same bytes', (_name, request, text) => {
    const reply = packet(text);
    expect(verifyResponse(reply, packetAuthenticator(request), secret)).toBe(true);

    writer.begin(reply.code, request, false);
    for (let at = 20; at < reply.bytes.length; at += reply.bytes.readUInt8(at + 1)) {
      const end = at + reply.bytes.readUInt8(at + 1);
      writer.bytes(reply.bytes.readUInt8(at), reply.bytes.subarray(at + 2, end));
    }
    expect(writer.finish(secret)).toEqual(reply.bytes);
  });
});

describe('the examples of RFC 5997 §6', () => {
  const secret = prepareSecret(Buffer.from('xyzzy5461'));

  test.each([
    [
      'a query to the authentication port',
      '0cda0026 8a54f4686fb394c52866e302185d0623 5012 5a665e2e1e8411f3e243822097c84fa3',
    ],
    [
      'a query to the accounting port',
      '0cb30026 925f6b66dd5fed571fcb1db7ad388260 5012 e8d6eabda910875cd91fdade26367858',
    ],
    [
      'a verbose query',
      `0c47002c bf58de56ae408ad3b70c8513f9b03fbe 0406c0000210
       5012 852d6fec61e7ed74b8e32dac2f2a5fb2`,
    ],
  ])('%s has a valid Message-Authenticator', (_name, text) => {
    expect(verifyMessageAuthenticator(packet(text), secret)).toBe('valid');
  });

  test('the answer is verified', () => {
    const answer = packet('02da0014 ef0d552a4bf2d693ec2b6fe8b5411d66');
    expect(verifyResponse(answer, hex('8a54f4686fb394c52866e302185d0623'), secret)).toBe(true);
  });
});

describe('packets of radclient', () => {
  const secret = prepareSecret(Buffer.from('s3cr3t'));

  function decoded(from: Packet, requestAuthenticator: Buffer): string[] {
    return decodeAttributes(from, standardDictionary, { secret, requestAuthenticator }).map(
      ({ name, value, tag }) => `${name}${tag === undefined ? '' : `:${tag}`} = ${value}`,
    );
  }

  test('an Accounting-Request', () => {
    const start = packet(`
      0447006e56888f8c3cc9b47698fa5440f34d02af2806000000012c0a38316130303030310107616c6963653d0600000013
      08060a0000076114004020010db800010000000000000000000037066b00364019050102ff1a0e00003a8c0808324d2f31
      304d600a1122334455667788`);
    expect(verifyAccountingAuthenticator(start, secret)).toBe(true);
    expect(verifyMessageAuthenticator(start, secret)).toBe('absent');
    expect(decoded(start, Buffer.alloc(16))).toEqual([
      'Acct-Status-Type = Start',
      'Acct-Session-Id = 81a00001',
      'User-Name = alice',
      'NAS-Port-Type = Wireless-802.11',
      'Framed-IP-Address = 10.0.0.7',
      'Framed-IPv6-Prefix = 2001:db8:1::/64',
      'Event-Timestamp = 2026-11-20T12:00:00Z',
      'Class = 0x0102ff',
      'Mikrotik-Rate-Limit = 2M/10M',
      'Framed-Interface-Id = 1122:3344:5566:7788',
    ]);
  });

  test('a Disconnect-Request', () => {
    const disconnect = packet(`
      28b40037649978775e606082e15c08d832a246612c0a38316130303030310107616c696365501254404fd81b95485e8684
      0de8bf6be621`);
    expect(verifyAccountingAuthenticator(disconnect, secret)).toBe(true);
    expect(verifyMessageAuthenticator(disconnect, secret)).toBe('valid');
  });

  test('a CoA-Request with tags, an encrypted Tunnel-Password and two vendor attributes', () => {
    const coa = packet(`
      2b97006dcdee6f66f7586e3fe1e76a0fb5b854762c0a383161303030303140060100000d41060100000651060132303045
      1501847a2934f9007263a5a39e13539144c1e2115012a0544137ded8aa5537c571e8722e61221a0b000000090105613d62
      1a0b000000090105633d64`);
    expect(verifyAccountingAuthenticator(coa, secret)).toBe(true);
    expect(verifyMessageAuthenticator(coa, secret)).toBe('valid');
    // radclient encrypts with an authenticator of zeros here: the real one is computed afterwards.
    expect(decoded(coa, Buffer.alloc(16))).toEqual([
      'Acct-Session-Id = 81a00001',
      'Tunnel-Type:1 = VLAN',
      'Tunnel-Medium-Type:1 = IEEE-802',
      'Tunnel-Private-Group-Id:1 = 200',
      'Tunnel-Password:1 = hush',
      'Message-Authenticator = 0xa0544137ded8aa5537c571e8722e6122',
      'Cisco-AVPair = a=b',
      'Cisco-AVPair = c=d',
    ]);
  });

  test('an Access-Request with a password of two blocks', () => {
    const login = packet(`
      01a10055ae619ed74f363fb4e932e39d41cdd51b0107616c69636502220e169a998f85ff2ce89184fea64f20c1965564d4
      fc87f53621040d1c97a02b8f0406c00002015012558883239103a697af628f4e9e571892`);
    expect(verifyMessageAuthenticator(login, secret)).toBe('valid');
    expect(decoded(login, packetAuthenticator(login))).toContain(
      'User-Password = wonderland-is-longer-than-16',
    );
  });

  test('an Access-Request with CHAP', () => {
    const login = packet(`
      01cb003222c449d18ac40cfd684c03d582bd98f90105626f620313ca929470682a9f91bc8b5ec6be668b148f0406c00002
      01`);
    const response = findValue(login, 3) ?? Buffer.alloc(0);
    expect(verifyChap(response, packetAuthenticator(login), Buffer.from('wonderland'))).toBe(true);
  });

  test('a Status-Server', () => {
    const status = packet(`
      0cee00268719b172a22fe56cc81cff10ec9e9bee5012413f1b965ad58e52fa63af2c2c767a63`);
    expect(verifyMessageAuthenticator(status, secret)).toBe('valid');
  });
});

describe('the dictionaries of FreeRADIUS', () => {
  const directory = '/usr/share/freeradius';
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);
  const parsed = parseFreeradiusDictionary(`${directory}/dictionary`, read);
  const theirs = createDictionary(parsed.tables);

  test('are installed: apt-get install freeradius-common', () => {
    expect(existsSync(`${directory}/dictionary`)).toBe(true);
  });

  test('are read completely, without a problem', () => {
    expect(parsed.problems).toEqual([]);
    expect(theirs.size.attributes).toBeGreaterThan(7_000);
    expect(theirs.size.vendors).toBeGreaterThan(150);
    expect(theirs.size.values).toBeGreaterThan(7_000);
  });

  test('are read one by one: what is wrong then lies in another file', () => {
    const files = readdirSync(directory).filter((name) => name.startsWith('dictionary.'));
    const unexpected = files
      .flatMap((name) => parseFreeradiusDictionary(`${directory}/${name}`, read).problems)
      .filter(({ message }) => !/^(VALUE of|unknown (vendor|format)|END-VENDOR)/.test(message));
    expect(unexpected).toEqual([]);
  });

  test('agree with ours on number and type', () => {
    const differing = standardTables
      .flatMap(({ attributes }) => Object.keys(attributes))
      .filter((name) => theirs.attribute(name) !== undefined)
      .filter((name) => {
        const [our, their] = [standardDictionary.attribute(name), theirs.attribute(name)];
        const isSame = our?.vendorId === their?.vendorId && our?.path.join() === their?.path.join();
        return !isSame || our?.type !== their?.type || our?.flags.join() !== their?.flags.join();
      });
    expect(differing).toEqual([]);
  });
});
