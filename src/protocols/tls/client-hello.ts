// What a client says first, for both versions. RFC 8446 §4.1.2 and §4.2, RFC 5246 §7.4.1.2.
// Everything is read to its last byte, also what is not used: a damaged ClientHello ends here. What to
// make of it belongs to server.ts (version) and the handshakes (all else).

import { extensionTypes } from './handshake.ts';
import { type Reader, TlsAlert, createReader, readUint16List } from './wire.ts';

export type ClientHello = {
  /** 0x0303 for TLS 1.2 and 1.3. */
  legacyVersion: number;
  random: Buffer;
  sessionId: Buffer;
  cipherSuites: readonly number[];
  compressionMethods: Buffer;
  /** All types that it names, also those we do not know. */
  extensions: ReadonlySet<number>;
  /** Undefined: no such extension, which means TLS 1.2 or older. */
  supportedVersions?: readonly number[];
  serverName?: string;
  groups?: readonly number[];
  pointFormats?: Buffer;
  signatureAlgorithms?: readonly number[];
  /** For the signatures inside certificates, where they differ. RFC 8446 §4.2.3. */
  certificateSignatureAlgorithms?: readonly number[];
  keyShares?: readonly { group: number; publicKey: Buffer }[];
  pskModes?: Buffer;
  preSharedKeys?: PreSharedKeys;
  offersEarlyData: boolean;
  cookie?: Buffer;
  extendedMasterSecret: boolean;
  /** Empty: wants one. */
  sessionTicket?: Buffer;
  /** Empty: a first handshake. The SCSV says the same. RFC 5746 §3.4. */
  renegotiationInfo?: Buffer;
  /** RFC 8449 §4. */
  recordSizeLimit?: number;
  /** RFC 6066 §4: 512 to 4096. */
  maxFragmentBytes?: number;
  /** The client has tried a higher version before. RFC 7507. */
  isFallback: boolean;
};

type PreSharedKeys = {
  identities: readonly { identity: Buffer; obfuscatedAge: number }[];
  binders: readonly Buffer[];
  /** How many bytes of the message, from its header on, the binders vouch for. RFC 8446 §4.2.11.2. */
  vouchedBytes: number;
};

const FALLBACK_SCSV = 0x5600;
const RENEGOTIATION_SCSV = 0x00ff;
const HEADER_BYTES = 4;

/** `body`: without the header of the handshake message. */
export function parseClientHello(body: Buffer): ClientHello {
  const reader = createReader(body, 'ClientHello');
  const legacyVersion = reader.uint16();
  const random = reader.bytes(32);
  const sessionId = reader.vector8({ max: 32 });
  const cipherSuites = readUint16List(reader.vector16({ min: 2 }), 'the list of cipher suites');
  const compressionMethods = reader.vector8({ min: 1 });
  // A TLS 1.2 client may leave out the extensions, length and all.
  const extensions = readExtensions(reader.isAtEnd() ? Buffer.alloc(0) : reader.vector16());
  reader.end();

  const known: Known = {};
  if (cipherSuites.includes(RENEGOTIATION_SCSV)) known.renegotiationInfo = Buffer.alloc(0);
  for (const [type, data] of extensions) readExtension(known, type, data, body);
  checkKeyShares(known);

  return {
    legacyVersion,
    random,
    sessionId,
    cipherSuites,
    compressionMethods,
    extensions: new Set(extensions.keys()),
    offersEarlyData: extensions.has(extensionTypes.earlyData),
    extendedMasterSecret: extensions.has(extensionTypes.extendedMasterSecret),
    isFallback: cipherSuites.includes(FALLBACK_SCSV),
    ...known,
  };
}

/** What an extension says, as far as it says something. */
type Known = Partial<
  Omit<
    ClientHello,
    | 'legacyVersion'
    | 'random'
    | 'sessionId'
    | 'cipherSuites'
    | 'compressionMethods'
    | 'extensions'
    | 'offersEarlyData'
    | 'extendedMasterSecret'
    | 'isFallback'
  >
>;

function readExtensions(block: Buffer): Map<number, Buffer> {
  const extensions = new Map<number, Buffer>();
  const reader = createReader(block, 'the extensions of ClientHello');
  while (!reader.isAtEnd()) {
    // The binders vouch for all that comes before them, so nothing may come after. RFC 8446 §4.2.11.
    if (extensions.has(extensionTypes.preSharedKey)) throw illegal('pre_shared_key is not last');
    const type = reader.uint16();
    if (extensions.has(type)) throw illegal(`extension ${type} comes twice`);
    extensions.set(type, reader.vector16());
  }
  return extensions;
}

