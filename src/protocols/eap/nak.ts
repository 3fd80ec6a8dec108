// Nak: the peer would rather use another method. RFC 3748 §5.3.1. The expanded form only answers an
// expanded request, and we send none.

import type { EapMethod } from './method.ts';
import type { EapPacket } from './packet.ts';

/** The first method we offer that the peer also wants and that was not tried; our order decides. */
export function methodAfterNak(
  nak: EapPacket,
  offered: readonly EapMethod[],
  tried: readonly number[],
): EapMethod | undefined {
  return offered.find((method) => nak.data.includes(method.type) && !tried.includes(method.type));
}
