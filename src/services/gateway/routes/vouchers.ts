// Vouchers: a code that goes online. They are made one by one, with a code of the operator's, or up
// to 1,000 at once with codes that are hard to guess and easy to read aloud.

import { z } from 'zod';
import { ProblemError } from '../../../runtime/http/problem.ts';
import type { Random } from '../../../runtime/random.ts';
import {
  idOrName,
  isoOrNull,
  name,
  record,
  shownStored,
  shownTimestamp,
  storedShape,
  timestamp,
} from '../fields.ts';
import { taken } from '../problems.ts';
import { chosen } from '../resource.ts';
import type { Resource } from '../resource.ts';
import { resolveReferences } from '../references.ts';
import { route } from '../route.ts';
import type { Stores, VoucherRecord, VoucherValues } from '../stores.ts';

const shape = {
  code: name(64),
  plan: idOrName,
  expires_at: timestamp.nullable().optional(),
  disabled: z.boolean().optional(),
};

export const vouchers: Resource<typeof shape, VoucherRecord, VoucherValues> = {
  plural: 'vouchers',
  singular: 'voucher',
  key: 'code',
  shape,
  references: { plan: 'plans' },
  referencedBy: [],
  filters: ['plan'],
  shown: z
    .strictObject({
      ...storedShape,
      code: z.string(),
      plan: z.string(),
      plan_id: z.uuid(),
      activated_at: shownTimestamp.nullable(),
      expires_at: shownTimestamp.nullable(),
      disabled: z.boolean(),
    })
    .meta({ id: 'Voucher' }),
  collection: (stores) => stores.vouchers,
  nameOf: (voucher) => voucher.code,
  show: (voucher) => ({
    ...shownStored(voucher),
    ...vouchers.export(voucher),
    plan_id: voucher.planId,
    activated_at: isoOrNull(voucher.activatedAtMs),
  }),
  export: (voucher) => ({
    code: voucher.code,
    plan: voucher.plan,
    expires_at: isoOrNull(voucher.expiresAtMs),
    disabled: voucher.disabled,
  }),
  valuesOf: ({ code, planId, expiresAtMs, disabled }) => ({ code, planId, expiresAtMs, disabled }),
  change(input, { present, leftOut, plans }) {
    const kept = leftOut === 'kept' ? present : undefined;
    return {
      code: input.code ?? present?.code ?? '',
      planId: plans.get(input.plan ?? '')?.id ?? present?.planId ?? '',
      expiresAtMs: chosen(input.expires_at, kept?.expiresAtMs),
      disabled: input.disabled ?? kept?.disabled ?? false,
    };
  },
  example: { code: 'ABCD-EFGH', plan: 'hour' },
};

const MAX_VOUCHERS = 1_000;
const countRule = `must be a whole number from 1 to ${MAX_VOUCHERS}`;

/** In place of the ordinary creation: without a code, one is made; with a count, many. */
export const createVouchers = route({
  method: 'POST',
  path: '/v1/vouchers',
  tag: 'vouchers',
  summary: 'Create a voucher, or many',
  description:
    'With `code`: that one. Without: a new code is made up. With `count`: as many new codes, all or none, and the answer is a list.',
  permission: 'serve',
  body: record({
    ...shape,
    code: shape.code.optional(),
    count: z.int(countRule).min(1, countRule).max(MAX_VOUCHERS, countRule).optional(),
    prefix: z
      .string()
      .regex(/^[A-Z0-9]{1,10}$/, 'must be 1 to 10 letters A to Z or digits')
      .optional(),
  })
    .refine(({ code, count }) => code === undefined || count === undefined, {
      path: ['count'],
      error: 'does not go with code: several vouchers need several codes',
    })
    .refine(({ code, prefix }) => code === undefined || prefix === undefined, {
      path: ['prefix'],
      error: 'does not go with code',
    }),
  answers: {
    201: z.union([vouchers.shown, z.strictObject({ data: z.array(vouchers.shown) })]),
  },
  example: { plan: 'hour', count: 50, prefix: 'CAFE' },
  async handle({ body, stores, random, newId, nowMs }) {
    const references = await resolveReferences(vouchers, [body], stores);
    const codes =
      body.code === undefined
        ? await freeCodes(stores, () => newCodes(random, body.count ?? 1, body.prefix))
        : [body.code];
    const written = await stores.vouchers.insert(
      codes.map((code) => ({
        id: newId(),
        ...vouchers.change(
          { ...body, code },
          { present: undefined, leftOut: 'default', nowMs, ...references },
        ),
      })),
    );
    if (written.kind === 'taken') throw new ProblemError(taken('voucher', 'code'));
    const shown = written.records.map(vouchers.show);
    if (body.count !== undefined) return { status: 201, body: { data: shown } };
    const [first] = written.records;
    return {
      status: 201,
      body: shown[0],
      ...(first === undefined
        ? {}
        : { version: first.version, location: `/v1/vouchers/${encodeURIComponent(first.code)}` }),
    };
  },
});

/** Among millions of vouchers, a thousand new codes now and then hit one that exists. */
async function freeCodes(stores: Stores, make: () => string[]): Promise<string[]> {
  for (let attempt = 0; attempt < 10; attempt++) {
    const codes = make();
    const used = await stores.vouchers.findMany(codes);
    if (used.length === 0) return codes;
  }
  throw new ProblemError(taken('voucher', 'code'));
}

/** Without 0 and O, 1, I and L, which are read for each other. 31 characters. */
const ALPHABET = '23456789ABCDEFGHJKMNPQRSTUVWXYZ';
const CODE_CHARACTERS = 8;

/** Distinct codes such as `CAFE-7KQM-X2RD`: 31^8 possibilities, about 40 bits. */
export function newCodes(random: Random, count: number, prefix: string | undefined): string[] {
  const codes = new Set<string>();
  while (codes.size < count) {
    const characters = newCharacters(random);
    const code = `${characters.slice(0, 4)}-${characters.slice(4)}`;
    codes.add(prefix === undefined ? code : `${prefix}-${code}`);
  }
  return [...codes];
}

function newCharacters(random: Random): string {
  let characters = '';
  while (characters.length < CODE_CHARACTERS) {
    for (const byte of random.bytes(CODE_CHARACTERS)) {
      // 248 is the largest multiple of 31 in a byte: above it, some characters would be likelier.
      if (byte < 248 && characters.length < CODE_CHARACTERS)
        characters += ALPHABET[byte % 31] ?? '';
    }
  }
  return characters;
}
