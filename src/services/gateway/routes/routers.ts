// Routers: the devices that ask us whether a subscriber may go online.

import { z } from 'zod';
import { parseRadsecIdentity } from '../../../domain/radsec-identity.ts';
import { MESSAGE_AUTHENTICATOR_RULES, ROUTER_VENDORS } from '../../../domain/router.ts';
import {
  idOrName,
  isoOrNull,
  name,
  network,
  parsed,
  shownStored,
  shownTimestamp,
  storedShape,
  text,
} from '../fields.ts';
import { chosen } from '../resource.ts';
import type { Resource } from '../resource.ts';
import type { RouterRecord, RouterValues } from '../stores.ts';

const port = z.int().min(1).max(65_535);

const shape = {
  name: name(100),
  site: idOrName,
  address: network,
  secret: text(128).meta({ writeOnly: true }),
  vendor: z.enum(ROUTER_VENDORS).optional(),
  coa_port: port.optional(),
  require_message_authenticator: z.enum(MESSAGE_AUTHENTICATOR_RULES).optional(),
  radsec_identity: parsed(parseRadsecIdentity, 'router-1.example.net').nullable().optional(),
};

export const routers: Resource<typeof shape, RouterRecord, RouterValues> = {
  plural: 'routers',
  singular: 'router',
  key: 'name',
  shape,
  secret: 'secret',
  references: { site: 'sites' },
  referencedBy: [],
  filters: ['site'],
  shown: z
    .strictObject({
      ...storedShape,
      name: z.string(),
      site: z.string(),
      site_id: z.uuid(),
      address: z.string(),
      vendor: z.string(),
      coa_port: port,
      require_message_authenticator: z.enum(MESSAGE_AUTHENTICATOR_RULES),
      message_authenticator_seen_at: shownTimestamp.nullable(),
      radsec_identity: z.string().nullable(),
    })
    .meta({ id: 'Router' }),
  collection: (stores) => stores.routers,
  secrets: (stores, ids) => stores.routers.secrets(ids),
  nameOf: (router) => router.name,
  show: (router) => ({
    ...shownStored(router),
    ...routers.export(router),
    site_id: router.siteId,
    message_authenticator_seen_at: isoOrNull(router.messageAuthenticatorSeenAtMs),
  }),
  export: (router) => ({
    name: router.name,
    site: router.site,
    address: router.address,
    vendor: router.vendor,
    coa_port: router.coaPort,
    require_message_authenticator: router.requireMessageAuthenticator,
    radsec_identity: router.radsecIdentity ?? null,
  }),
  valuesOf: (router) => ({
    name: router.name,
    siteId: router.siteId,
    address: router.address,
    secret: undefined,
    vendor: router.vendor,
    coaPort: router.coaPort,
    requireMessageAuthenticator: router.requireMessageAuthenticator,
    messageAuthenticatorSeenAtMs: router.messageAuthenticatorSeenAtMs,
    radsecIdentity: router.radsecIdentity,
  }),
  change(input, { present, leftOut, sites }) {
    const kept = leftOut === 'kept' ? present : undefined;
    const rule = input.require_message_authenticator;
    return {
      name: input.name ?? present?.name ?? '',
      siteId: sites.get(input.site ?? '')?.id ?? present?.siteId ?? '',
      address: input.address ?? present?.address ?? '',
      secret: input.secret === undefined ? undefined : Buffer.from(input.secret),
      vendor: input.vendor ?? kept?.vendor ?? 'generic',
      coaPort: input.coa_port ?? kept?.coaPort ?? 3799,
      requireMessageAuthenticator: rule ?? kept?.requireMessageAuthenticator ?? 'auto',
      // Only leaving `auto` and coming back to it opens the latch again.
      messageAuthenticatorSeenAtMs:
        rule === 'no' ? undefined : present?.messageAuthenticatorSeenAtMs,
      radsecIdentity: chosen(input.radsec_identity, kept?.radsecIdentity),
    };
  },
  example: {
    name: 'r1',
    site: 'cafe-1',
    address: '127.0.0.1/32',
    secret: 'testing123',
    vendor: 'mikrotik',
    coa_port: 3799,
    require_message_authenticator: 'auto',
  },
};
