// What each role may do. A role may do all that those after it may.

/** The most powerful first. */
export const ROLES = ['owner', 'manager', 'support', 'read-only'] as const;
export type Role = (typeof ROLES)[number];

/** The least role for each thing that can be done. */
const LEAST_ROLE = {
  /** See everything but secrets. */
  read: 'read-only',
  /** Create and change subscribers and vouchers: what a person at the counter does. */
  serve: 'support',
  /** Create, change and delete everything; apply and export. */
  manage: 'manager',
  /** Export with secrets. */
  'read-secrets': 'owner',
  /** Create and revoke API keys. */
  'manage-keys': 'owner',
} as const satisfies Record<string, Role>;

export type Permission = keyof typeof LEAST_ROLE;

export function leastRole(permission: Permission): Role {
  return LEAST_ROLE[permission];
}

export function may(role: Role, permission: Permission): boolean {
  return ROLES.indexOf(role) <= ROLES.indexOf(LEAST_ROLE[permission]);
}
