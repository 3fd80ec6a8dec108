// The attributes of an answer in words. Keys stay hidden: what is printed ends up in tickets.

import { decodeAttributes } from '../../protocols/radius/attributes.ts';
import type { Dictionary } from '../../protocols/radius/dictionary.ts';
import type { Packet } from '../../protocols/radius/packet.ts';

export type DescribedAttribute = { name: string; value: string };

/** Of no interest to people: it only says that the answer is genuine, which has been checked. */
const MESSAGE_AUTHENTICATOR = 'Message-Authenticator';

export function describeAttributes(packet: Packet, dictionary: Dictionary): DescribedAttribute[] {
  return decodeAttributes(packet, dictionary)
    .filter(({ name }) => name !== MESSAGE_AUTHENTICATOR)
    .map(({ name, value, tag }) => ({
      name: tag === undefined ? name : `${name}:${tag}`,
      value: String(value),
    }));
}
