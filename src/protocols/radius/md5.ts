// MD5 and HMAC-MD5 for the hot path. RFC 1321, RFC 2104.
// One login needs four digests of short messages; node:crypto takes longer to set one up than this
// takes to compute it. Nothing here allocates per call. Not for anything new:
// RADIUS over UDP is defined with MD5, and that is the only reason it is here.

import { createHash } from 'node:crypto';

export const MD5_BYTES = 16;
const BLOCK_BYTES = 64;

/** Writes the digest of `bytes[start..end)` to `out`. */
export function md5Into(
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outOffset: number,
): void {
  oneShot.begin();
  oneShot.update(bytes, start, end);
  oneShot.finishInto(out, outOffset);
}

export type Md5 = {
  /** Forgets what came before. One object serves any number of messages, one after another. */
  begin(): void;
  update(bytes: Uint8Array, start?: number, end?: number): void;
  finishInto(out: Uint8Array, outOffset: number): void;
};

/** For messages in several pieces. Keep the object: creating one allocates, using it does not. */
export function createMd5(): Md5 {
  return createHasher();
}

/** The states of the hash after the inner and the outer padded key: half the work of a short HMAC. */
export type HmacKey = { readonly inner: Int32Array; readonly outer: Int32Array };

export function prepareHmacKey(secret: Uint8Array): HmacKey {
  const key = new Uint8Array(BLOCK_BYTES);
  key.set(secret.length > BLOCK_BYTES ? createHash('md5').update(secret).digest() : secret);
  const stateAfter = (pad: number) => {
    const state = Int32Array.of(...INITIAL_STATE);
    compress(
      state,
      key.map((byte) => byte ^ pad),
      0,
    );
    return state;
  };
  return { inner: stateAfter(0x36), outer: stateAfter(0x5c) };
}

export function hmacMd5Into(
  key: HmacKey,
  bytes: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  outOffset: number,
): void {
  oneShot.resume(key.inner, BLOCK_BYTES);
  oneShot.update(bytes, start, end);
  oneShot.finishInto(outerBlock, 0);
  for (let i = 0; i < 4; i++) outerState[i] = key.outer[i] as number;
  compress(outerState, outerBlock, 0);
  writeState(outerState, out, outOffset);
}

/** Compares in a time that does not depend on where the difference is. */
export function equalDigests(a: Uint8Array, aOffset: number, b: Uint8Array, bOffset: number) {
  let difference = 0;
  for (let i = 0; i < MD5_BYTES; i++) {
    // Reading past an end gives undefined; 256 then differs from every byte.
    difference |= (a[aOffset + i] ?? 256) ^ (b[bOffset + i] ?? 512);
  }
  return difference === 0;
}

const INITIAL_STATE = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476] as const;

function createHasher() {
  const state = new Int32Array(4);
  const block = new Uint8Array(BLOCK_BYTES);
  let inBlock = 0;
  let totalBytes = 0;

  return {
    begin() {
      state[0] = INITIAL_STATE[0];
      state[1] = INITIAL_STATE[1];
      state[2] = INITIAL_STATE[2];
      state[3] = INITIAL_STATE[3];
      inBlock = 0;
      totalBytes = 0;
    },

    /** Goes on from a state that already covers whole blocks. */
    resume(from: Int32Array, bytesSoFar: number) {
      state[0] = from[0] as number;
      state[1] = from[1] as number;
      state[2] = from[2] as number;
      state[3] = from[3] as number;
      inBlock = 0;
      totalBytes = bytesSoFar;
    },

    update(bytes: Uint8Array, start = 0, end = bytes.length) {
      totalBytes += end - start;
      let from = start;
      if (inBlock > 0) {
        while (from < end && inBlock < BLOCK_BYTES) block[inBlock++] = bytes[from++] as number;
        if (inBlock < BLOCK_BYTES) return;
        compress(state, block, 0);
        inBlock = 0;
      }
      for (; from + BLOCK_BYTES <= end; from += BLOCK_BYTES) compress(state, bytes, from);
      while (from < end) block[inBlock++] = bytes[from++] as number;
    },

    finishInto(out: Uint8Array, outOffset: number) {
      block[inBlock++] = 0x80;
      if (inBlock > BLOCK_BYTES - 8) {
        while (inBlock < BLOCK_BYTES) block[inBlock++] = 0;
        compress(state, block, 0);
        inBlock = 0;
      }
      while (inBlock < BLOCK_BYTES - 8) block[inBlock++] = 0;
      // The length in bits, little endian; 32 bits of bytes are more than a message here can have.
      const lowBits = totalBytes << 3;
      block[56] = lowBits;
      block[57] = lowBits >>> 8;
      block[58] = lowBits >>> 16;
      block[59] = lowBits >>> 24;
      block[60] = totalBytes >>> 29;
      block[61] = 0;
      block[62] = 0;
      block[63] = 0;
      compress(state, block, 0);
      writeState(state, out, outOffset);
    },
  };
}

