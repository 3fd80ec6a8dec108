// Names in certificates: distinguished names and general names. RFC 5280 §4.1.2.4, §4.2.1.6, §7.
// What they are compared with belongs to name-constraints.ts and path-validation.ts.

import { hash } from 'node:crypto';
import {
  DerError,
  Tag,
  derReader,
  inside,
  onlyValue,
  readObjectIdentifier,
  valuesIn,
} from './der.ts';
import type { DerValue } from './der.ts';
import { Oid } from './object-identifiers.ts';
import { printable } from './printable.ts';

export type DistinguishedName = {
  readonly der: Buffer;
  /** One for each relative name, in a form in which equal names are equal strings. */
  readonly parts: readonly string[];
  /** All parts in one: two names are the same when their keys are. */
  readonly key: string;
  readonly attributes: readonly NameAttribute[];
};

type NameAttribute = { readonly type: string; readonly value: string };

export type GeneralNames = {
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  /** 4 or 16 bytes. */
  readonly ipAddresses: readonly Buffer[];
  readonly uris: readonly string[];
  readonly directoryNames: readonly DistinguishedName[];
  /** otherName 1.3.6.1.4.1.311.20.2.3, Microsoft's user principal name. */
  readonly principalNames: readonly string[];
  /** The number of each form that occurs. */
  readonly forms: ReadonlySet<number>;
};

/** The number of each form of GeneralName. RFC 5280 §4.2.1.6. */
export const NameForm = {
  otherName: 0,
  email: 1,
  dnsName: 2,
  directoryName: 4,
  uri: 6,
  ipAddress: 7,
} as const;

export const NO_NAMES: GeneralNames = {
  dnsNames: [],
  emails: [],
  ipAddresses: [],
  uris: [],
  directoryNames: [],
  principalNames: [],
  forms: new Set(),
};

export function readName(value: DerValue): DistinguishedName {
  const attributes: NameAttribute[] = [];
  const parts = valuesIn(value).map((relativeName) => {
    const ofThisPart = valuesIn(relativeName, Tag.set).map((attribute) => {
      const reader = inside(attribute);
      const type = readObjectIdentifier(reader.next(Tag.objectIdentifier));
      const written = reader.any();
      reader.end();
      const text = readText(written);
      if (text !== undefined) attributes.push({ type, value: text });
      return `${type}=${text === undefined ? `#${written.encoded.toString('hex')}` : `"${foldText(text)}`}`;
    });
    if (ofThisPart.length === 0) throw new DerError('an empty relative name');
    return ofThisPart.toSorted().join('\u0000+');
  });
  return { der: value.encoded, parts, key: parts.join('\u0000,'), attributes };
}

/** Two names and what is said about them fit into a detail. */
export const MAX_NAME_CHARACTERS = 60;

/** As people write it, the most special part last: `O=Cafe, CN=alice`. Strangers choose their names. */
export function describeName({ attributes }: DistinguishedName, maxCharacters?: number): string {
  const shown = attributes.map(({ type, value }) => `${SHORT_NAMES[type] ?? type}=${value}`);
  return printable(shown.length === 0 ? '(no name)' : shown.join(', '), maxCharacters);
}

const hashes = new WeakMap<DistinguishedName, string>();

/** SHA-256 of the form in which equal names are equal, hexadecimal. Made once for each object. */
export function hashOfName(name: DistinguishedName): string {
  const present = hashes.get(name);
  if (present !== undefined) return present;
  const made = hash('sha256', name.key);
  hashes.set(name, made);
  return made;
}

/** The last one is the most special. */
export function commonNameOf({ attributes }: DistinguishedName): string | undefined {
  return attributes.findLast(({ type }) => type === Oid.commonName)?.value;
}

/** RFC 5280 §4.2.1.6. */
export function readGeneralNames(value: DerValue): GeneralNames {
  const values = valuesIn(value);
  if (values.length === 0) throw new DerError('no names');
  const names = namesOf(values);
  const areAddresses = names.ipAddresses.every(({ length }) => length === 4 || length === 16);
  if (!areAddresses) throw new DerError('not an IP address');
  return names;
}

