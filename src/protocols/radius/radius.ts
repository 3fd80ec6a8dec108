// The library `evergate/radius`: parse, check, decode and write RADIUS packets. It opens no socket and
// reads no clock, so it fits a test, a script or a server of your own. See docs/guides/radius-library.md.

/** Packets as bytes: parsing never throws, looking does not copy. */
export {
  attributeInteger,
  attributeText,
  AttributeType,
  attributeValue,
  concatAttribute,
  countAttribute,
  findAttribute,
  findInteger,
  findText,
  findValue,
  findVendorAttribute,
  MAX_PACKET_BYTES,
  MIN_PACKET_BYTES,
  nextAttribute,
  packetAuthenticator,
  PacketCode,
  parsePacket,
} from './packet.ts';
export type { Malformed, MalformedReason, Packet } from './packet.ts';

/** Is the packet from somebody who knows the secret? */
export {
  prepareSecret,
  signRequest,
  verifyAccountingAuthenticator,
  verifyMessageAuthenticator,
  verifyResponse,
} from './authenticator.ts';
export type { MessageAuthenticatorCheck, Secret } from './authenticator.ts';

/** Passwords and keys inside packets. */
export {
  chapResponse,
  hideUserPassword,
  MAX_PASSWORD_BYTES,
  MAX_SALTED_BYTES,
  revealUserPassword,
  saltDecrypt,
  saltEncrypt,
  verifyChap,
} from './password.ts';

/** By name, for people: slower, and it knows every attribute. */
export { decodeAttributes } from './attributes.ts';
export type { DecodedAttribute, DecodingKey } from './attributes.ts';
export { encodeReply, encodeRequest } from './encode.ts';
export type { AttributeToEncode, RequestToEncode } from './encode.ts';
export type { ReadableValue, WritableValue } from './value.ts';

/** By number, for servers: one writer for all packets, nothing allocated but the result. */
export { createReplyWriter } from './reply.ts';
export type { ReplyWriter } from './reply.ts';
export { createRequestWriter } from './request.ts';
export type { RequestWriter } from './request.ts';
export type { AttributeWriter } from './attribute-writer.ts';

/** What attributes are called, from our tables and yours. */
export { createDictionary } from './dictionary.ts';
export type {
  AttributeDefinition,
  AttributeFlag,
  AttributeRow,
  Dictionary,
  DictionaryTable,
  ValueType,
  Vendor,
} from './dictionary.ts';
export { standardDictionary, standardTables } from './dictionary/standard.ts';

/** Vendors by number, for findVendorAttribute and the writers. */
export { ARUBA_VENDOR_ID, ArubaType } from './dictionary/aruba.ts';
export { CHILLISPOT_VENDOR_ID, ChillispotType } from './dictionary/chillispot.ts';
export { CISCO_VENDOR_ID, CiscoType } from './dictionary/cisco.ts';
export { MICROSOFT_VENDOR_ID, MicrosoftType } from './dictionary/microsoft.ts';
export { MIKROTIK_VENDOR_ID, MikrotikType } from './dictionary/mikrotik.ts';
export { RUCKUS_VENDOR_ID } from './dictionary/ruckus.ts';
export { UBIQUITI_VENDOR_ID } from './dictionary/ubiquiti.ts';
export { WISPR_VENDOR_ID, WisprType } from './dictionary/wispr.ts';

/** Files in the format of FreeRADIUS. */
export { parseFreeradiusDictionary } from './freeradius-dictionary.ts';
export type {
  DictionaryProblem,
  ParsedDictionary,
  ReadDictionaryFile,
} from './freeradius-dictionary.ts';
