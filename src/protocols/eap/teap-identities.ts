// Who must log in through one TEAP tunnel: whoever the client is, or a machine and its user, one after the
// other. RFC 9930 §3.6, §4.2.3.

import type { Login } from './teap-state.ts';
import { IdentityType } from './teap-tlv.ts';

export type TeapIdentity = 'machine' | 'user';

export type IdentityRule = {
  /** The type to ask for; undefined: any will do. */
  next(login: Login): number | undefined;
  /** Another identity than the one asked for is fine, if it may log in here and has not yet. */
  mayBe(type: number, login: Login): boolean;
  isComplete(login: Login): boolean;
};

const TYPES = { machine: IdentityType.Machine, user: IdentityType.User } as const;
const ANY: readonly number[] = Object.values(IdentityType);

export function createIdentityRule(identities: readonly TeapIdentity[]): IdentityRule {
  const wanted: readonly number[] = identities.map((identity) => TYPES[identity]);
  const missing = ({ identityTypes }: Login) =>
    wanted.filter((type) => !identityTypes.includes(type));
  return {
    next: (login) => missing(login)[0],
    mayBe: (type, { identityTypes }) =>
      (wanted.length === 0 ? ANY : wanted).includes(type) && !identityTypes.includes(type),
    isComplete: (login) => login.methods > 0 && missing(login).length === 0,
  };
}

/** `type`: as what it was made, where that was said. */
export function countLogin(login: Login, type: number | undefined): Login {
  const { methods, identityTypes } = login;
  return {
    ...login,
    methods: methods + 1,
    identityTypes: type === undefined ? identityTypes : [...identityTypes, type],
  };
}
