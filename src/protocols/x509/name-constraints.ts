// Which names an authority may give. RFC 5280 §4.2.1.10, §6.1.3 (b), (c), §6.1.4 (g).
// DNS names, mail addresses, directory names and IP addresses are compared. A constraint on another
// form refuses every certificate that has a name of this form, as the RFC wants it.

import type { Certificate } from './certificate.ts';
import { DerError, Tag, inside, valuesIn } from './der.ts';
import type { DerValue } from './der.ts';
import { MAX_NAME_CHARACTERS, NameForm, describeName, namesOf } from './name.ts';
import type { GeneralNames } from './name.ts';
import { Oid } from './object-identifiers.ts';
import { printable } from './printable.ts';

export type NameConstraints = {
  readonly permitted: GeneralNames;
  readonly excluded: GeneralNames;
};

/** The first name that is not allowed, in words, and never too many of them. */
export function forbiddenName(
  { subject, subjectAltName }: Certificate,
  { permitted, excluded }: NameConstraints,
): string | undefined {
  const refuses = <T>(name: T, allowed: readonly T[], denied: readonly T[], isWithin: Within<T>) =>
    denied.some((limit) => isWithin(name, limit)) ||
    (allowed.length > 0 && !allowed.some((limit) => isWithin(name, limit)));

  const form = [...subjectAltName.forms].find(
    (form) => !COMPARED.has(form) && (permitted.forms.has(form) || excluded.forms.has(form)),
  );
  if (form !== undefined) return `a name of form ${form}, whose limits are not understood`;

  const dnsName = subjectAltName.dnsNames.find((name) =>
    refuses(name, permitted.dnsNames, excluded.dnsNames, isDnsNameWithin),
  );
  if (dnsName !== undefined) return `DNS name ${printable(dnsName, MAX_NAME_CHARACTERS)}`;

  // A mail address in the subject counts as well. RFC 5280 §4.2.1.10
  const emails = subject.attributes.filter(({ type }) => type === Oid.emailAddress);
  const email = [...subjectAltName.emails, ...emails.map(({ value }) => value)].find((address) =>
    refuses(address, permitted.emails, excluded.emails, isEmailWithin),
  );
  if (email !== undefined) return `mail address ${printable(email, MAX_NAME_CHARACTERS)}`;

  const ipAddress = subjectAltName.ipAddresses.find((address) =>
    refuses(address, permitted.ipAddresses, excluded.ipAddresses, isIpAddressWithin),
  );
  if (ipAddress !== undefined) return `IP address ${ipAddress.toString('hex')}`;

  const subjects = subject.parts.length === 0 ? [] : [subject]; // an empty one is no name
  const directoryName = [...subjects, ...subjectAltName.directoryNames].find((name) =>
    refuses(name, permitted.directoryNames, excluded.directoryNames, (name, limit) =>
      limit.parts.every((part, index) => name.parts[index] === part),
    ),
  );
  return directoryName && `name ${describeName(directoryName, MAX_NAME_CHARACTERS)}`;
}

type Within<T> = (name: T, limit: T) => boolean;

const COMPARED: ReadonlySet<number> = new Set([
  NameForm.dnsName,
  NameForm.email,
  NameForm.ipAddress,
  NameForm.directoryName,
]);

/** Labels may be added on the left. A limit with a leading dot wants at least one. */
function isDnsNameWithin(name: string, limit: string): boolean {
  const host = withoutLastDot(name.toLowerCase());
  const domain = withoutLastDot(limit.toLowerCase());
  if (domain === '') return true;
  return host === domain || host.endsWith(domain.startsWith('.') ? domain : `.${domain}`);
}

function withoutLastDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** A limit is one mailbox, all of one host, or with a leading dot all hosts of a domain. */
function isEmailWithin(address: string, limit: string): boolean {
  const at = address.lastIndexOf('@');
  const host = address.slice(at + 1).toLowerCase();
  const limitAt = limit.lastIndexOf('@');
  const limitHost = limit.slice(limitAt + 1).toLowerCase();
  if (limitAt !== -1) return host === limitHost && address.slice(0, at) === limit.slice(0, limitAt);
  if (limitHost === '') return true;
  return limitHost.startsWith('.') ? host.endsWith(limitHost) : host === limitHost;
}

/** A limit is an address and a mask, twice as long as an address. */
function isIpAddressWithin(address: Buffer, limit: Buffer): boolean {
  const { length } = address;
  if (limit.length !== 2 * length) return false;
  return address.every((byte, index) => {
    const mask = limit[length + index] ?? 0;
    return (byte & mask) === ((limit[index] ?? 0) & mask);
  });
}

/** NameConstraints. At least one of the two, and neither of them empty. */
export function readNameConstraints(value: DerValue): NameConstraints {
  const reader = inside(value);
  const permitted = reader.optional(Tag.contextConstructed(0));
  const excluded = reader.optional(Tag.contextConstructed(1));
  reader.end();
  if (permitted === undefined && excluded === undefined) throw new DerError('no constraints');
  return { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) };
}

function readSubtrees(value: DerValue | undefined): GeneralNames {
  if (value === undefined) return namesOf([]);
  const names = valuesIn(value, value.tag).map((subtree) => {
    const reader = inside(subtree);
    const name = reader.any();
    reader.end(); // minimum is 0 and maximum is absent, in this profile
    return name;
  });
  if (names.length === 0) throw new DerError('no constraints');
  const limits = namesOf(names);
  const areIpRanges = limits.ipAddresses.every(({ length }) => length === 8 || length === 32);
  if (!areIpRanges) throw new DerError('not an address and its mask');
  return limits;
}
