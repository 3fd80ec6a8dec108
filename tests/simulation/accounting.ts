// What a simulated router accounts for: sessions with growing counters, records that it repeats until
// they are acknowledged, restarts, and the habits of bad routers: old packets again, and out of order.

import { AttributeType, PacketCode } from '../../src/protocols/radius/packet.ts';
import type { RequestWriter } from '../../src/protocols/radius/request.ts';
import { WORLD_BEGAN_AT_MS } from './life.ts';
import { writeDevice } from './router.ts';
import type { SimulatedRouter } from './router.ts';
import type { Scheduler } from './scheduler.ts';

export type RouterSession = {
  readonly router: SimulatedRouter;
  readonly acctSessionId: string;
  readonly username: string;
  readonly device: string | undefined;
  /** The truth, as of the last record. */
  inputOctets: number;
  outputOctets: number;
  isStopped: boolean;
  /** What has been acknowledged by now. */
  acknowledged: { inputOctets: number; outputOctets: number; isStopped: boolean; any: boolean };
  report(kind: RecordKind): Promise<void>;
};

type RecordKind = 'start' | 'interim' | 'stop';

export type Bookkeeping = {
  readonly sessions: RouterSession[];
  /** Records that nobody has acknowledged yet. */
  readonly undelivered: number;
  begin(session: {
    username: string;
    device: string | undefined;
    class: Buffer | undefined;
  }): RouterSession;
  /** Power is back: all sessions are gone, and the router says so. */
  restart(): Promise<void>;
  /**
   * Sends something it has sent before to any of its servers: however old where the packet says when
   * it happened, else no older than a datagram can get in a network.
   */
  repeatSomethingOld(): void;
  /** From now on it gives up: for the end of a world. */
  stopTrying(): void;
};

const STATUS = { start: 1, stop: 2, interim: 3, on: 7 } as const;
const ATTRIBUTE = {
  acctStatusType: 40,
  acctDelayTime: 41,
  acctInputOctets: 42,
  acctOutputOctets: 43,
  acctSessionId: 44,
  acctSessionTime: 46,
  acctInputGigawords: 52,
  acctOutputGigawords: 53,
  eventTimestamp: 55,
  class: 25,
} as const;
/** Between two rounds of a record that nobody acknowledged. */
const REPEAT_AFTER_MS = 3_000;
const DATAGRAM_LIFE_MS = 45_000;

export function createBookkeeping(
  router: SimulatedRouter,
  scheduler: Scheduler,
  inject: (server: string, port: number, bytes: Buffer) => void,
): Bookkeeping {
  const { asking, chance, habits } = router;
  const sessions: RouterSession[] = [];
  let undelivered = 0;
  let hasGivenUp = false;
  let boots = 0;

  /** Until it is acknowledged. */
  async function deliver(write: (writer: RequestWriter) => void): Promise<void> {
    const happenedAtMs = scheduler.nowMs;
    undelivered++;
    while (!hasGivenUp) {
      const reply = await asking.ask({
        code: PacketCode.AccountingRequest,
        port: 1813,
        servers: router.servers(),
        withMessageAuthenticator: chance.happens(0.3),
        write(writer) {
          write(writer);
          writeTime(writer, happenedAtMs);
        },
      });
      if (reply !== undefined) break;
      await scheduler.sleep(REPEAT_AFTER_MS);
    }
    undelivered--;
  }

  function writeTime(writer: RequestWriter, happenedAtMs: number) {
    switch (habits.tellsTime) {
      case 'event-timestamp':
        writer.integer(
          ATTRIBUTE.eventTimestamp,
          Math.floor((WORLD_BEGAN_AT_MS + happenedAtMs) / 1000),
        );
        return;
      case 'delay-time':
        writer.integer(
          ATTRIBUTE.acctDelayTime,
          Math.floor((scheduler.nowMs - happenedAtMs) / 1000),
        );
        return;
      case 'not-at-all':
    }
  }

  return {
    sessions,
    get undelivered() {
      return undelivered;
    },

    begin({ username, device, class: echoed }) {
      const beganAtMs = scheduler.nowMs;
      const acctSessionId = `${boots.toString(16)}-${sessions.length.toString(16)}`;
      const session: RouterSession = {
        router,
        acctSessionId,
        username,
        device,
        inputOctets: 0,
        outputOctets: 0,
        isStopped: false,
        acknowledged: { inputOctets: 0, outputOctets: 0, isStopped: false, any: false },

        async report(kind) {
          const { inputOctets, outputOctets } = session;
          const seconds = Math.floor((scheduler.nowMs - beganAtMs) / 1000);
          if (kind === 'stop') session.isStopped = true;
          await deliver((writer) => {
            writer.integer(ATTRIBUTE.acctStatusType, STATUS[kind]);
            writer.text(ATTRIBUTE.acctSessionId, acctSessionId);
            writer.text(AttributeType.UserName, username);
            writeDevice(writer, device);
            if (habits.echoesClass && echoed !== undefined) writer.bytes(ATTRIBUTE.class, echoed);
            if (kind === 'start') return;
            writer.integer(ATTRIBUTE.acctSessionTime, seconds);
            writer.integer(ATTRIBUTE.acctInputOctets, inputOctets % 2 ** 32);
            writer.integer(ATTRIBUTE.acctInputGigawords, Math.floor(inputOctets / 2 ** 32));
            writer.integer(ATTRIBUTE.acctOutputOctets, outputOctets % 2 ** 32);
            writer.integer(ATTRIBUTE.acctOutputGigawords, Math.floor(outputOctets / 2 ** 32));
          });
          if (hasGivenUp) return;
          const { acknowledged } = session;
          acknowledged.any = true;
          acknowledged.inputOctets = Math.max(acknowledged.inputOctets, inputOctets);
          acknowledged.outputOctets = Math.max(acknowledged.outputOctets, outputOctets);
          if (kind === 'stop') acknowledged.isStopped = true;
        },
      };
      sessions.push(session);
      return session;
    },

    async restart() {
      boots++;
      for (const session of sessions) session.isStopped = true;
      await deliver((writer) => {
        writer.integer(ATTRIBUTE.acctStatusType, STATUS.on);
      });
    },

    repeatSomethingOld() {
      const isYoungEnough = (atMs: number) =>
        habits.tellsTime === 'event-timestamp' || scheduler.nowMs - atMs < DATAGRAM_LIFE_MS;
      const accounting = asking.sent.filter(
        ({ port, atMs }) => port === 1813 && isYoungEnough(atMs),
      );
      if (accounting.length === 0) return;
      const { bytes, port } = chance.pick(accounting);
      inject(chance.pick(habits.servers), port, bytes);
    },

    stopTrying() {
      hasGivenUp = true;
    },
  };
}
