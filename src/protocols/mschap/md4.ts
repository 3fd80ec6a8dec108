// MD4, RFC 1320. OpenSSL 3 no longer offers it, and the NT hash is defined with it. A login computes
// it twice, so this is written to be read, not to be fast.

export function md4(message: Uint8Array): Buffer {
  const padded = Buffer.alloc((Math.floor((message.length + 8) / 64) + 1) * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  padded.writeUInt32LE((message.length << 3) >>> 0, padded.length - 8);
  padded.writeUInt32LE(message.length >>> 29, padded.length - 4);

  let state: Words = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
  for (let block = 0; block < padded.length; block += 64) {
    let next = state;
    for (const round of ROUNDS) {
      for (let step = 0; step < 16; step++) {
        const [a, b, c, d] = next;
        const word = padded.readInt32LE(block + (round.order[step] ?? 0) * 4);
        const sum = (a + round.mix(b, c, d) + word + round.constant) | 0;
        const shift = round.shifts[step % 4] ?? 0;
        next = [d, (sum << shift) | (sum >>> (32 - shift)), b, c];
      }
    }
    state = [
      (state[0] + next[0]) | 0,
      (state[1] + next[1]) | 0,
      (state[2] + next[2]) | 0,
      (state[3] + next[3]) | 0,
    ];
  }
  const digest = Buffer.alloc(16);
  for (const [index, word] of state.entries()) digest.writeInt32LE(word, index * 4);
  return digest;
}

type Words = [number, number, number, number];

const ROUNDS = [
  {
    mix: (x: number, y: number, z: number) => (x & y) | (~x & z),
    constant: 0,
    shifts: [3, 7, 11, 19],
    order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  },
  {
    mix: (x: number, y: number, z: number) => (x & y) | (x & z) | (y & z),
    constant: 0x5a827999,
    shifts: [3, 5, 9, 13],
    order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15],
  },
  {
    mix: (x: number, y: number, z: number) => x ^ y ^ z,
    constant: 0x6ed9eba1,
    shifts: [3, 9, 11, 15],
    order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15],
  },
] as const;
