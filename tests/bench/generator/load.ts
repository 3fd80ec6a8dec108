// The load: requests over several source ports, in a closed loop (so many outstanding) or an open
// one (so many per second), on our own batched transport. Every answer is checked.
//
// Two traps of field measurements are avoided here. A closed loop that answers each batch of replies
// with an equal batch of requests falls into step with a single-threaded server, and both idle half
// of the time: so few requests leave per turn, and the server is never without work. And an open
// loop counts latency from when a request was due, not from when it could be sent.

import { performance } from 'node:perf_hooks';
import type { DatagramBatch, DatagramSocket, Network } from '../../../src/runtime/network.ts';
import { pathTo } from '../../../src/runtime/udp/path.ts';
import type { Latencies } from './latencies.ts';
import { createLatencies } from './latencies.ts';
import {
  PACKET_BYTES,
  createAccountingWriter,
  createDice,
  createLoginWriter,
  createReplyCheck,
} from './packets.ts';
import type { LoadSession } from './sessions.ts';
import { createLoadSessions } from './sessions.ts';

export type LoadOptions = {
  host: string;
  authPort: number;
  acctPort: number;
  secret: string;
  users: number;
  /** The share of requests that are accounting records: 0 logins only, 1 accounting only. */
  acctShare: number;
  /** The share of logins with a wrong password. */
  badShare: number;
  /** Source ports for each kind of request; each has 256 identifiers. */
  ports: number;
  /** Closed loop: requests outstanding at a time. */
  outstanding: number;
  /** Open loop: requests per second; 0 is the closed loop. */
  rate: number;
  warmUpMs: number;
  durationMs: number;
  timeoutMs: number;
  openSessions: number;
  interims: number;
  /** Told when the measured time begins, which every user has logged in before, and when it ends. */
  onBegin: () => void;
  onEnd: () => void;
};

export type LoadResult = {
  engine: string;
  seconds: number;
  /** Of the measured time, except `lost`, `bad`, `wrong` and `unasked`: those of the whole run. */
  sent: number;
  replies: number;
  accepts: number;
  rejects: number;
  acctResponses: number;
  /** No answer within the time-out. */
  lost: number;
  /** Answers with a wrong authenticator. */
  bad: number;
  /** A reject that should have been an accept, or the other way round. */
  wrong: number;
  /** Answers to nothing that is outstanding. */
  unasked: number;
  /** Open loop only: requests that found no free identifier. */
  skipped: number;
  requestsPerSecond: number;
  latencyMicroseconds: { p50: number; p95: number; p99: number };
  /** Over the whole run: to be compared with what the server has stored. */
  acknowledged: { starts: number; interims: number; stops: number };
};

/** A request on its way. The packet is kept: its authenticator proves the answer. */
type Slot = {
  packet: Buffer;
  isOutstanding: boolean;
  sinceMs: number;
  isGood: boolean;
  session: LoadSession | undefined;
};

type Port = {
  socket: DatagramSocket;
  path: Uint8Array;
  slots: Slot[];
  nextIdentifier: number;
  outstanding: number;
};

type Kind = 'login' | 'accounting';

/** How many requests leave in one turn of the event loop, at most. */
const SENT_PER_TURN = 32;
const EXPIRY_SCAN_MS = 50;

