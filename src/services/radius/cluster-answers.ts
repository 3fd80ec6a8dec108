// The answers that other nodes gave, so that a retransmission to any node gets the first one again
// (promise 2). The first node to see a request claims it; the claim is short, so that a node that
// dies at work delays its request by no more than the router's first time-out. The answer is stored
// before it is sent, under compare-and-set: whoever lost the claim sends what was stored.

import type { Packet } from '../../protocols/radius/packet.ts';
import { fingerprint } from './fingerprint.ts';
import type { SharedState } from '../../domain/shared-state.ts';

/** Shorter than a router's first time-out of 2 s, longer than any login takes. */
const CLAIM_MS = 1_800;
const CLAIMED = 0;
const ANSWERED = 1;

export type Claim =
  | { kind: 'ours'; key: string; mark: Buffer }
  | { kind: 'in-progress' }
  | { kind: 'answered'; answer: Buffer };

export type ClusterAnswers = {
  claim(path: Buffer, packet: Packet): Promise<Claim>;
  /** Stores the answer and returns the one to send: another node may have been first. */
  keep(claim: Extract<Claim, { kind: 'ours' }>, answer: Buffer): Promise<Buffer | undefined>;
  /** There will be no answer: another node may know one. Never rejects; the claim would run out anyway. */
  release(claim: Extract<Claim, { kind: 'ours' }>): Promise<void>;
};

export function createClusterAnswers(
  state: SharedState,
  node: string,
  windowMs: number,
): ClusterAnswers {
  const mark = Buffer.concat([Buffer.from([CLAIMED]), Buffer.from(node)]);

  return {
    async claim(path, packet) {
      const key = `req:${fingerprint(packet, path)}`;
      const present = await state.setIfAbsent(key, mark, CLAIM_MS);
      if (present === undefined) return { kind: 'ours', key, mark };
      if (present[0] === ANSWERED) return { kind: 'answered', answer: present.subarray(1) };
      return { kind: 'in-progress' };
    },

    async keep({ key, mark: claimed }, answer) {
      const stored = Buffer.allocUnsafe(answer.length + 1);
      stored[0] = ANSWERED;
      answer.copy(stored, 1);
      if (await state.compareAndSet(key, claimed, stored, windowMs)) return answer;
      // The claim ran out: either nobody took it over, or another node works or worked on it.
      const present = await state.setIfAbsent(key, stored, windowMs);
      if (present === undefined) return answer;
      return present[0] === ANSWERED ? present.subarray(1) : undefined;
    },

    async release({ key, mark: claimed }) {
      await state.compareAndSet(key, claimed, undefined, 0).catch(() => false);
    },
  };
}
