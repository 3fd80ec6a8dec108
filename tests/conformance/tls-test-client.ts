// A TLS client that can misbehave. It makes each flight as an honest client would, as a list of parts; a
// test changes the list, drops or repeats parts or forges their content, and then has it encoded. For TLS
// 1.2 and 1.3, in memory. What is shared with the server is what has its own vectors: PRF, curves,
// signatures, records. The key schedule of TLS 1.3 is written again here, from the RFC.

import { type KeyObject, createHash, createHmac, randomBytes } from 'node:crypto';
import { alertName } from '../../src/protocols/tls/alerts.ts';
import {
  type CipherSuite,
  type CipherSuiteName,
  cipherSuites,
} from '../../src/protocols/tls/cipher-suites.ts';
import type { RecordKeys } from '../../src/protocols/tls/connection.ts';
import { extensionTypes, messageTypes } from '../../src/protocols/tls/handshake.ts';
import {
  type Group,
  createKeyShare,
  deriveShared,
  groupOf,
  groups,
} from '../../src/protocols/tls/key-exchange.ts';
import {
  exportKeyingMaterial,
  extendedMasterSecret,
  finishedData,
  keyBlock,
} from '../../src/protocols/tls/prf.ts';
import {
  contentTypes,
  plainRecord,
  protect,
  takeRecord,
  unprotect,
} from '../../src/protocols/tls/records.ts';
import { schemesOf, signWith, signatureSchemes } from '../../src/protocols/tls/signatures.ts';
import {
  createReader,
  uint16,
  uint24,
  uint8,
  vector16,
  vector24,
  vector8,
} from '../../src/protocols/tls/wire.ts';

export type Version = '1.2' | '1.3';

/** Something that an honest client sends, or does, in its place. */
export type Part =
  /** Content for one or more records. A handshake message is one part, with its header. */
  | { kind: 'content'; type: number; content: Buffer }
  /** What follows is protected under these keys. */
  | { kind: 'keys'; keys: RecordKeys };

export type ClientOptions = {
  version: Version;
  suites?: readonly CipherSuiteName[];
  groups?: readonly Group[];
  certificate?: { chain: readonly Buffer[]; privateKey: KeyObject };
  /** TLS 1.2: what an earlier client ended with. */
  session?: ClientSession;
  /** Changes the extensions of the ClientHello. */
  extensions?: (extensions: Map<number, Buffer>) => void;
  sessionId?: Buffer;
  legacyVersion?: number;
  compression?: Buffer;
  /** TLS 1.3: no key share, so that the server asks for one. */
  withoutKeyShare?: boolean;
};

export type ClientSession = { id: Buffer; masterSecret: Buffer };

export type TestClient = ReturnType<typeof createTestClient>;

const nothing: Buffer = Buffer.alloc(0);
const downgradeSentinel = Buffer.from('444f574e47524401', 'hex');

