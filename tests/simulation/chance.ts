// Chance from a seed: the same seed, the same world. xoshiro128** by Blackman and Vigna.

import type { Random } from '../../src/runtime/random.ts';

export type Chance = Random & {
  /** A whole number from `from` to `to`, both included. */
  between(from: number, to: number): number;
  /** True with this probability. */
  happens(probability: number): boolean;
  pick<T>(from: readonly T[]): T;
  shuffle<T>(items: readonly T[]): T[];
  /** A source of its own, so that what one part draws does not change what another gets. */
  fork(): Chance;
};

export function createChance(seed: number): Chance {
  const state = new Uint32Array(4);
  let mixed = seed >>> 0;
  for (let i = 0; i < 4; i++) {
    // splitmix32 spreads neighbouring seeds.
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let value = mixed;
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
    state[i] = value ^ (value >>> 16);
  }

  function next(): number {
    const [a = 0, b = 0, c = 0, d = 0] = state;
    const scrambled = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    const newC = c ^ a;
    const newD = d ^ b;
    state[1] = b ^ newC;
    state[0] = a ^ newD;
    state[2] = newC ^ shifted;
    state[3] = rotate(newD, 11);
    return scrambled;
  }

  const chance: Chance = {
    bytes: (count) => Buffer.from(Uint8Array.from({ length: count }, () => next() >>> 24)),
    fraction: () => next() / 2 ** 32,
    between: (from, to) => from + Math.floor(chance.fraction() * (to - from + 1)),
    happens: (probability) => chance.fraction() < probability,
    pick(from) {
      const picked = from[chance.between(0, from.length - 1)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
    shuffle(items) {
      const order = items.map((item) => ({ item, at: chance.fraction() }));
      return order.sort((a, b) => a.at - b.at).map(({ item }) => item);
    },
    fork: () => createChance(next()),
  };
  return chance;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
