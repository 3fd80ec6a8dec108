// Packets from names: what a client sends, and a small server's answers. The opposite of
// attributes.ts. Here a wrong name or value is a mistake of the caller, so it throws.

import { createReplyWriter } from './reply.ts';
import type { Secret } from './authenticator.ts';
import type { AttributeWriter } from './attribute-writer.ts';
import type { AttributeDefinition, Dictionary } from './dictionary.ts';
import { AttributeType, MAX_VALUE_BYTES, packetAuthenticator, PacketCode } from './packet.ts';
import type { Packet } from './packet.ts';
import { chapResponse, hideUserPassword, saltEncrypt } from './password.ts';
import { createRequestWriter } from './request.ts';
import { writeValue } from './value.ts';
import type { WritableValue } from './value.ts';

export type AttributeToEncode = {
  /** `Attr-250`, or `Attr-26.14988.99`, for one that the dictionary does not have. */
  name: string;
  /** The name of an enumerated value, or the value; bytes as Uint8Array or `0x…`. */
  value: WritableValue;
  tag?: number;
};

export type RequestToEncode = {
  code: number;
  identifier: number;
  /** 16 random bytes; ignored for Accounting, Disconnect and CoA, whose authenticator is computed. */
  authenticator: Uint8Array;
  /** User-Password is given in clear, CHAP-Password too when it is a text. */
  attributes: readonly AttributeToEncode[];
  secret: Secret;
  /** Whether to sign with Message-Authenticator: by default Access-Request and Status-Server are. */
  messageAuthenticator?: boolean;
};

/** Throws a RangeError that says what is wrong with which attribute. */
export function encodeRequest(request: RequestToEncode, dictionary: Dictionary): Buffer {
  const { code, identifier, authenticator, attributes, secret } = request;
  const isSignedByDefault = code === PacketCode.AccessRequest || code === PacketCode.StatusServer;
  const writer = createRequestWriter();
  writer.begin(code, identifier, authenticator, request.messageAuthenticator ?? isSignedByDefault);
  writeAttributes(writer, attributes, { dictionary, secret, authenticator });
  const bytes = writer.finish(secret);
  if (bytes === undefined) throw new RangeError('the request does not fit into 4096 bytes');
  return bytes;
}

/** The answer to `request`, with a Message-Authenticator first and all Proxy-States last. */
export function encodeReply(
  reply: {
    code: number;
    request: Packet;
    attributes: readonly AttributeToEncode[];
    secret: Secret;
  },
  dictionary: Dictionary,
): Buffer {
  const { code, request, attributes, secret } = reply;
  const writer = createReplyWriter();
  writer.begin(code, request, true);
  writeAttributes(writer, attributes, {
    dictionary,
    secret,
    authenticator: packetAuthenticator(request),
  });
  writer.copyProxyStates(request);
  if (writer.isTooBig) throw new RangeError('the reply does not fit into 4096 bytes');
  return writer.finish(secret);
}

type Context = { dictionary: Dictionary; secret: Secret; authenticator: Uint8Array };

function writeAttributes(
  writer: AttributeWriter,
  attributes: readonly AttributeToEncode[],
  context: Context,
): void {
  const challenge = attributes.find(({ name }) => name.toLowerCase() === 'chap-challenge')?.value;
  const chapChallenge =
    challenge === undefined ? context.authenticator : writeValue('octets', challenge);

  for (const [index, attribute] of attributes.entries()) {
    const definition = definitionOf(attribute.name, context.dictionary);
    const [type = 0] = definition.path;
    const isOfRfc = definition.vendorId === 0;
    // It has its place already, and its value is computed.
    if (isOfRfc && type === AttributeType.MessageAuthenticator) continue;
    try {
      const bytes =
        isOfRfc && type === AttributeType.ChapPassword && isText(attribute.value)
          ? chapResponse(context.authenticator[0] ?? 0, chapChallenge, Buffer.from(attribute.value))
          : valueBytes(definition, attribute, context, index);
      writeDefined(writer, definition, bytes, context.dictionary);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new RangeError(`${attribute.name}: ${reason}`, { cause: error });
    }
  }
}

function isText(value: WritableValue): value is string {
  return typeof value === 'string' && !value.startsWith('0x');
}

/** Value, then encryption, then tag: the order in which they are taken off again. */
function valueBytes(
  { name, type, flags }: AttributeDefinition,
  { value, tag = 0 }: AttributeToEncode,
  { dictionary, secret, authenticator }: Context,
  index: number,
): Buffer {
  const number = typeof value === 'string' ? dictionary.valueNumber(name, value) : undefined;
  let bytes = writeValue(type, number ?? value);

  if (flags.includes('ascend')) throw new RangeError('its encryption is not supported');
  if (flags.includes('hidden')) bytes = hideUserPassword(bytes, secret, authenticator);
  // Salts must differ within a packet; the authenticator makes them differ between packets.
  const salt = ((authenticator[0] ?? 0) << 8) + index;
  if (flags.includes('salted')) bytes = saltEncrypt(bytes, salt, secret, authenticator);

  if (!flags.includes('tag')) return bytes;
  if (tag < 0 || tag > MAX_TAG) throw new RangeError(`a tag lies between 0 and ${MAX_TAG}`);
  if (type === 'integer' && bytes.length === 4) {
    if (bytes[0] !== 0) throw new RangeError('a tagged number has 24 bits');
    bytes = bytes.subarray(1);
  }
  // A text may go without one, unless its first byte would be taken for a tag.
  const first = bytes[0] ?? MAX_TAG + 1;
  const needsTag = tag !== 0 || type === 'integer' || flags.includes('salted') || first <= MAX_TAG;
  return needsTag ? Buffer.concat([Buffer.of(tag), bytes]) : bytes;
}

