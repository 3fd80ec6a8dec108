// The sessions whose accounting the load generator sends: Start, Interim-Updates, Stop, each only
// after the one before was acknowledged. Many are open at a time, as at an operator, and which one
// reports next is chance.

import { INTERIM, START, STOP } from './packets.ts';

export type LoadSession = {
  serial: number;
  user: number;
  /** The Acct-Status-Type of the record that is due. */
  next: number;
  /** How many interim records were acknowledged. */
  interims: number;
};

export type LoadSessions = {
  /** A session that has a record to send; it is out of the pool until it comes back. */
  take(): LoadSession | undefined;
  acknowledged(session: LoadSession): void;
  /** A record went unanswered: whether it counts is unknown, so the session is given up. */
  lost(session: LoadSession): void;
  readonly acknowledgements: { starts: number; interims: number; stops: number };
};

export function createLoadSessions(
  options: { open: number; users: number; interims: number },
  dice: () => number,
): LoadSessions {
  let serial = 0;
  const begin = (session: LoadSession): LoadSession => {
    session.serial = serial++;
    session.user = dice() % options.users;
    session.next = START;
    session.interims = 0;
    return session;
  };
  const waiting = Array.from({ length: options.open }, () =>
    begin({ serial: 0, user: 0, next: START, interims: 0 }),
  );
  const acknowledgements = { starts: 0, interims: 0, stops: 0 };
  const nextAfter = (interims: number) => (interims < options.interims ? INTERIM : STOP);

  return {
    acknowledgements,
    take() {
      const chosen = dice() % Math.max(1, waiting.length);
      const session = waiting[chosen];
      const last = waiting.pop();
      if (session !== undefined && last !== undefined && last !== session) waiting[chosen] = last;
      return session;
    },
    acknowledged(session) {
      if (session.next === START) {
        acknowledgements.starts++;
        session.next = nextAfter(0);
      } else if (session.next === INTERIM) {
        acknowledgements.interims++;
        session.next = nextAfter(++session.interims);
      } else {
        acknowledgements.stops++;
        begin(session);
      }
      waiting.push(session);
    },
    lost(session) {
      waiting.push(begin(session));
    },
  };
}
