/**
 * MD4 (RFC 1320), for signatures of rdiff alone: OpenSSL has it no longer where it is not asked to. It
 * has been broken for long, and protects from accidents only.
 */
import type { WriteDigest } from './blake2b.ts';

const MD4_LENGTH = 16;
const BLOCK = 64;
/** Of the second and third round. */
const ROOT_2 = 0x5a827999;
const ROOT_3 = 0x6ed9eba1;
/** The words of a block as the third round takes them. */
const ORDER_3 = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15] as const;

export function createMd4(): WriteDigest {
  const state = new Int32Array(4);
  const words = new Int32Array(16);
  const last = new Uint8Array(2 * BLOCK);
  return (bytes, into, offset) => {
    state.set([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]);
    const whole = bytes.length - (bytes.length % BLOCK);
    for (let at = 0; at < whole; at += BLOCK) mixBlock(state, words, bytes, at);
    const rest = bytes.length - whole;
    const length = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    last.fill(0);
    last.set(bytes.subarray(whole));
    last[rest] = 0x80;
    writeBits(last, length - 8, bytes.length);
    for (let at = 0; at < length; at += BLOCK) mixBlock(state, words, last, at);
    for (let i = 0; i < MD4_LENGTH; i++) into[offset + i] = state[i >> 2] >>> (8 * (i & 3));
  };
}

/** The number of bits in little-endian order. */
function writeBits(into: Uint8Array, offset: number, byteCount: number): void {
  let bits = byteCount * 8;
  for (let i = 0; i < 8; i++) {
    into[offset + i] = bits % 256;
    bits = Math.floor(bits / 256);
  }
}

function rotate(word: number, count: number): number {
  return (word << count) | (word >>> (32 - count));
}

function mixBlock(state: Int32Array, x: Int32Array, bytes: Uint8Array, start: number): void {
  for (let i = 0, at = start; i < 16; i++, at += 4) {
    x[i] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }
  let [a, b, c, d] = [state[0], state[1], state[2], state[3]];
  for (let i = 0; i < 16; i += 4) {
    a = rotate((a + (d ^ (b & (c ^ d))) + x[i]) | 0, 3);
    d = rotate((d + (c ^ (a & (b ^ c))) + x[i + 1]) | 0, 7);
    c = rotate((c + (b ^ (d & (a ^ b))) + x[i + 2]) | 0, 11);
    b = rotate((b + (a ^ (c & (d ^ a))) + x[i + 3]) | 0, 19);
  }
  for (let i = 0; i < 4; i++) {
    a = rotate((a + ((b & c) | (d & (b | c))) + x[i] + ROOT_2) | 0, 3);
    d = rotate((d + ((a & b) | (c & (a | b))) + x[i + 4] + ROOT_2) | 0, 5);
    c = rotate((c + ((d & a) | (b & (d | a))) + x[i + 8] + ROOT_2) | 0, 9);
    b = rotate((b + ((c & d) | (a & (c | d))) + x[i + 12] + ROOT_2) | 0, 13);
  }
  for (let i = 0; i < 16; i += 4) {
    a = rotate((a + (b ^ c ^ d) + x[ORDER_3[i]] + ROOT_3) | 0, 3);
    d = rotate((d + (a ^ b ^ c) + x[ORDER_3[i + 1]] + ROOT_3) | 0, 9);
    c = rotate((c + (d ^ a ^ b) + x[ORDER_3[i + 2]] + ROOT_3) | 0, 11);
    b = rotate((b + (c ^ d ^ a) + x[ORDER_3[i + 3]] + ROOT_3) | 0, 15);
  }
  state[0] = (state[0] + a) | 0;
  state[1] = (state[1] + b) | 0;
  state[2] = (state[2] + c) | 0;
  state[3] = (state[3] + d) | 0;
}
