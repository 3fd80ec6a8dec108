import { describe, expect, test } from 'vitest';
import { parseDesiredState } from './desired-state.ts';

const FILE = `# a café
sites:
  - { name: cafe-1, timezone: Africa/Kampala }
routers:
  - name: r1
    address: 10.0.0.300
    coa_port: 3799
subscribers:
  - { username: 0712345678, password: 123456, disabled: false }
  - username: 1e5
    password: true
`;

describe('where a value stands', () => {
  const file = parseDesiredState(FILE, 'hotspot.yaml');
  test.each([
    ['/routers/0/address', 'hotspot.yaml:6:14: routers[0].address'],
    ['/sites/0/timezone', 'hotspot.yaml:3:31: sites[0].timezone'],
    ['/routers/0/secret', 'hotspot.yaml:5:5: routers[0].secret'],
    ['/subscribers/7/username', 'hotspot.yaml:9:3: subscribers[7].username'],
    ['/rooters', 'hotspot.yaml:2:1: rooters'],
    ['', 'hotspot.yaml:2:1'],
  ])('%s is at %s', (pointer, place) => {
    expect(file.locate(pointer)).toBe(place);
  });
});

test('names, passwords and codes stay as they are written; numbers and truths are values', () => {
  expect(parseDesiredState(FILE, 'hotspot.yaml').content).toMatchObject({
    routers: [{ coa_port: 3799 }],
    subscribers: [
      { username: '0712345678', password: '123456', disabled: false },
      { username: '1e5', password: 'true' },
    ],
  });
});

test.each([
  [
    '',
    'empty.yaml:1:1: the file must hold sections: sites, routers, plans, subscribers or vouchers',
  ],
  [
    '- a',
    'empty.yaml:1:1: the file must hold sections: sites, routers, plans, subscribers or vouchers',
  ],
  [
    'sites: [\n',
    'empty.yaml:2:1: this is not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['sites: &a\n  - *a\n', 'empty.yaml:2:5: aliases (*name) may not hold themselves'],
])('%j is refused with its place', (source, sentence) => {
  expect(() => parseDesiredState(source, 'empty.yaml')).toThrow(sentence);
});