/** Also of name constraints, where an IP address is a range. */
export function namesOf(values: readonly DerValue[]): GeneralNames {
  if (!values.every(({ tag }) => GENERAL_NAME_TAGS.has(tag))) throw new DerError('not a name');
  const ofForm = (form: number) => values.filter(({ tag }) => (tag & 0x1f) === form);
  const texts = (form: number) => ofForm(form).map(({ content }) => readAscii(content));
  return {
    dnsNames: texts(NameForm.dnsName),
    emails: texts(NameForm.email),
    uris: texts(NameForm.uri),
    ipAddresses: ofForm(NameForm.ipAddress).map(({ content }) => content),
    directoryNames: ofForm(NameForm.directoryName).map(({ content }) =>
      readName(onlyValue(content)),
    ),
    principalNames: ofForm(NameForm.otherName).flatMap(readPrincipalName),
    forms: new Set(values.map(({ tag }) => tag & 0x1f)),
  };
}

/** [0] to [8]: those that are values themselves are constructed. RFC 5280 §4.2.1.6. */
const GENERAL_NAME_TAGS: ReadonlySet<number> = new Set([
  ...[0, 3, 4, 5].map(Tag.contextConstructed),
  ...[1, 2, 6, 7, 8].map(Tag.context),
]);

/** OtherName ::= SEQUENCE { type-id OBJECT IDENTIFIER, value [0] EXPLICIT ANY }, the tag being implicit. */
function readPrincipalName({ content }: DerValue): string[] {
  const reader = derReader(content);
  const type = readObjectIdentifier(reader.next(Tag.objectIdentifier));
  const value = onlyValue(reader.next(Tag.contextConstructed(0)).content);
  reader.end();
  if (type !== Oid.userPrincipalName) return [];
  const text = readText(value);
  if (text === undefined) throw new DerError('a principal name that is no text');
  return [text];
}

/** RFC 5280 §4.2.1.6: IA5String. A control character is nowhere part of a name, and has fooled many. */
function readAscii(content: Buffer): string {
  const text = content.toString('latin1');
  if (!/^[\u0020-\u007e]*$/.test(text)) throw new DerError('a name with strange characters');
  return text;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Undefined: another type than text. RFC 5280 §4.1.2.4. */
function readText({ tag, content }: DerValue): string | undefined {
  const text = decodeText(tag, content);
  if (text?.includes('\u0000') === true) throw new DerError('a name with a zero in it');
  return text;
}

function decodeText(tag: number, content: Buffer): string | undefined {
  switch (tag) {
    case Tag.utf8String:
      try {
        return utf8.decode(content);
      } catch {
        throw new DerError('not UTF-8');
      }
    case Tag.printableString:
    case Tag.ia5String:
    case Tag.numericString:
    case Tag.visibleString:
    case Tag.teletexString:
      return content.toString('latin1');
    case Tag.bmpString:
      if (content.length % 2 !== 0) throw new DerError('not UTF-16');
      return Buffer.from(content).swap16().toString('utf16le');
    case Tag.universalString:
      return decodeUtf32(content);
    default:
      return undefined;
  }
}

function decodeUtf32(content: Buffer): string {
  if (content.length % 4 !== 0) throw new DerError('not UTF-32');
  let text = '';
  for (let offset = 0; offset < content.length; offset += 4) {
    const point = content.readUInt32BE(offset);
    if (point > 0x10ffff) throw new DerError('not UTF-32');
    text += String.fromCodePoint(point);
  }
  return text;
}

/** RFC 5280 §7.1, RFC 4518 §2: whatever the type of the string, its case, or its spaces. */
function foldText(text: string): string {
  return text.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' ');
}

const SHORT_NAMES: Record<string, string> = {
  [Oid.commonName]: 'CN',
  [Oid.organization]: 'O',
  [Oid.emailAddress]: 'emailAddress',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.25': 'DC',
  '0.9.2342.19200300.100.1.1': 'UID',
};