function readExtension(known: Known, type: number, data: Buffer, body: Buffer): void {
  const reader = createReader(data, `extension ${type} of ClientHello`);
  const list = (bytes: Buffer) => readUint16List(bytes, `extension ${type} of ClientHello`);
  switch (type) {
    case extensionTypes.serverName: {
      const name = readServerName(reader.vector16({ min: 1 }));
      if (name !== undefined) known.serverName = name;
      break;
    }
    case extensionTypes.maxFragmentLength: {
      const code = reader.uint8();
      if (code < 1 || code > 4) throw illegal(`there is no fragment length ${code}`);
      known.maxFragmentBytes = 2 ** (code + 8);
      break;
    }
    case extensionTypes.supportedGroups:
      known.groups = list(reader.vector16({ min: 2 }));
      break;
    case extensionTypes.ecPointFormats:
      known.pointFormats = reader.vector8({ min: 1 });
      break;
    case extensionTypes.signatureAlgorithms:
      known.signatureAlgorithms = list(reader.vector16({ min: 2 }));
      break;
    case extensionTypes.signatureAlgorithmsCert:
      known.certificateSignatureAlgorithms = list(reader.vector16({ min: 2 }));
      break;
    case extensionTypes.extendedMasterSecret:
    case extensionTypes.earlyData:
      break; // their presence says it all
    case extensionTypes.recordSizeLimit:
      known.recordSizeLimit = reader.uint16();
      if (known.recordSizeLimit < 64) throw illegal('record_size_limit is below 64');
      break;
    case extensionTypes.sessionTicket:
      known.sessionTicket = reader.bytes(data.length);
      break;
    case extensionTypes.preSharedKey:
      known.preSharedKeys = readPreSharedKeys(reader, body);
      break;
    case extensionTypes.supportedVersions:
      known.supportedVersions = list(reader.vector8({ min: 2 }));
      break;
    case extensionTypes.cookie:
      known.cookie = reader.vector16({ min: 1 });
      break;
    case extensionTypes.pskKeyExchangeModes:
      known.pskModes = reader.vector8({ min: 1 });
      break;
    case extensionTypes.keyShare:
      known.keyShares = readKeyShares(reader.vector16());
      break;
    case extensionTypes.renegotiationInfo:
      known.renegotiationInfo = reader.vector8();
      break;
    default:
      return; // unknown ones are ignored, whatever is in them. RFC 8446 §4.2
  }
  reader.end();
}

/** Of the name types there has only ever been host_name, 0. RFC 6066 §3. */
function readServerName(names: Buffer): string | undefined {
  const reader = createReader(names, 'server_name');
  let found: string | undefined;
  while (!reader.isAtEnd()) {
    const type = reader.uint8();
    const name = reader.vector16({ min: 1 });
    if (type !== 0) continue;
    if (found !== undefined) throw illegal('server_name has two host names');
    found = name.toString('latin1');
  }
  return found;
}

function readKeyShares(shares: Buffer): { group: number; publicKey: Buffer }[] {
  const reader = createReader(shares, 'key_share');
  const keyShares: { group: number; publicKey: Buffer }[] = [];
  while (!reader.isAtEnd())
    keyShares.push({ group: reader.uint16(), publicKey: reader.vector16({ min: 1 }) });
  return keyShares;
}

function readPreSharedKeys(reader: Reader, body: Buffer): PreSharedKeys {
  const identities: { identity: Buffer; obfuscatedAge: number }[] = [];
  const offered = createReader(reader.vector16({ min: 7 }), 'the identities of pre_shared_key');
  while (!offered.isAtEnd())
    identities.push({ identity: offered.vector16({ min: 1 }), obfuscatedAge: offered.uint32() });

  const binders: Buffer[] = [];
  const block = reader.vector16({ min: 33 });
  const vouching = createReader(block, 'the binders of pre_shared_key');
  while (!vouching.isAtEnd()) binders.push(vouching.vector8({ min: 32 }));
  if (binders.length !== identities.length)
    throw illegal(`pre_shared_key has ${identities.length} identities, ${binders.length} binders`);

  // They are the last thing in the message, their length of two bytes included.
  return { identities, binders, vouchedBytes: HEADER_BYTES + body.length - block.length - 2 };
}

/** One share for a group, and only for groups that it supports. RFC 8446 §4.2.8. */
/** Clients send one or two; browsers of the day, with what is invented to keep us flexible, four. */
const MAX_KEY_SHARES = 16;

function checkKeyShares({ keyShares = [], groups = [] }: Known): void {
  if (keyShares.length > MAX_KEY_SHARES) throw illegal('more key shares than there are groups');
  const shared = new Set(keyShares.map(({ group }) => group));
  if (shared.size !== keyShares.length) throw illegal('key_share has a group twice');
  if (!shared.isSubsetOf(new Set(groups)))
    throw illegal('key_share has a group that supported_groups has not');
}

function illegal(detail: string): TlsAlert {
  return new TlsAlert('illegal_parameter', detail);
}
