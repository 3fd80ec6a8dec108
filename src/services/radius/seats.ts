// Simultaneous use: a plan with `devices: 2` has two seats in the whole cluster.
//
// A seat is a key of the shared state, taken with one atomic step at the Access-Accept: two logins
// at once cannot both get the last one. It is held by a device, so a phone that logs in again keeps
// its seat, and names the device's sessions: when a phone roams, the new router's Start often comes
// before the old one's Stop. It lives for two minutes until the Accounting-Start, then three interim
// intervals, and is given back by the last session's Stop. A shared state that comes back empty is
// filled from the open sessions.

import type { Device } from '../../domain/device.ts';
import { INTERIM_SECONDS } from '../../domain/access.ts';
import type { SharedState } from '../../domain/shared-state.ts';

const RESERVATION_MS = 120_000;
export const HELD_MS = 3 * INTERIM_SECONDS * 1000;
/** Sessions and logins that one device may have at once; logins are forgotten first, then the oldest. */
const MAX_SESSIONS = 4;
/** So long after its Stop a late or repeated report of a session takes no seat for it. */
const OVER_MS = 120_000;
/** Changes by others, between our look and our step, that we put up with. */
const MAX_TRIES = 5;

export type Seats = {
  /** True if the device has a seat now. */
  reserve(username: string, device: Device, seats: number): Promise<boolean>;
  /** The device is online, its seat lives on. Over-full plans keep who is online. */
  hold(username: string, device: Device, session: OnlineSession, seats: number): Promise<void>;
  release(username: string, sessionKey: string, seats: number): Promise<void>;
};

/** `isStart`: this is what became of a login; a later record may be of a session we know nothing of. */
type OnlineSession = { sessionKey: string; isStart: boolean };

type Seat = {
  key: string;
  /** Undefined: it is free. */
  raw: Buffer | undefined;
  identity: string | undefined;
  /** Session keys, and LOGIN for each login that has not become a session yet. The oldest first. */
  sessions: string[];
};

const LOGIN = 'login';
const OVER = Buffer.from([1]);

export function createSeats(state: SharedState): Seats {
  /** All at once: one after another, a plan of many devices would wait for many round trips. */
  function look(username: string, seats: number): Promise<Seat[]> {
    const keys = Array.from({ length: seats }, (_, number) => `seat:${username}:${String(number)}`);
    return Promise.all(keys.map(async (key) => decode(key, await state.get(key))));
  }

  /** False if somebody else changed the seat since we looked at it. */
  function put(seat: Seat, identity: string, sessions: string[]): Promise<boolean> {
    if (sessions.length === 0) return state.compareAndSet(seat.key, seat.raw, undefined, 0);
    const isOnline = sessions.some((session) => session !== LOGIN);
    const next = Buffer.from(JSON.stringify([identity, ...atMost(MAX_SESSIONS, sessions)]));
    return state.compareAndSet(seat.key, seat.raw, next, isOnline ? HELD_MS : RESERVATION_MS);
  }

  /** Looks and takes a step until nobody comes in between. Undefined: they did every time. */
  async function settle<T>(
    username: string,
    seats: number,
    step: (present: Seat[]) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const result = await step(await look(username, seats));
      if (result !== undefined) return result;
    }
    return undefined;
  }

  async function leave(username: string, sessionKey: string, seats: number): Promise<void> {
    await settle(username, seats, async (present) => {
      const seat = present.find(({ sessions }) => sessions.includes(sessionKey));
      if (seat?.identity === undefined) return true;
      return (await put(seat, seat.identity, withoutOne(seat.sessions, sessionKey))) || undefined;
    });
  }

  return {
    async reserve(username, device, seats) {
      const isReserved = await settle(username, seats, async (present) => {
        const own = present.find((seat) => isHeldBy(seat, device));
        const seat = own ?? present.find(isFree);
        if (seat === undefined) return false;
        const sessions = device.isAnonymous ? [LOGIN] : [...seat.sessions, LOGIN];
        return (await put(seat, device.identity, sessions)) || undefined;
      });
      return isReserved === true;
    },

    async hold(username, device, { sessionKey, isStart }, seats) {
      await settle(username, seats, async (present) => {
        const known = present.find(({ sessions }) => sessions.includes(sessionKey));
        if (known?.identity !== undefined) {
          return (await put(known, known.identity, known.sessions)) || undefined;
        }
        const seat = present.find((each) => isHeldBy(each, device)) ?? present.find(isFree);
        if (seat === undefined) return true; // over-full
        const others = isStart ? withoutOne(seat.sessions, LOGIN) : seat.sessions;
        return (await put(seat, device.identity, [...others, sessionKey])) || undefined;
      });
      // Looked at last, as the Stop is noted first: whichever of two nodes is slower sees the other.
      if (await state.exists(overKey(sessionKey))) await leave(username, sessionKey, seats);
    },

    async release(username, sessionKey, seats) {
      await state.set(overKey(sessionKey), OVER, OVER_MS);
      await leave(username, sessionKey, seats);
    },
  };
}

/** An anonymous device is known by its session once it is online; until then one login serves all. */
function isHeldBy({ identity, sessions }: Seat, device: Device): boolean {
  if (identity !== device.identity) return false;
  return !device.isAnonymous || sessions.every((session) => session === LOGIN);
}

function overKey(sessionKey: string): string {
  return `session_over:${sessionKey}`;
}

/** A device that authenticates again and again has many logins, and is online all the while. */
function atMost(limit: number, sessions: string[]): string[] {
  let kept = sessions;
  while (kept.length > limit && kept.includes(LOGIN)) kept = withoutOne(kept, LOGIN);
  return kept.slice(-limit);
}

function isFree({ raw }: Seat): boolean {
  return raw === undefined;
}

function withoutOne(sessions: string[], session: string): string[] {
  const at = sessions.indexOf(session);
  return at === -1 ? sessions : sessions.toSpliced(at, 1);
}

function decode(key: string, raw: Buffer | undefined): Seat {
  if (raw === undefined) return { key, raw, identity: undefined, sessions: [] };
  const [identity, ...sessions] = JSON.parse(raw.toString()) as string[];
  return { key, raw, identity, sessions };
}
