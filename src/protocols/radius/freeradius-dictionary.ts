// Reads dictionaries in the format of FreeRADIUS 3 (man 5 dictionary), so that an operator's own and
// a vendor's download can be used as they are. Reading files is the caller's: `read` gives the text.

import { VALUE_TYPES } from './dictionary.ts';
import type { AttributeFlag, DictionaryTable, ValueType, Vendor } from './dictionary.ts';

export type DictionaryProblem = { file: string; line: number; message: string };

export type ParsedDictionary = {
  /** For createDictionary, in the order in which they appeared. */
  tables: DictionaryTable[];
  /** Empty when all was understood. The rest is usable in any case. */
  problems: DictionaryProblem[];
};

/** The text of a file, or undefined when there is none. `$INCLUDE` asks for paths beside the file. */
export type ReadDictionaryFile = (path: string) => string | undefined;

/** Never throws by itself; what `read` throws passes through. */
export function parseFreeradiusDictionary(
  file: string,
  read: ReadDictionaryFile,
): ParsedDictionary {
  const parser: Parser = {
    read,
    open: [],
    tables: new Map(),
    vendorIds: new Map(),
    attributes: new Map(),
    values: new Map(),
    problems: [],
  };
  const text = read(file);
  if (text === undefined) report(parser, { file, line: 0 }, 'cannot be read');
  else parseFile(parser, file, text);

  for (const [attribute, { at }] of parser.values) {
    if (!parser.attributes.has(attribute)) {
      report(parser, at, `VALUE of ${attribute}, which no ATTRIBUTE defines`);
    }
  }
  const values = Object.fromEntries([...parser.values].map(([name, { named }]) => [name, named]));
  return {
    tables: [...parser.tables.values(), { attributes: {}, values }],
    problems: parser.problems,
  };
}

const MAX_INCLUDE_DEPTH = 16;
const MAX_PROBLEMS = 100;

type Place = { file: string; line: number };

type Table = { vendor?: Vendor; attributes: Record<string, DictionaryTable['attributes'][string]> };

/** Where an ATTRIBUTE belongs: numbers before its own, in a vendor's space or in that of RFCs. */
type Scope = { vendorId: number; path: readonly number[] };

type Parser = {
  read: ReadDictionaryFile;
  /** Files that are being read, the present one last. */
  open: string[];
  tables: Map<number, Table>;
  vendorIds: Map<string, number>;
  /** By lower-case name. */
  attributes: Map<string, Scope>;
  values: Map<string, { at: Place; named: Record<string, number> }>;
  problems: DictionaryProblem[];
};

function parseFile(parser: Parser, file: string, text: string): void {
  // BEGIN and END must match within a file.
  const scopes: { name: string; scope: Scope }[] = [];
  parser.open.push(file);
  for (const [index, line] of text.split('\n').entries()) {
    const [keyword, ...words] = (line.split('#', 1)[0] ?? '').trim().split(/\s+/);
    if (keyword === undefined || keyword === '') continue;
    const at = { file, line: index + 1 };
    const scope = scopes.at(-1)?.scope ?? { vendorId: 0, path: [] };
    const problem = parseLine(parser, at, keyword.toUpperCase(), words, scope, scopes);
    if (problem !== undefined) report(parser, at, problem);
  }
  for (const { name } of scopes) {
    report(parser, { file, line: text.split('\n').length }, `${name} is not ended`);
  }
  parser.open.pop();
}

/** The problem with the line, if there is one. */
function parseLine(
  parser: Parser,
  at: Place,
  keyword: string,
  words: readonly string[],
  scope: Scope,
  scopes: { name: string; scope: Scope }[],
): string | undefined {
  switch (keyword) {
    case '$INCLUDE':
    case '$INCLUDE-':
      return parseInclude(parser, at, words, keyword === '$INCLUDE-');
    case 'VENDOR':
      return parseVendor(parser, words);
    case 'ATTRIBUTE':
      return parseAttribute(parser, words, scope);
    case 'VALUE':
      return parseValue(parser, at, words);
    case 'BEGIN-VENDOR':
    case 'BEGIN-TLV': {
      const inner = keyword === 'BEGIN-TLV' ? tlvScope(parser, words) : vendorScope(parser, words);
      if (typeof inner === 'string') return inner;
      scopes.push({ name: `${keyword} ${words[0] ?? ''}`, scope: inner });
      return undefined;
    }
    case 'END-VENDOR':
    case 'END-TLV': {
      const expected = `${keyword.replace('END', 'BEGIN')} ${words[0] ?? ''}`;
      if (scopes.at(-1)?.name !== expected) return `${keyword} without ${expected}`;
      scopes.pop();
      return undefined;
    }
    default:
      return `unknown keyword ${keyword}`;
  }
}

function parseInclude(
  parser: Parser,
  at: Place,
  [name]: readonly string[],
  isOptional: boolean,
): string | undefined {
  if (name === undefined) return '$INCLUDE without a file name';
  const directory = at.file.slice(0, at.file.lastIndexOf('/') + 1);
  const path = name.startsWith('/') ? name : directory + name;
  if (parser.open.includes(path)) return `${path} includes itself`;
  if (parser.open.length >= MAX_INCLUDE_DEPTH) return `more than ${MAX_INCLUDE_DEPTH} files deep`;
  const text = parser.read(path);
  if (text !== undefined) parseFile(parser, path, text);
  else if (!isOptional) return `${path} cannot be read`;
  return undefined;
}