function writeDefined(
  writer: AttributeWriter,
  { vendorId, path, flags }: AttributeDefinition,
  bytes: Buffer,
  dictionary: Dictionary,
): void {
  const [type = 0, ...inner] = path;
  if (vendorId !== 0) {
    const vendor = dictionary.vendor(vendorId);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(vendorId);
    const vendorAttribute = wrap(
      type,
      nest(inner, bytes),
      vendor?.typeBytes ?? 1,
      vendor?.lengthBytes ?? 1,
      vendor?.hasContinuation ?? false,
    );
    put(writer, AttributeType.VendorSpecific, Buffer.concat([header, vendorAttribute]));
    return;
  }
  const outer = dictionary.attributeAt(0, [type])?.type;
  if (outer === 'extended' || outer === 'long-extended') {
    writeExtended(writer, type, inner, bytes, outer === 'long-extended');
  } else if (flags.includes('concat')) {
    for (let at = 0; at < bytes.length; at += MAX_VALUE_BYTES) {
      put(writer, type, bytes.subarray(at, at + MAX_VALUE_BYTES));
    }
  } else {
    put(writer, type, nest(inner, bytes));
  }
}

/** The writer would only say at the end that something did not fit. */
function put(writer: AttributeWriter, type: number, value: Buffer): void {
  if (type < 1 || type > 255) throw new RangeError(`${type} is not a number for a packet`);
  if (value.length > MAX_VALUE_BYTES) throw new RangeError(`${value.length} bytes are too long`);
  writer.bytes(type, value);
}

/** RFC 6929 §2: `inner` is the extended type, for a vendor followed by its number and its own type. */
function writeExtended(
  writer: AttributeWriter,
  type: number,
  inner: readonly number[],
  bytes: Buffer,
  isLong: boolean,
): void {
  const [extendedType = 0, ...rest] = inner;
  let value = bytes;
  if (extendedType === AttributeType.VendorSpecific && rest.length >= 2) {
    const [vendorId = 0, vendorType = 0, ...tlvs] = rest;
    const header = Buffer.alloc(5);
    header.writeUInt32BE(vendorId);
    header.writeUInt8(vendorType, 4);
    value = Buffer.concat([header, nest(tlvs, bytes)]);
  } else value = nest(rest, bytes);

  if (!isLong) {
    put(writer, type, Buffer.concat([Buffer.of(extendedType), value]));
    return;
  }
  const partBytes = MAX_VALUE_BYTES - 2;
  for (let at = 0; at === 0 || at < value.length; at += partBytes) {
    const flags = at + partBytes < value.length ? 0x80 : 0;
    const part = value.subarray(at, at + partBytes);
    put(writer, type, Buffer.concat([Buffer.of(extendedType, flags), part]));
  }
}

/** One TLV around the other, the last number innermost. */
function nest(path: readonly number[], bytes: Buffer): Buffer {
  return path.reduceRight<Buffer>((inner, type) => wrap(type, inner, 1, 1, false), bytes);
}

function wrap(
  type: number,
  value: Buffer,
  typeBytes: number,
  lengthBytes: number,
  hasContinuation: boolean,
): Buffer {
  const header = Buffer.alloc(typeBytes + lengthBytes + (hasContinuation ? 1 : 0));
  header.writeUIntBE(type, 0, typeBytes);
  if (lengthBytes > 0) {
    const length = header.length + value.length;
    if (length >= 256 ** lengthBytes) throw new RangeError(`${value.length} bytes are too long`);
    header.writeUIntBE(length, typeBytes, lengthBytes);
  }
  return Buffer.concat([header, value]);
}

/** The dictionary's, or one made from a name such as `Attr-250` or `Attr-26.14988.99`. */
function definitionOf(name: string, dictionary: Dictionary): AttributeDefinition {
  const known = dictionary.attribute(name);
  if (known !== undefined) return known;
  const numbers = /^attr-(\d{1,10}(?:\.\d{1,10})*)$/i.exec(name)?.[1]?.split('.').map(Number);
  if (numbers === undefined || numbers.some((number) => number > 0xffff_ffff)) {
    throw new RangeError(`${name}: no such attribute in the dictionary`);
  }
  const [type = 0, vendorId = 0, ...vendorPath] = numbers;
  const isVendors = type === AttributeType.VendorSpecific && vendorPath.length > 0;
  return {
    name,
    vendorId: isVendors ? vendorId : 0,
    path: isVendors ? vendorPath : numbers,
    type: 'octets',
    flags: [],
  };
}

const MAX_TAG = 0x1f;
