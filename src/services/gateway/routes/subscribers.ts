// Subscribers: who goes online with a user name and a password.

import { z } from 'zod';
import {
  idOrName,
  iso,
  isoOrNull,
  name,
  shownStored,
  shownTimestamp,
  storedShape,
  text,
  timestamp,
} from '../fields.ts';
import { chosen } from '../resource.ts';
import type { Resource } from '../resource.ts';
import type { SubscriberRecord, SubscriberValues } from '../stores.ts';

const shape = {
  /** What fits into a RADIUS attribute. */
  username: name(253),
  /** RFC 2865 §5.2: User-Password has at most 128 bytes. */
  password: text(128).meta({ writeOnly: true }),
  plan: idOrName.nullable().optional(),
  plan_started_at: timestamp.optional(),
  expires_at: timestamp.nullable().optional(),
  disabled: z.boolean().optional(),
};

export const subscribers: Resource<typeof shape, SubscriberRecord, SubscriberValues> = {
  plural: 'subscribers',
  singular: 'subscriber',
  key: 'username',
  shape,
  secret: 'password',
  references: { plan: 'plans' },
  referencedBy: [],
  filters: ['plan'],
  shown: z
    .strictObject({
      ...storedShape,
      username: z.string(),
      plan: z.string().nullable(),
      plan_id: z.uuid().nullable(),
      plan_started_at: shownTimestamp,
      expires_at: shownTimestamp.nullable(),
      disabled: z.boolean(),
    })
    .meta({ id: 'Subscriber' }),
  collection: (stores) => stores.subscribers,
  secrets: (stores, ids) => stores.subscribers.secrets(ids),
  nameOf: (subscriber) => subscriber.username,
  show: (subscriber) => ({
    ...shownStored(subscriber),
    username: subscriber.username,
    plan: subscriber.plan ?? null,
    plan_id: subscriber.planId ?? null,
    plan_started_at: iso(subscriber.planStartedAtMs),
    expires_at: isoOrNull(subscriber.expiresAtMs),
    disabled: subscriber.disabled,
  }),
  export: (subscriber) => ({
    username: subscriber.username,
    plan: subscriber.plan ?? null,
    plan_started_at: iso(subscriber.planStartedAtMs),
    expires_at: isoOrNull(subscriber.expiresAtMs),
    disabled: subscriber.disabled,
  }),
  valuesOf: (subscriber) => ({
    username: subscriber.username,
    password: undefined,
    planId: subscriber.planId,
    planStartedAtMs: subscriber.planStartedAtMs,
    expiresAtMs: subscriber.expiresAtMs,
    disabled: subscriber.disabled,
  }),
  change(input, { present, leftOut, plans, nowMs }) {
    const kept = leftOut === 'kept' ? present : undefined;
    const sentPlan = input.plan && plans.get(input.plan)?.id;
    const planId = chosen(sentPlan, kept?.planId);
    // Another plan begins now: what was used before does not count towards it.
    const started = planId === present?.planId ? present?.planStartedAtMs : undefined;
    return {
      username: input.username ?? present?.username ?? '',
      password: input.password === undefined ? undefined : Buffer.from(input.password),
      planId,
      planStartedAtMs: input.plan_started_at ?? started ?? nowMs,
      expiresAtMs: chosen(input.expires_at, kept?.expiresAtMs),
      disabled: input.disabled ?? kept?.disabled ?? false,
    };
  },
  example: { username: 'alice', password: 'wonderland', plan: 'hour' },
};
