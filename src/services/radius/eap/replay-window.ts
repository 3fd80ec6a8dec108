// Which numbers of a sender have been seen, when datagrams overtake each other. RFC 4303 §3.4.3 does
// the same for IPsec: everything up to the highest number, less a window, counts as seen.

export type ReplayWindow = {
  isNew(number: number): boolean;
  mark(number: number): void;
};

/** `size`: how many numbers behind the highest are told apart; a multiple of 8. Numbers begin at 1. */
export function createReplayWindow(size: number): ReplayWindow {
  const bits = new Uint8Array(size / 8);
  let highest = 0;

  const isMarked = (number: number) => {
    const at = number % size;
    return ((bits[at >> 3] ?? 0) & (1 << (at & 7))) !== 0;
  };
  const write = (number: number, isSeen: boolean) => {
    const at = number % size;
    const others = (bits[at >> 3] ?? 0) & ~(1 << (at & 7));
    bits[at >> 3] = isSeen ? others | (1 << (at & 7)) : others;
  };

  return {
    isNew: (number) => number > highest || (number > highest - size && !isMarked(number)),
    mark(number) {
      if (number - highest >= size) bits.fill(0);
      else for (let skipped = highest + 1; skipped < number; skipped++) write(skipped, false);
      highest = Math.max(highest, number);
      write(number, true);
    },
  };
}
