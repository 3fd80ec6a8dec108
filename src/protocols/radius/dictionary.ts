// What the numbers in a packet are called and what their values mean, both ways. RFC 2865 §5,
// RFC 6929, RFC 8044. Only people and clients need names: the hot path uses numbers (packet.ts).
// The tables are in dictionary/; an operator's own come through freeradius-dictionary.ts.

export const VALUE_TYPES = [
  'string',
  'octets',
  'integer',
  'integer64',
  'short',
  'byte',
  'signed',
  'date',
  'ipaddr',
  'ipv6addr',
  'ipv4prefix',
  'ipv6prefix',
  'combo-ip',
  'ifid',
  'ether',
  'abinary',
  'tlv',
  'vsa',
  'extended',
  'long-extended',
  'evs',
] as const;
export type ValueType = (typeof VALUE_TYPES)[number];

/**
 * tag: a tag comes before the value, RFC 2868. hidden: like User-Password. salted: like
 * Tunnel-Password. ascend: Ascend's own way, which we show as hidden and do not write.
 * concat: a long value fills several attributes, such as EAP-Message.
 */
export type AttributeFlag = 'tag' | 'hidden' | 'salted' | 'ascend' | 'concat';

/** Numbers from outside to inside: `1`, or `'146.1'` for the first attribute in a TLV. */
export type AttributeRow = readonly [
  number: number | string,
  type: ValueType,
  ...flags: AttributeFlag[],
];

export type Vendor = {
  name: string;
  id: number;
  /** How wide type and length are inside Vendor-Specific; 1 and 1 unless the vendor is special. */
  typeBytes?: 1 | 2 | 4;
  lengthBytes?: 0 | 1 | 2;
  /** A byte of flags follows the length, as WiMAX has it. */
  hasContinuation?: boolean;
};

/** One table: the attributes of a vendor or, without one, of RFCs. */
export type DictionaryTable = {
  vendor?: Vendor;
  attributes: Readonly<Record<string, AttributeRow>>;
  /** Named values of attributes, which may belong to another table. */
  values?: Readonly<Record<string, Readonly<Record<string, number>>>>;
};

export type AttributeDefinition = {
  name: string;
  /** 0 for those of RFCs. */
  vendorId: number;
  path: readonly number[];
  type: ValueType;
  flags: readonly AttributeFlag[];
};

export type Dictionary = {
  /** Upper and lower case do not matter. */
  attribute(name: string): AttributeDefinition | undefined;
  attributeAt(vendorId: number, path: readonly number[]): AttributeDefinition | undefined;
  vendor(id: number): Vendor | undefined;
  /** `valueNumber('Service-Type', 'Framed-User')` is 2. */
  valueNumber(attribute: string, name: string): number | undefined;
  valueName(attribute: string, value: number): string | undefined;
  readonly size: { attributes: number; vendors: number; values: number };
};

/** Of two entries for the same number the later one gives the name; both names are understood. */
export function createDictionary(tables: readonly DictionaryTable[]): Dictionary {
  const byName = new Map<string, AttributeDefinition>();
  const byNumber = new Map<string, AttributeDefinition>();
  const vendors = new Map<number, Vendor>();
  const numberOf = new Map<string, number>();
  const nameOf = new Map<string, string>();

  for (const { vendor, attributes, values } of tables) {
    if (vendor !== undefined) vendors.set(vendor.id, vendor);
    const vendorId = vendor?.id ?? 0;
    for (const [name, [number, type, ...flags]] of Object.entries(attributes)) {
      const path = typeof number === 'number' ? [number] : number.split('.').map(Number);
      const definition = { name, vendorId, path, type, flags };
      byName.set(name.toLowerCase(), definition);
      byNumber.set(numberKey(vendorId, path), definition);
    }
    for (const [attribute, named] of Object.entries(values ?? {})) {
      for (const [name, value] of Object.entries(named)) {
        numberOf.set(valueKey(attribute, name), value);
        nameOf.set(valueKey(attribute, String(value)), name);
      }
    }
  }

  return {
    attribute: (name) => byName.get(name.toLowerCase()),
    attributeAt: (vendorId, path) => byNumber.get(numberKey(vendorId, path)),
    vendor: (id) => vendors.get(id),
    valueNumber: (attribute, name) => numberOf.get(valueKey(attribute, name)),
    valueName: (attribute, value) => nameOf.get(valueKey(attribute, String(value))),
    size: { attributes: byName.size, vendors: vendors.size, values: numberOf.size },
  };
}

function numberKey(vendorId: number, path: readonly number[]): string {
  return `${vendorId}:${path.join('.')}`;
}

function valueKey(attribute: string, nameOrValue: string): string {
  return `${attribute}=${nameOrValue}`.toLowerCase();
}