export async function runLoad(network: Network, options: LoadOptions): Promise<LoadResult> {
  await using opened = new AsyncDisposableStack();
  const dice = createDice((Date.now() ^ (process.pid << 16)) >>> 0);
  const run = dice().toString(16).padStart(8, '0');
  const writeLogin = createLoginWriter(options, dice);
  const writeAccounting = createAccountingWriter(options, run);
  const checkReply = createReplyCheck(options.secret);
  const sessions = createLoadSessions(
    { open: options.openSessions, users: options.users, interims: options.interims },
    dice,
  );
  const latencies: Latencies = createLatencies();
  const counts = {
    sent: 0,
    replies: 0,
    accepts: 0,
    rejects: 0,
    acctResponses: 0,
    skipped: 0,
  };
  const faults = { lost: 0, bad: 0, wrong: 0, unasked: 0 };
  let isMeasuring = false;
  let outstanding = 0;
  let loginsToWarmUp = options.acctShare < 1 ? options.users : 0;

  const ports: Record<Kind, Port[]> = { login: [], accounting: [] };
  const open = async (kind: Kind, serverPort: number) => {
    const slots = Array.from({ length: 256 }, () => ({
      packet: Buffer.alloc(PACKET_BYTES),
      isOutstanding: false,
      sinceMs: 0,
      isGood: true,
      session: undefined,
    }));
    const socket = opened.use(
      await network.bindUdp({
        host: options.host,
        port: 0,
        receiveBufferBytes: 4 * 1024 * 1024,
        onBatch: (batch) => receive(port, batch),
      }),
    );
    const path = pathTo(options.host, serverPort);
    const port: Port = { socket, path, slots, nextIdentifier: 0, outstanding: 0 };
    ports[kind].push(port);
  };
  for (let i = 0; i < options.ports; i++) {
    if (options.acctShare < 1) await open('login', options.authPort);
    if (options.acctShare > 0) await open('accounting', options.acctPort);
  }

  function receive(port: Port, batch: DatagramBatch): void {
    const nowMs = performance.now();
    for (let i = 0; i < batch.count; i++) {
      const offset = batch.offsets[i] ?? 0;
      const length = batch.lengths[i] ?? 0;
      const slot = port.slots[batch.bytes[offset + 1] ?? 0];
      if (slot === undefined || !slot.isOutstanding) {
        faults.unasked++;
        continue;
      }
      const reply = checkReply(batch.bytes, offset, length, slot.packet);
      if (reply === 'bad') {
        faults.bad++;
        continue;
      }
      const { session } = slot;
      free(port, slot);
      if (reply !== (session === undefined ? (slot.isGood ? 'accept' : 'reject') : 'accounting')) {
        faults.wrong++;
      }
      if (session !== undefined) sessions.acknowledged(session);
      if (!isMeasuring) continue;
      latencies.record((nowMs - slot.sinceMs) * 1000);
      counts.replies++;
      if (reply === 'accept') counts.accepts++;
      else if (reply === 'reject') counts.rejects++;
      else counts.acctResponses++;
    }
  }

  function free(port: Port, slot: Slot): void {
    slot.isOutstanding = false;
    slot.session = undefined;
    port.outstanding--;
    outstanding--;
  }

  // All that leaves in one turn leaves by one port of each kind, and so in one system call.
  let turns = 0;

  /** False if every identifier of every port, or every session, is in use. */
  function send(kind: Kind, sinceMs: number): boolean {
    const candidates = ports[kind];
    for (let i = 0; i < candidates.length; i++) {
      const port = candidates[(turns + i) % candidates.length];
      if (port === undefined || port.outstanding >= 256) continue;
      while (port.slots[port.nextIdentifier]?.isOutstanding === true) {
        port.nextIdentifier = (port.nextIdentifier + 1) & 255;
      }
      const identifier = port.nextIdentifier;
      const slot = port.slots[identifier];
      if (slot === undefined) continue;
      let length: number;
      if (kind === 'login') {
        const login = writeLogin(slot.packet, identifier);
        slot.isGood = login.isGood;
        loginsToWarmUp--;
        length = login.length;
      } else {
        const session = sessions.take();
        if (session === undefined) return false;
        slot.session = session;
        length = writeAccounting(slot.packet, identifier, session, (Date.now() / 1000) | 0);
      }
      port.nextIdentifier = (identifier + 1) & 255;
      slot.isOutstanding = true;
      slot.sinceMs = sinceMs;
      port.outstanding++;
      outstanding++;
      if (isMeasuring) counts.sent++;
      port.socket.send(port.path, slot.packet.subarray(0, length));
      return true;
    }
    return false;
  }

  // The mixture is exact, whatever each kind costs: every request decides by the running remainder.
  let remainder = 0;
  function sendNext(sinceMs: number): boolean {
    const isAccounting = remainder + options.acctShare >= 1;
    if (!send(isAccounting ? 'accounting' : 'login', sinceMs)) return false;
    remainder += options.acctShare - (isAccounting ? 1 : 0);
    return true;
  }

  function expire(nowMs: number): void {
    for (const port of [...ports.login, ...ports.accounting]) {
      if (port.outstanding === 0) continue;
      for (const slot of port.slots) {
        if (!slot.isOutstanding || nowMs - slot.sinceMs < options.timeoutMs) continue;
        faults.lost++;
        if (slot.session !== undefined) sessions.lost(slot.session);
        free(port, slot);
      }
    }
  }

  const startMs = performance.now();
  let beganMs = startMs;
  let endedMs = startMs;
  let dueMs = startMs;
  let scanMs = startMs;
  let phase: 'warm-up' | 'measure' | 'drain' = 'warm-up';

  await new Promise<void>((resolve) => {
    const turn = () => {
      let nowMs = performance.now();
      turns++;
      const isWarm = loginsToWarmUp <= 0 && nowMs - startMs >= options.warmUpMs;
      if (phase === 'warm-up' && isWarm) {
        options.onBegin();
        nowMs = beganMs = performance.now();
        phase = 'measure';
        isMeasuring = true;
      } else if (phase === 'measure' && nowMs - beganMs >= options.durationMs) {
        endedMs = nowMs;
        phase = 'drain';
        isMeasuring = false;
        options.onEnd();
      }
      if (phase === 'drain') {
        if (outstanding === 0) return resolve();
      } else if (options.rate > 0) {
        for (let sent = 0; dueMs <= nowMs && sent < 4 * SENT_PER_TURN; sent++) {
          if (!sendNext(dueMs)) counts.skipped++;
          dueMs += 1000 / options.rate;
        }
      } else {
        for (let sent = 0; outstanding < options.outstanding && sent < SENT_PER_TURN; sent++) {
          if (!sendNext(nowMs)) break;
        }
      }
      if (nowMs - scanMs >= EXPIRY_SCAN_MS) {
        scanMs = nowMs;
        expire(nowMs);
      }
      setImmediate(turn);
    };
    turn();
  });

  const seconds = (endedMs - beganMs) / 1000;
  return {
    engine: [...ports.login, ...ports.accounting][0]?.socket.engine ?? 'none',
    seconds,
    ...counts,
    ...faults,
    requestsPerSecond: counts.replies / seconds,
    latencyMicroseconds: {
      p50: latencies.percentile(0.5),
      p95: latencies.percentile(0.95),
      p99: latencies.percentile(0.99),
    },
    acknowledged: { ...sessions.acknowledgements },
  };
}
