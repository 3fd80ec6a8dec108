import { describe, expect, test } from 'vitest';
import { createDictionary } from './dictionary.ts';
import { parseFreeradiusDictionary } from './freeradius-dictionary.ts';

function parse(files: Record<string, string>) {
  return parseFreeradiusDictionary('/etc/d/main', (path) => files[path]);
}

/** What is wrong with this one file, as `line: message`. */
function problems(text: string): string[] {
  return parse({ '/etc/d/main': text }).problems.map(({ line, message }) => `${line}: ${message}`);
}

describe('a dictionary', () => {
  const parsed = parse({
    '/etc/d/main': `
# A comment
$INCLUDE vendor            # beside this file
$INCLUDE /opt/absolute
$INCLUDE- not-there
VALUE     Late   One   0x01
attribute Late 200 integer
ATTRIBUTE Code 201 octets[16] array
ATTRIBUTE Group 202 String has_tag,encrypt=2
ATTRIBUTE Ext-1 241 extended
ATTRIBUTE Ext-Vendor-1 241.26 evs
BEGIN-VENDOR Acme format=Ext-Vendor-1
ATTRIBUTE Acme-Extended 3 string
END-VENDOR Acme
`,
    '/etc/d/vendor': `
VENDOR Acme 4711 format=2,1,c
BEGIN-VENDOR Acme
ATTRIBUTE Acme-Name 0x0101 string
ATTRIBUTE Acme-Set 5 tlv
ATTRIBUTE Acme-Set-First 5.1 uint32
BEGIN-TLV Acme-Set
ATTRIBUTE Acme-Set-Second 2 ipaddr
END-TLV Acme-Set
VALUE Acme-Set-First Big 4294967295
END-VENDOR Acme
ATTRIBUTE Acme-Old 6 integer Acme
`,
    '/opt/absolute': 'ATTRIBUTE Absolute 203 date virtual',
  });
  const dictionary = createDictionary(parsed.tables);

  test('is read without a problem', () => {
    expect(parsed.problems).toEqual([]);
    expect(dictionary.size.attributes).toBe(12);
  });

  test('has vendors with their formats', () => {
    expect(dictionary.vendor(4711)).toEqual({
      name: 'Acme',
      id: 4711,
      typeBytes: 2,
      lengthBytes: 1,
      hasContinuation: true,
    });
  });

  test.each([
    ['Late', 0, [200], 'integer', []],
    ['Code', 0, [201], 'octets', []],
    ['Group', 0, [202], 'string', ['tag', 'salted']],
    ['Absolute', 0, [203], 'date', []],
    ['Acme-Name', 4711, [257], 'string', []],
    ['Acme-Set-First', 4711, [5, 1], 'integer', []],
    ['Acme-Set-Second', 4711, [5, 2], 'ipaddr', []],
    ['Acme-Old', 4711, [6], 'integer', []],
    ['Acme-Extended', 0, [241, 26, 4711, 3], 'string', []],
  ])('has %s', (name, vendorId, path, type, flags) => {
    const definition = { name, vendorId, path, type, flags };
    expect(dictionary.attribute(name)).toEqual(definition);
    expect(dictionary.attributeAt(vendorId, path)).toEqual(definition);
  });

  test('has the names of values, also before their attribute', () => {
    expect(dictionary.valueNumber('Late', 'One')).toBe(1);
    expect(dictionary.valueName('Acme-Set-First', 4294967295)).toBe('Big');
  });
});

describe('a problem names its line', () => {
  test.each([
    ['ATTRIBUTE Name', '1: ATTRIBUTE needs a name, a number and a type'],
    ['\nATTRIBUTE Name x string', '2: ATTRIBUTE needs a name, a number and a type'],
    ['ATTRIBUTE Name 1 strings', '1: unknown type strings'],
    ['ATTRIBUTE Name 1 constructor', '1: unknown type constructor'],
    ['ATTRIBUTE Name 1 string toString', '1: unknown option toString'],
    ['VENDOR Acme', '1: VENDOR needs a name and a number'],
    ['VENDOR Acme 1 format=3,1', '1: unknown option format=3,1'],
    ['BEGIN-VENDOR Acme', '1: unknown vendor Acme'],
    ['VENDOR A 1\nBEGIN-VENDOR A format=B', '2: unknown format format=B'],
    ['VENDOR A 1\nBEGIN-VENDOR A', '2: BEGIN-VENDOR A is not ended'],
    ['BEGIN-TLV A', '1: unknown attribute A'],
    ['END-VENDOR A', '1: END-VENDOR without BEGIN-VENDOR A'],
    ['VALUE A b', '1: VALUE needs an attribute, a name and a number'],
    ['\n\nVALUE A b 1', '3: VALUE of a, which no ATTRIBUTE defines'],
    ['$INCLUDE', '1: $INCLUDE without a file name'],
    ['$INCLUDE other', '1: /etc/d/other cannot be read'],
    ['$INCLUDE main', '1: /etc/d/main includes itself'],
    ['STRUCT x', '1: unknown keyword STRUCT'],
  ])('%j', (text, problem) => {
    expect(problems(text)).toEqual([problem]);
  });

  test('and its file', () => {
    const { problems } = parse({ '/etc/d/main': '$INCLUDE sub/a', '/etc/d/sub/a': '\nNONSENSE' });
    expect(problems).toEqual([
      { file: '/etc/d/sub/a', line: 2, message: 'unknown keyword NONSENSE' },
    ]);
  });

  test('a file that is not there is one problem', () => {
    expect(parse({}).problems).toEqual([
      { file: '/etc/d/main', line: 0, message: 'cannot be read' },
    ]);
  });

  test('a chain of files without an end is cut', () => {
    let depth = 0;
    const parsed = parseFreeradiusDictionary('/0', () => `$INCLUDE ${++depth}`);
    expect(parsed.problems).toEqual([{ file: '/15', line: 1, message: 'more than 16 files deep' }]);
  });

  test('of very many only the first hundred are kept', () => {
    expect(problems('NONSENSE\n'.repeat(1000))).toHaveLength(100);
  });
});