function parseVendor(parser: Parser, words: readonly string[]): string | undefined {
  const [name, number = '', option] = words;
  const id = toNumber(number);
  if (name === undefined || id === undefined) return 'VENDOR needs a name and a number';
  const vendor: Vendor = { name, id };
  if (option !== undefined) {
    const format = /^format=([124]),([012])(,c)?$/.exec(option);
    if (format === null) return `unknown option ${option}`;
    vendor.typeBytes = Number(format[1]) as 1 | 2 | 4;
    vendor.lengthBytes = Number(format[2]) as 0 | 1 | 2;
    if (format[3] !== undefined) vendor.hasContinuation = true;
  }
  parser.vendorIds.set(name.toLowerCase(), id);
  tableOf(parser, id).vendor = vendor;
  return undefined;
}

function parseAttribute(
  parser: Parser,
  words: readonly string[],
  scope: Scope,
): string | undefined {
  const [name, number = '', typeName = '', ...options] = words;
  const path = number.split('.').map(toNumber);
  if (name === undefined || !path.every((part) => part !== undefined)) {
    return 'ATTRIBUTE needs a name, a number and a type';
  }
  const type = toType(typeName);
  if (type === undefined) return `unknown type ${typeName}`;

  const flags: AttributeFlag[] = [];
  let { vendorId } = scope;
  for (const option of options.flatMap((text) => text.split(',')).filter(Boolean)) {
    const flag = OPTIONS.get(option.toLowerCase());
    // The old way to say whose attribute it is.
    const vendorOfOption = parser.vendorIds.get(option.toLowerCase());
    if (flag === undefined && vendorOfOption === undefined) return `unknown option ${option}`;
    if (flag === undefined) vendorId = vendorOfOption ?? vendorId;
    else if (flag !== 'ignored') flags.push(flag);
  }

  const fullPath = [...scope.path, ...path];
  tableOf(parser, vendorId).attributes[name] = [fullPath.join('.'), type, ...flags];
  parser.attributes.set(name.toLowerCase(), { vendorId, path: fullPath });
  return undefined;
}

function parseValue(parser: Parser, at: Place, words: readonly string[]): string | undefined {
  const [attribute, name, number = ''] = words;
  const value = toNumber(number);
  if (attribute === undefined || name === undefined || value === undefined) {
    return 'VALUE needs an attribute, a name and a number';
  }
  // The attribute may be defined further down: looked at in the end.
  const key = attribute.toLowerCase();
  const known = parser.values.get(key) ?? {
    at,
    named: Object.create(null) as Record<string, number>,
  };
  known.named[name] = value;
  parser.values.set(key, known);
  return undefined;
}

function vendorScope(parser: Parser, [name = '', option]: readonly string[]): Scope | string {
  const vendorId = parser.vendorIds.get(name.toLowerCase());
  if (vendorId === undefined) return `unknown vendor ${name}`;
  if (option === undefined) return { vendorId, path: [] };
  // RFC 6929 §2.3: the vendor's space inside an extended attribute.
  const parent = /^format=(.+)$/.exec(option)?.[1] ?? '';
  const outer = parser.attributes.get(parent.toLowerCase());
  if (outer === undefined) return `unknown format ${option}`;
  return { vendorId: 0, path: [...outer.path, vendorId] };
}

function tlvScope(parser: Parser, [name = '']: readonly string[]): Scope | string {
  return parser.attributes.get(name.toLowerCase()) ?? `unknown attribute ${name}`;
}

function tableOf(parser: Parser, vendorId: number): Table {
  const known = parser.tables.get(vendorId);
  if (known !== undefined) return known;
  const table: Table = { attributes: Object.create(null) as Table['attributes'] };
  parser.tables.set(vendorId, table);
  return table;
}

function report({ problems }: Parser, { file, line }: Place, message: string): void {
  if (problems.length < MAX_PROBLEMS) problems.push({ file, line, message });
}

/** Decimal or hexadecimal, at most 32 bits wide except for values of 64-bit attributes. */
function toNumber(text: string): number | undefined {
  if (!/^(?:\d{1,15}|0x[0-9a-f]{1,12})$/i.test(text)) return undefined;
  return Number(text);
}

function toType(text: string): ValueType | undefined {
  const name = text.toLowerCase().replace(/\[\d+\]$/, '');
  return TYPE_ALIASES.get(name) ?? VALUE_TYPES.find((type) => type === name);
}

const TYPE_ALIASES: ReadonlyMap<string, ValueType> = new Map([
  ['uint8', 'byte'],
  ['uint16', 'short'],
  ['uint32', 'integer'],
  ['uint64', 'integer64'],
  ['int32', 'signed'],
  ['time', 'date'],
  ['ipv4addr', 'ipaddr'],
  ['text', 'string'],
]);

/** `ignored`: it says how FreeRADIUS keeps the attribute, not how it looks in a packet. */
const OPTIONS: ReadonlyMap<string, AttributeFlag | 'ignored'> = new Map([
  ['has_tag', 'tag'],
  ['encrypt=1', 'hidden'],
  ['encrypt=2', 'salted'],
  ['encrypt=3', 'ascend'],
  ['concat', 'concat'],
  ['array', 'ignored'],
  ['virtual', 'ignored'],
  ['secret', 'ignored'],
  ['internal', 'ignored'],
]);
