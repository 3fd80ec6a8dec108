// Plans: what subscribers buy. Every quantity is there twice: as people write it (`1h`, `1GiB`,
// `2M/10M`, `5000 VND`) and in machine units; a body may use either.

import { z } from 'zod';
import { formatMoney, isCurrency, parseMoney } from '../../../domain/money.ts';
import type { Money } from '../../../domain/money.ts';
import {
  formatData,
  formatDuration,
  formatRate,
  parseData,
  parseDuration,
  parseRate,
} from '../../../domain/units.ts';
import { name, parsed, positiveInteger, shownStored, storedShape } from '../fields.ts';
import { chosen } from '../resource.ts';
import type { Input, Resource } from '../resource.ts';
import type { PlanRecord, PlanValues } from '../stores.ts';

const amount = positiveInteger.nullable().optional();

const shape = {
  name: name(100),
  duration: parsed(parseDuration, '1h').nullable().optional(),
  duration_seconds: amount,
  data: parsed(parseData, '1GiB').nullable().optional(),
  data_bytes: amount,
  rate: parsed(parseRate, '2M/10M').nullable().optional(),
  upload_bits_per_second: amount,
  download_bits_per_second: amount,
  price: parsed(parseMoney, '5000 VND').nullable().optional(),
  price_minor_units: z.int().min(0).nullable().optional(),
  price_currency: z
    .string()
    .refine(isCurrency, 'must be an active ISO 4217 currency, such as VND or USD')
    .nullable()
    .optional(),
  devices: z.int().min(1).max(10_000).nullable().optional(),
};

const shownAmount = z.int().nullable();

export const plans: Resource<typeof shape, PlanRecord, PlanValues> = {
  plural: 'plans',
  singular: 'plan',
  key: 'name',
  shape,
  check: checkTwins,
  references: {},
  referencedBy: [
    { resource: 'subscribers', filter: 'plan' },
    { resource: 'vouchers', filter: 'plan' },
  ],
  filters: [],
  shown: z
    .strictObject({
      ...storedShape,
      name: z.string(),
      duration: z.string().nullable(),
      duration_seconds: shownAmount,
      data: z.string().nullable(),
      data_bytes: shownAmount,
      rate: z.string().nullable(),
      upload_bits_per_second: shownAmount,
      download_bits_per_second: shownAmount,
      price: z.string().nullable(),
      price_minor_units: shownAmount,
      price_currency: z.string().nullable(),
      devices: shownAmount,
    })
    .meta({ id: 'Plan' }),
  collection: (stores) => stores.plans,
  nameOf: (plan) => plan.name,
  show: (plan) => ({
    ...shownStored(plan),
    ...humanForms(plan),
    duration_seconds: plan.durationSeconds ?? null,
    data_bytes: plan.dataBytes ?? null,
    upload_bits_per_second: plan.uploadBitsPerSecond ?? null,
    download_bits_per_second: plan.downloadBitsPerSecond ?? null,
    price_minor_units: plan.price === undefined ? null : Number(plan.price.minorUnits),
    price_currency: plan.price?.currency ?? null,
  }),
  export: humanForms,
  valuesOf: (plan) => ({
    name: plan.name,
    durationSeconds: plan.durationSeconds,
    dataBytes: plan.dataBytes,
    uploadBitsPerSecond: plan.uploadBitsPerSecond,
    downloadBitsPerSecond: plan.downloadBitsPerSecond,
    price: plan.price,
    devices: plan.devices,
  }),
  change(input, { present, leftOut }) {
    const kept = leftOut === 'kept' ? present : undefined;
    const { rate } = input;
    const upload =
      rate === undefined
        ? input.upload_bits_per_second
        : rate && (rate.uploadBitsPerSecond ?? null);
    const download =
      rate === undefined
        ? input.download_bits_per_second
        : rate && (rate.downloadBitsPerSecond ?? null);
    return {
      name: input.name ?? present?.name ?? '',
      durationSeconds: chosen(
        eitherOf(input.duration, input.duration_seconds),
        kept?.durationSeconds,
      ),
      dataBytes: chosen(eitherOf(input.data, input.data_bytes), kept?.dataBytes),
      uploadBitsPerSecond: chosen(upload, kept?.uploadBitsPerSecond),
      downloadBitsPerSecond: chosen(download, kept?.downloadBitsPerSecond),
      price: chosen(priceOf(input), kept?.price),
      devices: chosen(input.devices, kept?.devices),
    };
  },
  example: {
    name: 'hour',
    duration: '1h',
    data: '1GiB',
    rate: '2M/10M',
    price: '5000 VND',
    devices: 2,
  },
};

/** As a document for apply has them; null is unlimited, and for a price, not for sale. */
function humanForms(plan: PlanRecord) {
  const hasRate =
    plan.uploadBitsPerSecond !== undefined || plan.downloadBitsPerSecond !== undefined;
  return {
    name: plan.name,
    duration: plan.durationSeconds === undefined ? null : formatDuration(plan.durationSeconds),
    data: plan.dataBytes === undefined ? null : formatData(plan.dataBytes),
    rate: hasRate ? formatRate(plan) : null,
    price: plan.price === undefined ? null : formatMoney(plan.price),
    devices: plan.devices ?? null,
  };
}

/** A value that was sent in both forms must be the same value. */
function checkTwins(input: Input<typeof shape>, context: z.core.$RefinementCtx): void {
  const { rate, price } = input;
  const twins: [human: string, machine: string, one: unknown, other: unknown][] = [
    ['duration', 'duration_seconds', input.duration, input.duration_seconds],
    ['data', 'data_bytes', input.data, input.data_bytes],
    [
      'rate',
      'upload_bits_per_second',
      rate && (rate.uploadBitsPerSecond ?? null),
      input.upload_bits_per_second,
    ],
    [
      'rate',
      'download_bits_per_second',
      rate && (rate.downloadBitsPerSecond ?? null),
      input.download_bits_per_second,
    ],
    ['price', 'price_minor_units', price && Number(price.minorUnits), input.price_minor_units],
    ['price', 'price_currency', price && price.currency, input.price_currency],
  ];
  for (const [human, machine, one, other] of twins) {
    if (one === undefined || other === undefined || one === other) continue;
    context.addIssue({
      code: 'custom',
      path: [machine],
      message: `does not agree with ${human}; send one of the two`,
      input: other,
    });
  }
  const { price_minor_units: minorUnits, price_currency: currency } = input;
  const isPair =
    (minorUnits === undefined) === (currency === undefined) &&
    (minorUnits === null) === (currency === null);
  if (price === undefined && !isPair) {
    context.addIssue({
      code: 'custom',
      path: ['price_currency'],
      message: 'price_minor_units and price_currency come together',
      input: currency,
    });
  }
}

/** Null is no price; undefined says nothing about it. */
function priceOf(input: Input<typeof shape>): Money | null | undefined {
  if (input.price !== undefined) return input.price;
  if (input.price_minor_units === undefined) return undefined;
  if (input.price_minor_units === null || !input.price_currency) return null;
  return { minorUnits: BigInt(input.price_minor_units), currency: input.price_currency };
}

function eitherOf<T>(human: T | undefined, machine: T | undefined): T | undefined {
  return human === undefined ? machine : human;
}
