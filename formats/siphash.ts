/**
 * SipHash-2-4 in 32-bit halves, for the names in goodbye tables: a directory of a million
 * names is hashed without a bigint. Implements spec/formats/catar.md, "GOODBYE".
 */
import { readU32 } from './bytes.ts';

/** A 64-bit hash as two unsigned 32-bit halves. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

const BLOCK_LENGTH = 8;

/** SipHash-2-4 under one key; allocates nothing but the results. @param key 16 bytes */
export function sipHasher(key: Uint8Array): (message: Uint8Array) => Hash64 {
  const initial = initialState(key);
  const state = new Int32Array(initial.length);
  const last = new Uint8Array(BLOCK_LENGTH);
  return (message) => {
    state.set(initial);
    const fullLength = message.length - (message.length % BLOCK_LENGTH);
    for (let offset = 0; offset < fullLength; offset += BLOCK_LENGTH) {
      absorb(state, readU32(message, offset), readU32(message, offset + 4));
    }
    last.fill(0);
    for (let i = fullLength; i < message.length; i++) last[i - fullLength] = message[i];
    last[BLOCK_LENGTH - 1] = message.length;
    absorb(state, readU32(last, 0), readU32(last, 4));
    state[4] ^= 0xff;
    for (let i = 0; i < 4; i++) round(state);
    return {
      low: (state[0] ^ state[2] ^ state[4] ^ state[6]) >>> 0,
      high: (state[1] ^ state[3] ^ state[5] ^ state[7]) >>> 0,
    };
  };
}

/** The words v0 to v3 of SipHash, each as low half, high half. */
function initialState(key: Uint8Array): Int32Array {
  const [low0, high0, low1, high1] = [0, 4, 8, 12].map((offset) => readU32(key, offset));
  return Int32Array.of(
    ...[low0 ^ 0x70736575, high0 ^ 0x736f6d65],
    ...[low1 ^ 0x6e646f6d, high1 ^ 0x646f7261],
    ...[low0 ^ 0x6e657261, high0 ^ 0x6c796765],
    ...[low1 ^ 0x79746573, high1 ^ 0x74656462],
  );
}

function absorb(state: Int32Array, low: number, high: number): void {
  state[6] ^= low;
  state[7] ^= high;
  round(state);
  round(state);
  state[0] ^= low;
  state[1] ^= high;
}

function round(state: Int32Array): void {
  add(state, 0, 2);
  rotateXor(state, 2, 13, 0);
  swapHalves(state, 0);
  add(state, 4, 6);
  rotateXor(state, 6, 16, 4);
  add(state, 0, 6);
  rotateXor(state, 6, 21, 0);
  add(state, 4, 2);
  rotateXor(state, 2, 17, 4);
  swapHalves(state, 4);
}

/** state[a] += state[b], modulo 2^64. */
function add(state: Int32Array, a: number, b: number): void {
  const low = (state[a] >>> 0) + (state[b] >>> 0);
  const carry = low > 0xffff_ffff ? 1 : 0;
  state[a] = low | 0;
  state[a + 1] = (state[a + 1] + state[b + 1] + carry) | 0;
}

/** state[a] = (state[a] rotated left by `distance`, below 32) xor state[b]. */
function rotateXor(state: Int32Array, a: number, distance: number, b: number): void {
  const low = state[a];
  const high = state[a + 1];
  state[a] = ((low << distance) | (high >>> (32 - distance))) ^ state[b];
  state[a + 1] = ((high << distance) | (low >>> (32 - distance))) ^ state[b + 1];
}

/** Rotates state[a] by 32. */
function swapHalves(state: Int32Array, a: number): void {
  const low = state[a];
  state[a] = state[a + 1];
  state[a + 1] = low;
}