const oneShot = createHasher();

/** The last block of every HMAC: the inner digest, and padding for 64 + 16 bytes that never changes. */
const outerBlock = new Uint8Array(BLOCK_BYTES);
outerBlock[MD5_BYTES] = 0x80;
new DataView(outerBlock.buffer).setUint32(56, (BLOCK_BYTES + MD5_BYTES) * 8, true);
const outerState = new Int32Array(4);

function writeState(state: Int32Array, out: Uint8Array, outOffset: number): void {
  for (let i = 0; i < 4; i++) {
    const word = state[i] as number;
    const at = outOffset + i * 4;
    out[at] = word;
    out[at + 1] = word >>> 8;
    out[at + 2] = word >>> 16;
    out[at + 3] = word >>> 24;
  }
}

const words = new Int32Array(16);

/**
 * One block of 64 bytes, the 64 steps of RFC 1321 §3.4 written out. Sums of int32 stay far below
 * 2^53, so cutting each with `| 0` keeps V8 on machine integers throughout.
 */
function compress(state: Int32Array, bytes: Uint8Array, offset: number): void {
  for (let i = 0, at = offset; i < 16; i++, at += 4) {
    words[i] =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
  }
  const x0 = words[0] as number;
  const x1 = words[1] as number;
  const x2 = words[2] as number;
  const x3 = words[3] as number;
  const x4 = words[4] as number;
  const x5 = words[5] as number;
  const x6 = words[6] as number;
  const x7 = words[7] as number;
  const x8 = words[8] as number;
  const x9 = words[9] as number;
  const x10 = words[10] as number;
  const x11 = words[11] as number;
  const x12 = words[12] as number;
  const x13 = words[13] as number;
  const x14 = words[14] as number;
  const x15 = words[15] as number;
  let a = state[0] as number;
  let b = state[1] as number;
  let c = state[2] as number;
  let d = state[3] as number;

  // Round 1
  a = (a + x0 - 680876936 + (d ^ (b & (c ^ d)))) | 0;
  a = (((a << 7) | (a >>> 25)) + b) | 0;
  d = (d + x1 - 389564586 + (c ^ (a & (b ^ c)))) | 0;
  d = (((d << 12) | (d >>> 20)) + a) | 0;
  c = (c + x2 + 606105819 + (b ^ (d & (a ^ b)))) | 0;
  c = (((c << 17) | (c >>> 15)) + d) | 0;
  b = (b + x3 - 1044525330 + (a ^ (c & (d ^ a)))) | 0;
  b = (((b << 22) | (b >>> 10)) + c) | 0;
  a = (a + x4 - 176418897 + (d ^ (b & (c ^ d)))) | 0;
  a = (((a << 7) | (a >>> 25)) + b) | 0;
  d = (d + x5 + 1200080426 + (c ^ (a & (b ^ c)))) | 0;
  d = (((d << 12) | (d >>> 20)) + a) | 0;
  c = (c + x6 - 1473231341 + (b ^ (d & (a ^ b)))) | 0;
  c = (((c << 17) | (c >>> 15)) + d) | 0;
  b = (b + x7 - 45705983 + (a ^ (c & (d ^ a)))) | 0;
  b = (((b << 22) | (b >>> 10)) + c) | 0;
  a = (a + x8 + 1770035416 + (d ^ (b & (c ^ d)))) | 0;
  a = (((a << 7) | (a >>> 25)) + b) | 0;
  d = (d + x9 - 1958414417 + (c ^ (a & (b ^ c)))) | 0;
  d = (((d << 12) | (d >>> 20)) + a) | 0;
  c = (c + x10 - 42063 + (b ^ (d & (a ^ b)))) | 0;
  c = (((c << 17) | (c >>> 15)) + d) | 0;
  b = (b + x11 - 1990404162 + (a ^ (c & (d ^ a)))) | 0;
  b = (((b << 22) | (b >>> 10)) + c) | 0;
  a = (a + x12 + 1804603682 + (d ^ (b & (c ^ d)))) | 0;
  a = (((a << 7) | (a >>> 25)) + b) | 0;
  d = (d + x13 - 40341101 + (c ^ (a & (b ^ c)))) | 0;
  d = (((d << 12) | (d >>> 20)) + a) | 0;
  c = (c + x14 - 1502002290 + (b ^ (d & (a ^ b)))) | 0;
  c = (((c << 17) | (c >>> 15)) + d) | 0;
  b = (b + x15 + 1236535329 + (a ^ (c & (d ^ a)))) | 0;
  b = (((b << 22) | (b >>> 10)) + c) | 0;

  // Round 2
  a = (a + x1 - 165796510 + (~d & c) + (d & b)) | 0;
  a = (((a << 5) | (a >>> 27)) + b) | 0;
  d = (d + x6 - 1069501632 + (~c & b) + (c & a)) | 0;
  d = (((d << 9) | (d >>> 23)) + a) | 0;
  c = (c + x11 + 643717713 + (~b & a) + (b & d)) | 0;
  c = (((c << 14) | (c >>> 18)) + d) | 0;
  b = (b + x0 - 373897302 + (~a & d) + (a & c)) | 0;
  b = (((b << 20) | (b >>> 12)) + c) | 0;
  a = (a + x5 - 701558691 + (~d & c) + (d & b)) | 0;
  a = (((a << 5) | (a >>> 27)) + b) | 0;
  d = (d + x10 + 38016083 + (~c & b) + (c & a)) | 0;
  d = (((d << 9) | (d >>> 23)) + a) | 0;
  c = (c + x15 - 660478335 + (~b & a) + (b & d)) | 0;
  c = (((c << 14) | (c >>> 18)) + d) | 0;
  b = (b + x4 - 405537848 + (~a & d) + (a & c)) | 0;
  b = (((b << 20) | (b >>> 12)) + c) | 0;
  a = (a + x9 + 568446438 + (~d & c) + (d & b)) | 0;
  a = (((a << 5) | (a >>> 27)) + b) | 0;
  d = (d + x14 - 1019803690 + (~c & b) + (c & a)) | 0;
  d = (((d << 9) | (d >>> 23)) + a) | 0;
  c = (c + x3 - 187363961 + (~b & a) + (b & d)) | 0;
  c = (((c << 14) | (c >>> 18)) + d) | 0;
  b = (b + x8 + 1163531501 + (~a & d) + (a & c)) | 0;
  b = (((b << 20) | (b >>> 12)) + c) | 0;
  a = (a + x13 - 1444681467 + (~d & c) + (d & b)) | 0;
  a = (((a << 5) | (a >>> 27)) + b) | 0;
  d = (d + x2 - 51403784 + (~c & b) + (c & a)) | 0;
  d = (((d << 9) | (d >>> 23)) + a) | 0;
  c = (c + x7 + 1735328473 + (~b & a) + (b & d)) | 0;
  c = (((c << 14) | (c >>> 18)) + d) | 0;
  b = (b + x12 - 1926607734 + (~a & d) + (a & c)) | 0;
  b = (((b << 20) | (b >>> 12)) + c) | 0;

  // Round 3
  a = (a + x5 - 378558 + (c ^ d ^ b)) | 0;
  a = (((a << 4) | (a >>> 28)) + b) | 0;
  d = (d + x8 - 2022574463 + (b ^ c ^ a)) | 0;
  d = (((d << 11) | (d >>> 21)) + a) | 0;
  c = (c + x11 + 1839030562 + (a ^ b ^ d)) | 0;
  c = (((c << 16) | (c >>> 16)) + d) | 0;
  b = (b + x14 - 35309556 + (d ^ a ^ c)) | 0;
  b = (((b << 23) | (b >>> 9)) + c) | 0;
  a = (a + x1 - 1530992060 + (c ^ d ^ b)) | 0;
  a = (((a << 4) | (a >>> 28)) + b) | 0;
  d = (d + x4 + 1272893353 + (b ^ c ^ a)) | 0;
  d = (((d << 11) | (d >>> 21)) + a) | 0;
  c = (c + x7 - 155497632 + (a ^ b ^ d)) | 0;
  c = (((c << 16) | (c >>> 16)) + d) | 0;
  b = (b + x10 - 1094730640 + (d ^ a ^ c)) | 0;
  b = (((b << 23) | (b >>> 9)) + c) | 0;
  a = (a + x13 + 681279174 + (c ^ d ^ b)) | 0;
  a = (((a << 4) | (a >>> 28)) + b) | 0;
  d = (d + x0 - 358537222 + (b ^ c ^ a)) | 0;
  d = (((d << 11) | (d >>> 21)) + a) | 0;
  c = (c + x3 - 722521979 + (a ^ b ^ d)) | 0;
  c = (((c << 16) | (c >>> 16)) + d) | 0;
  b = (b + x6 + 76029189 + (d ^ a ^ c)) | 0;
  b = (((b << 23) | (b >>> 9)) + c) | 0;
  a = (a + x9 - 640364487 + (c ^ d ^ b)) | 0;
  a = (((a << 4) | (a >>> 28)) + b) | 0;
  d = (d + x12 - 421815835 + (b ^ c ^ a)) | 0;
  d = (((d << 11) | (d >>> 21)) + a) | 0;
  c = (c + x15 + 530742520 + (a ^ b ^ d)) | 0;
  c = (((c << 16) | (c >>> 16)) + d) | 0;
  b = (b + x2 - 995338651 + (d ^ a ^ c)) | 0;
  b = (((b << 23) | (b >>> 9)) + c) | 0;

  // Round 4
  a = (a + x0 - 198630844 + (c ^ (b | ~d))) | 0;
  a = (((a << 6) | (a >>> 26)) + b) | 0;
  d = (d + x7 + 1126891415 + (b ^ (a | ~c))) | 0;
  d = (((d << 10) | (d >>> 22)) + a) | 0;
  c = (c + x14 - 1416354905 + (a ^ (d | ~b))) | 0;
  c = (((c << 15) | (c >>> 17)) + d) | 0;
  b = (b + x5 - 57434055 + (d ^ (c | ~a))) | 0;
  b = (((b << 21) | (b >>> 11)) + c) | 0;
  a = (a + x12 + 1700485571 + (c ^ (b | ~d))) | 0;
  a = (((a << 6) | (a >>> 26)) + b) | 0;
  d = (d + x3 - 1894986606 + (b ^ (a | ~c))) | 0;
  d = (((d << 10) | (d >>> 22)) + a) | 0;
  c = (c + x10 - 1051523 + (a ^ (d | ~b))) | 0;
  c = (((c << 15) | (c >>> 17)) + d) | 0;
  b = (b + x1 - 2054922799 + (d ^ (c | ~a))) | 0;
  b = (((b << 21) | (b >>> 11)) + c) | 0;
  a = (a + x8 + 1873313359 + (c ^ (b | ~d))) | 0;
  a = (((a << 6) | (a >>> 26)) + b) | 0;
  d = (d + x15 - 30611744 + (b ^ (a | ~c))) | 0;
  d = (((d << 10) | (d >>> 22)) + a) | 0;
  c = (c + x6 - 1560198380 + (a ^ (d | ~b))) | 0;
  c = (((c << 15) | (c >>> 17)) + d) | 0;
  b = (b + x13 + 1309151649 + (d ^ (c | ~a))) | 0;
  b = (((b << 21) | (b >>> 11)) + c) | 0;
  a = (a + x4 - 145523070 + (c ^ (b | ~d))) | 0;
  a = (((a << 6) | (a >>> 26)) + b) | 0;
  d = (d + x11 - 1120210379 + (b ^ (a | ~c))) | 0;
  d = (((d << 10) | (d >>> 22)) + a) | 0;
  c = (c + x2 + 718787259 + (a ^ (d | ~b))) | 0;
  c = (((c << 15) | (c >>> 17)) + d) | 0;
  b = (b + x9 - 343485551 + (d ^ (c | ~a))) | 0;
  b = (((b << 21) | (b >>> 11)) + c) | 0;
  state[0] = (state[0] as number) + a;
  state[1] = (state[1] as number) + b;
  state[2] = (state[2] as number) + c;
  state[3] = (state[3] as number) + d;
}
