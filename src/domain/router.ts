// A router is a NAS: the device that asks us whether a subscriber may go online.

export const ROUTER_VENDORS = [
  'generic',
  'mikrotik',
  'cisco',
  'ruckus',
  'aruba',
  'ubiquiti',
  'chillispot',
] as const;
export type RouterVendor = (typeof ROUTER_VENDORS)[number];

/** `auto` starts permissive and latches to `yes` after the first valid one (CVE-2024-3596). */
export const MESSAGE_AUTHENTICATOR_RULES = ['auto', 'yes', 'no'] as const;
export type MessageAuthenticatorRule = (typeof MESSAGE_AUTHENTICATOR_RULES)[number];

export type Router = {
  id: string;
  name: string;
  siteId: string;
  /** An address or a CIDR range, IPv4 or IPv6, in canonical form: `10.0.0.0/8`, `2001:db8::/32`. */
  address: string;
  secret: Buffer;
  vendor: RouterVendor;
  coaPort: number;
  requireMessageAuthenticator: MessageAuthenticatorRule;
  /** When the first valid Message-Authenticator came; persisted, so that a restart does not reopen the door. */
  messageAuthenticatorSeenAtMs: number | undefined;
  /** What its certificate calls it in RADIUS over TLS, if not by `name`: see radsec-identity.ts. */
  radsecIdentity?: string | undefined;
};

/**
 * Our own tools (`evergate login`, `doctor`, `simulate`) say so in NAS-Identifier. They sign what they
 * send, and stand where a router stands: that tells nothing about whether the router signs.
 */
const TOOL_NAS_IDENTIFIER = 'evergate-';

export function isFromOurTools(nasIdentifier: string | undefined): boolean {
  return nasIdentifier?.startsWith(TOOL_NAS_IDENTIFIER) === true;
}
