/**
 * The search of FastCDC in AssemblyScript (spec/formats/chunker-fastcdc.md, "Cut rule"), compiled
 * into scan-wasm.ts together with buzhash.as.ts. Its host is ../fastcdc.ts, which holds the reference
 * as well; the memory is prepared by kernel.ts.
 */

/** Address of the low halves of the gear values. */
const GEAR: usize = 3072;

/** The hash a byte further. */
@inline
function roll(hash: u32, byte: usize): u32 {
  return (hash << 1) + load<u32>((byte << 2) + GEAR);
}

/**
 * How many bytes lie before the first of `from .. to`, both addresses, whose hash is at most `limit`;
 * -1 if there is none. Eight bytes a turn, because V8 looks in each turn whether it is to stop.
 * @param start hash of the bytes before
 */
export function findUpTo(from: usize, to: usize, limit: u32, start: u32): isize {
  const lastTurn = to - 8;
  let hash = start;
  let at = from;
  for (; <isize>at <= <isize>lastTurn; at += 8) {
    hash = roll(hash, load<u8>(at));
    if (hash <= limit) return at - from;
    hash = roll(hash, load<u8>(at, 1));
    if (hash <= limit) return at + 1 - from;
    hash = roll(hash, load<u8>(at, 2));
    if (hash <= limit) return at + 2 - from;
    hash = roll(hash, load<u8>(at, 3));
    if (hash <= limit) return at + 3 - from;
    hash = roll(hash, load<u8>(at, 4));
    if (hash <= limit) return at + 4 - from;
    hash = roll(hash, load<u8>(at, 5));
    if (hash <= limit) return at + 5 - from;
    hash = roll(hash, load<u8>(at, 6));
    if (hash <= limit) return at + 6 - from;
    hash = roll(hash, load<u8>(at, 7));
    if (hash <= limit) return at + 7 - from;
  }
  for (; at < to; at++) {
    hash = roll(hash, load<u8>(at));
    if (hash <= limit) return at - from;
  }
  return -1;
}
