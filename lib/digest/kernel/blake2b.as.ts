/**
 * BLAKE2b in AssemblyScript (RFC 7693), compiled into blake2b-wasm.ts by `npm run build:kernel`. Its
 * host is ../blake2b.ts. The sixteen words of the working vector are four rows of two pairs, so that
 * two columns, and two diagonals, are mixed at a time.
 */

/** Address of the eight words of the state. */
const STATE: usize = 64;
const BLOCK: usize = 128;
const ROUNDS: usize = 12;

/** Bytes from the begin of a block to the words that each round takes. */
// biome-ignore format: one round a line
const ORDER = memory.data<u8>([
  0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120,
  112, 80, 32, 64, 72, 120, 104, 48, 8, 96, 0, 16, 88, 56, 40, 24,
  88, 64, 96, 0, 40, 16, 120, 104, 80, 112, 24, 48, 56, 8, 72, 32,
  56, 72, 24, 8, 104, 96, 88, 112, 16, 48, 40, 80, 32, 0, 120, 64,
  72, 0, 40, 56, 16, 32, 80, 120, 112, 8, 88, 96, 48, 64, 24, 104,
  16, 96, 48, 80, 0, 88, 64, 24, 32, 104, 56, 40, 120, 112, 8, 72,
  96, 40, 8, 120, 112, 104, 32, 80, 0, 56, 48, 24, 72, 16, 64, 88,
  104, 88, 56, 112, 96, 8, 24, 72, 40, 0, 120, 32, 64, 48, 16, 80,
  48, 120, 112, 72, 88, 24, 0, 64, 96, 16, 104, 56, 8, 32, 80, 40,
  80, 16, 64, 32, 56, 48, 8, 40, 120, 88, 72, 112, 24, 96, 104, 0,
  0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120,
  112, 80, 32, 64, 72, 120, 104, 48, 8, 96, 0, 16, 88, 56, 40, 24,
]);

const START = i64x2(0x6a09e667f3bcc908, 0xbb67ae8584caa73b);
const START_2 = i64x2(0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1);
const START_3 = i64x2(0x510e527fade682d1, 0x9b05688c2b3e6c1f);
const START_4 = i64x2(0x1f83d9abfb41bd6b, 0x5be0cd19137e2179);

/** Two words of a block. */
@inline
function words(block: usize, order: usize): v128 {
  const first = load<u64>(block + load<u8>(order));
  return i64x2.replace_lane(i64x2.splat(first), 1, load<u64>(block + load<u8>(order, 2)));
}

@inline
function rotate32(pair: v128): v128 {
  return i8x16.shuffle(pair, pair, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
}

@inline
function rotate24(pair: v128): v128 {
  return i8x16.shuffle(pair, pair, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
}

@inline
function rotate16(pair: v128): v128 {
  return i8x16.shuffle(pair, pair, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
}

@inline
function rotate63(pair: v128): v128 {
  return v128.or(i64x2.shr_u(pair, 63), i64x2.add(pair, pair));
}

/** The second word of one pair and the first of another. */
@inline
function across(low: v128, high: v128): v128 {
  return i8x16.shuffle(low, high, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23);
}

/** @param count bytes of the message up to the end of the block @param last all ones for the last one */
function compress(block: usize, count: u64, last: u64): void {
  let a0 = v128.load(STATE);
  let a1 = v128.load(STATE, 16);
  let b0 = v128.load(STATE, 32);
  let b1 = v128.load(STATE, 48);
  let c0 = START;
  let c1 = START_2;
  let d0 = v128.xor(START_3, i64x2.replace_lane(i64x2.splat(0), 0, count));
  let d1 = v128.xor(START_4, i64x2.replace_lane(i64x2.splat(0), 0, last));
  for (let round: usize = 0; round < ROUNDS; round++) {
    const order = ORDER + (round << 4);
    a0 = i64x2.add(i64x2.add(a0, b0), words(block, order));
    a1 = i64x2.add(i64x2.add(a1, b1), words(block, order + 4));
    d0 = rotate32(v128.xor(d0, a0));
    d1 = rotate32(v128.xor(d1, a1));
    c0 = i64x2.add(c0, d0);
    c1 = i64x2.add(c1, d1);
    b0 = rotate24(v128.xor(b0, c0));
    b1 = rotate24(v128.xor(b1, c1));
    a0 = i64x2.add(i64x2.add(a0, b0), words(block, order + 1));
    a1 = i64x2.add(i64x2.add(a1, b1), words(block, order + 5));
    d0 = rotate16(v128.xor(d0, a0));
    d1 = rotate16(v128.xor(d1, a1));
    c0 = i64x2.add(c0, d0);
    c1 = i64x2.add(c1, d1);
    b0 = rotate63(v128.xor(b0, c0));
    b1 = rotate63(v128.xor(b1, c1));

    // The diagonals become columns.
    let low = across(b0, b1);
    b1 = across(b1, b0);
    b0 = low;
    low = c0;
    c0 = c1;
    c1 = low;
    low = across(d1, d0);
    d1 = across(d0, d1);
    d0 = low;
    a0 = i64x2.add(i64x2.add(a0, b0), words(block, order + 8));
    a1 = i64x2.add(i64x2.add(a1, b1), words(block, order + 12));
    d0 = rotate32(v128.xor(d0, a0));
    d1 = rotate32(v128.xor(d1, a1));
    c0 = i64x2.add(c0, d0);
    c1 = i64x2.add(c1, d1);
    b0 = rotate24(v128.xor(b0, c0));
    b1 = rotate24(v128.xor(b1, c1));
    a0 = i64x2.add(i64x2.add(a0, b0), words(block, order + 9));
    a1 = i64x2.add(i64x2.add(a1, b1), words(block, order + 13));
    d0 = rotate16(v128.xor(d0, a0));
    d1 = rotate16(v128.xor(d1, a1));
    c0 = i64x2.add(c0, d0);
    c1 = i64x2.add(c1, d1);
    b0 = rotate63(v128.xor(b0, c0));
    b1 = rotate63(v128.xor(b1, c1));
    low = across(b1, b0);
    b1 = across(b0, b1);
    b0 = low;
    low = c0;
    c0 = c1;
    c1 = low;
    low = across(d0, d1);
    d1 = across(d1, d0);
    d0 = low;
  }
  v128.store(STATE, v128.xor(v128.load(STATE), v128.xor(a0, c0)));
  v128.store(STATE, v128.xor(v128.load(STATE, 16), v128.xor(a1, c1)), 16);
  v128.store(STATE, v128.xor(v128.load(STATE, 32), v128.xor(b0, d0)), 32);
  v128.store(STATE, v128.xor(v128.load(STATE, 48), v128.xor(b1, d1)), 48);
}

/** Begins a digest of so many bytes. */
export function start(length: u64): void {
  const parameters = i64x2.replace_lane(i64x2.splat(0), 0, 0x01010000 ^ length);
  v128.store(STATE, v128.xor(START, parameters));
  v128.store(STATE, START_2, 16);
  v128.store(STATE, START_3, 32);
  v128.store(STATE, START_4, 48);
}

/** Takes whole blocks, after which more follows. @param done bytes that were taken before */
export function take(from: usize, blocks: usize, done: u64): void {
  for (let i: usize = 0; i < blocks; i++) {
    done += BLOCK;
    compress(from + i * BLOCK, done, 0);
  }
}

/** Takes the last block, filled up with zeros. @param count bytes of the whole message */
export function finish(from: usize, count: u64): void {
  compress(from, count, -1);
}