export function createTestClient(options: ClientOptions) {
  const { version } = options;
  const wanted = options.groups ?? ['x25519', 'secp256r1', 'secp384r1'];
  const clientRandom = randomBytes(32);
  const sessionId =
    options.session?.id ?? options.sessionId ?? (version === '1.3' ? randomBytes(32) : nothing);

  let transcript = nothing;
  let group: Group = wanted[0] ?? 'x25519';
  let share = newShare(group);
  let suite: CipherSuite | undefined;
  let serverRandom = nothing;
  let write: RecordKeys | undefined;
  let read: RecordKeys | undefined;
  let pendingRead: RecordKeys | undefined;
  let masterSecret = nothing;
  let handshakeBytes = nothing;
  let recordBytes = nothing;
  let peerPublic = nothing;
  let isCertificateWanted = false;
  let isResumed = false;
  let isRetry = false;
  let serverSessionId = nothing;
  // TLS 1.3
  let handshakeSecret = nothing;
  let clientTraffic = nothing;
  let serverTraffic = nothing;
  let exporterMaster = nothing;
  let clientApplication: RecordKeys | undefined;

  const received = {
    /** Types of handshake messages, in the order of their arrival. */
    messages: [] as number[],
    bodies: new Map<number, Buffer>(),
    alerts: [] as { level: number; name: string }[],
    data: nothing,
    /** Of every record, its bytes of content. */
    recordSizes: [] as number[],
  };

  function hello(): Part[] {
    const part = message(messageTypes.clientHello, helloBody());
    transcript = Buffer.concat([transcript, part.content]);
    return [part];
  }

  function helloBody(): Buffer {
    const extensions = new Map<number, Buffer>([
      [
        extensionTypes.supportedGroups,
        vector16(...wanted.map((name) => uint16(groups[name].code))),
      ],
      [
        extensionTypes.signatureAlgorithms,
        vector16(...signatureSchemes.map(({ code }) => uint16(code))),
      ],
    ]);
    if (version === '1.2') {
      extensions.set(extensionTypes.extendedMasterSecret, nothing);
      extensions.set(extensionTypes.ecPointFormats, vector8(uint8(0)));
      extensions.set(extensionTypes.renegotiationInfo, vector8());
    } else {
      const shares =
        options.withoutKeyShare === true && !isRetry
          ? []
          : [Buffer.concat([uint16(groups[group].code), vector16(share.publicKey)])];
      extensions.set(extensionTypes.supportedVersions, vector8(uint16(0x0304)));
      extensions.set(extensionTypes.keyShare, vector16(...shares));
      extensions.set(extensionTypes.pskKeyExchangeModes, vector8(uint8(1)));
    }
    options.extensions?.(extensions);
    const names =
      options.suites ??
      cipherSuites.filter((one) => one.version === version).map(({ name }) => name);
    const codes = names.map((name) =>
      uint16(cipherSuites.find((one) => one.name === name)?.id ?? 0),
    );
    return Buffer.concat([
      uint16(options.legacyVersion ?? 0x0303),
      clientRandom,
      vector8(sessionId),
      vector16(...codes),
      vector8(options.compression ?? uint8(0)),
      vector16(
        ...[...extensions].map(([type, data]) => Buffer.concat([uint16(type), vector16(data)])),
      ),
    ]);
  }

  /** Records, or parts of them, from the server. */
  function receive(bytes: Buffer): void {
    recordBytes = Buffer.concat([recordBytes, bytes]);
    for (;;) {
      const taken = takeRecord(recordBytes, read === undefined ? 'nothing' : version);
      if (taken === undefined) return;
      recordBytes = taken.rest;
      const { record } = taken;
      if (record.type === contentTypes.changeCipherSpec) {
        if (version === '1.2') read = pendingRead;
        continue;
      }
      const { type, content } =
        read === undefined
          ? { type: record.type, content: record.fragment }
          : unprotect(read, record);
      received.recordSizes.push(content.length);
      if (type === contentTypes.alert) {
        const name = alertName(content.readUInt8(1)) ?? String(content[1]);
        received.alerts.push({ level: content.readUInt8(0), name });
      } else if (type === contentTypes.applicationData) {
        received.data = Buffer.concat([received.data, content]);
      } else {
        handshakeBytes = Buffer.concat([handshakeBytes, content]);
        takeMessages();
      }
    }
  }

  function takeMessages(): void {
    while (handshakeBytes.length >= 4) {
      const end = 4 + handshakeBytes.readUIntBE(1, 3);
      if (handshakeBytes.length < end) return;
      const bytes = handshakeBytes.subarray(0, end);
      handshakeBytes = handshakeBytes.subarray(end);
      const type = bytes.readUInt8(0);
      received.messages.push(type);
      received.bodies.set(type, bytes.subarray(4));
      if (version === '1.2') receive12(type, bytes);
      else receive13(type, bytes);
    }
  }

  function receive12(type: number, bytes: Buffer): void {
    const body = bytes.subarray(4);
    if (type === messageTypes.finished) {
      const expected = finishedData(hash(), masterSecret, 'server', digest());
      if (!expected.equals(body)) throw new Error('the Finished of the server is wrong');
    }
    transcript = Buffer.concat([transcript, bytes]);
    if (type === messageTypes.serverHello) {
      readServerHello(body);
      isResumed = options.session !== undefined && serverSessionId.equals(options.session.id);
      if (isResumed && options.session !== undefined) {
        masterSecret = options.session.masterSecret;
        pendingRead = keys12().read;
      }
    }
    if (type === messageTypes.serverKeyExchange) {
      const reader = createReader(body, 'ServerKeyExchange');
      reader.uint8();
      group = groupOf(reader.uint16()) ?? 'x25519';
      peerPublic = reader.vector8();
    }
    if (type === messageTypes.certificateRequest) isCertificateWanted = true;
  }

  function receive13(type: number, bytes: Buffer): void {
    const body = bytes.subarray(4);
    if (type === messageTypes.serverHello) {
      const shared = readServerHello(body);
      if (shared.group !== undefined && shared.publicKey === undefined) {
        const hashed = digest();
        transcript = Buffer.concat([uint8(messageTypes.messageHash), vector24(hashed), bytes]);
        group = shared.group;
        share = newShare(group);
        isRetry = true;
        return;
      }
      isRetry = false;
      transcript = Buffer.concat([transcript, bytes]);
      peerPublic = shared.publicKey ?? nothing;
      const secret = deriveShared(group, share.privateKey, peerPublic) ?? nothing;
      const early = hmac(zeros(), zeros());
      handshakeSecret = hmac(derive(early, 'derived', emptyHash()), secret);
      clientTraffic = derive(handshakeSecret, 'c hs traffic', digest());
      serverTraffic = derive(handshakeSecret, 's hs traffic', digest());
      read = keys13(serverTraffic);
      return;
    }
    if (type === messageTypes.finished) {
      const key = expand(serverTraffic, 'finished', nothing, hashBytes());
      if (!hmac(key, digest()).equals(body)) throw new Error('the Finished of the server is wrong');
    }
    if (type !== messageTypes.newSessionTicket) transcript = Buffer.concat([transcript, bytes]);
    if (type === messageTypes.certificateRequest) isCertificateWanted = true;
    if (type === messageTypes.finished) {
      const master = hmac(derive(handshakeSecret, 'derived', emptyHash()), zeros());
      clientApplication = keys13(derive(master, 'c ap traffic', digest()));
      read = keys13(derive(master, 's ap traffic', digest()));
      exporterMaster = derive(master, 'exp master', digest());
    }
  }

  function readServerHello(body: Buffer): { group?: Group; publicKey?: Buffer } {
    const reader = createReader(body, 'ServerHello');
    reader.uint16();
    serverRandom = reader.bytes(32);
    serverSessionId = reader.vector8();
    const code = reader.uint16();
    suite = cipherSuites.find(({ id }) => id === code);
    reader.uint8();
    const extensions = createReader(reader.vector16(), 'extensions');
    const shared: { group?: Group; publicKey?: Buffer } = {};
    while (!extensions.isAtEnd()) {
      const type = extensions.uint16();
      const data = createReader(extensions.vector16(), 'extension');
      if (type !== extensionTypes.keyShare) continue;
      const chosen = groupOf(data.uint16());
      if (chosen !== undefined) shared.group = chosen;
      if (!data.isAtEnd()) shared.publicKey = data.vector16();
    }
    return shared;
  }

  /** What an honest client answers to the flight of the server. */
  function answer(): Part[] {
    if (isRetry) return hello();
    return version === '1.2' ? answer12() : answer13();
  }

  function answer12(): Part[] {
    const parts: Part[] = [];
    const add = (type: number, body: Buffer) => {
      const part = message(type, body);
      transcript = Buffer.concat([transcript, part.content]);
      parts.push(part);
    };
    if (!isResumed) {
      const chain = options.certificate?.chain ?? [];
      if (isCertificateWanted)
        add(messageTypes.certificate, vector24(...chain.map((der) => vector24(der))));
      share = newShare(group);
      add(messageTypes.clientKeyExchange, vector8(share.publicKey));
      const secret = deriveShared(group, share.privateKey, peerPublic) ?? nothing;
      masterSecret = extendedMasterSecret(hash(), secret, digest());
      if (isCertificateWanted && options.certificate !== undefined && chain.length > 0)
        add(messageTypes.certificateVerify, certificateVerify(transcript));
    }
    const keys = keys12();
    pendingRead = keys.read;
    parts.push({ kind: 'content', type: contentTypes.changeCipherSpec, content: uint8(1) });
    parts.push({ kind: 'keys', keys: keys.write });
    add(messageTypes.finished, finishedData(hash(), masterSecret, 'client', digest()));
    return parts;
  }

  function answer13(): Part[] {
    const parts: Part[] = [{ kind: 'keys', keys: keys13(clientTraffic) }];
    const add = (type: number, body: Buffer) => {
      const part = message(type, body);
      transcript = Buffer.concat([transcript, part.content]);
      parts.push(part);
    };
    if (isCertificateWanted) {
      const chain = options.certificate?.chain ?? [];
      const entries = chain.map((der) => Buffer.concat([vector24(der), vector16()]));
      add(messageTypes.certificate, Buffer.concat([vector8(), vector24(...entries)]));
      if (chain.length > 0) {
        const context = 'TLS 1.3, client CertificateVerify\0';
        const signed = Buffer.concat([Buffer.alloc(64, 0x20), Buffer.from(context), digest()]);
        add(messageTypes.certificateVerify, certificateVerify(signed));
      }
    }
    const key = expand(clientTraffic, 'finished', nothing, hashBytes());
    add(messageTypes.finished, hmac(key, digest()));
    if (clientApplication !== undefined) parts.push({ kind: 'keys', keys: clientApplication });
    return parts;
  }

  function certificateVerify(signed: Buffer): Buffer {
    const { certificate } = options;
    if (certificate === undefined) throw new Error('no certificate');
    const [scheme] = schemesOf(certificate.privateKey, version);
    if (scheme === undefined) throw new Error('no scheme for the key');
    const signature = signWith(scheme, certificate.privateKey, signed);
    return Buffer.concat([uint16(scheme.code), vector16(signature)]);
  }

  /** `recordBytes`: how much of a part goes into one record. */
  function encode(parts: readonly Part[], { recordBytes = 2 ** 14 } = {}): Buffer {
    const records: Buffer[] = [];
    for (const part of parts) {
      if (part.kind === 'keys') {
        write = { ...part.keys };
        continue;
      }
      const { type, content } = part;
      for (let offset = 0; offset === 0 || offset < content.length; offset += recordBytes) {
        const fragment = content.subarray(offset, offset + recordBytes);
        const isPlain = write === undefined || type === contentTypes.changeCipherSpec;
        records.push(
          write === undefined || isPlain
            ? plainRecord(type, fragment)
            : protect(write, type, fragment),
        );
      }
    }
    return Buffer.concat(records);
  }

  /** As `encode`, but the client has not moved on: the next flight may take the place of this one. */
  function encodeVariant(parts: readonly Part[]): Buffer {
    const before = write === undefined ? undefined : { ...write };
    const bytes = encode(parts);
    write = before;
    return bytes;
  }

  function exportKey(label: string, length: number, context?: Buffer): Buffer {
    if (version === '1.2') {
      const randoms = { clientRandom, serverRandom };
      return exportKeyingMaterial(hash(), masterSecret, randoms, label, length, context);
    }
    const hashed = createHash(hash())
      .update(context ?? nothing)
      .digest();
    return expand(derive(exporterMaster, label, emptyHash()), 'exporter', hashed, length);
  }

  const hash = () => suite?.hash ?? 'sha256';
  const hashBytes = () => (hash() === 'sha384' ? 48 : 32);
  const digest = () => createHash(hash()).update(transcript).digest();
  const emptyHash = () => createHash(hash()).digest();
  const zeros = () => Buffer.alloc(hashBytes());
  const hmac = (key: Buffer, data: Buffer) => createHmac(hash(), key).update(data).digest();
  const derive = (secret: Buffer, label: string, hashed: Buffer) =>
    expand(secret, label, hashed, hashBytes());

  function expand(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
    const info = Buffer.concat([
      uint16(length),
      vector8(Buffer.from(`tls13 ${label}`)),
      vector8(context),
    ]);
    let last: Buffer = nothing;
    let all: Buffer = nothing;
    for (let round = 1; all.length < length; round += 1) {
      last = hmac(secret, Buffer.concat([last, info, uint8(round)]));
      all = Buffer.concat([all, last]);
    }
    return all.subarray(0, length);
  }

  function keys12(): { read: RecordKeys; write: RecordKeys } {
    const one = suiteNow();
    const keys = keyBlock(one.hash, masterSecret, { clientRandom, serverRandom }, one);
    return {
      write: { suite: one.name, key: keys.clientKey, iv: keys.clientIv, sequence: 0 },
      read: { suite: one.name, key: keys.serverKey, iv: keys.serverIv, sequence: 0 },
    };
  }

  function keys13(secret: Buffer): RecordKeys {
    const one = suiteNow();
    return {
      suite: one.name,
      key: expand(secret, 'key', nothing, one.keyBytes),
      iv: expand(secret, 'iv', nothing, 12),
      sequence: 0,
    };
  }

  function suiteNow(): CipherSuite {
    if (suite === undefined) throw new Error('no cipher suite has been agreed on');
    return suite;
  }

  return {
    hello,
    receive,
    answer,
    encode,
    encodeVariant,
    exportKey,
    received,
    isResumed: () => isResumed,
    wasAskedForCertificate: () => isCertificateWanted,
    sawDowngrade: () => serverRandom.subarray(24).equals(downgradeSentinel),
    /** What a later client can resume with. TLS 1.2. */
    session: (): ClientSession => ({ id: serverSessionId, masterSecret }),
  };
}

export function message(type: number, body: Buffer): Part & { kind: 'content' } {
  const content = Buffer.concat([uint8(type), uint24(body.length), body]);
  return { kind: 'content', type: contentTypes.handshake, content };
}

export function alertPart(level: number, number: number): Part {
  return { kind: 'content', type: contentTypes.alert, content: Buffer.of(level, number) };
}

export function dataPart(data: Buffer): Part {
  return { kind: 'content', type: contentTypes.applicationData, content: data };
}

export const changeCipherSpecPart: Part = {
  kind: 'content',
  type: contentTypes.changeCipherSpec,
  content: uint8(1),
};

function newShare(group: Group) {
  return createKeyShare(group, randomBytes(groups[group].seedBytes));
}
