/**
 * The buzhash scanner in AssemblyScript (spec/formats/chunker.md, "Cut rule"), compiled into
 * scan-wasm.ts by `npm run build:kernel`. Its host is kernel.ts, its reference ../buzhash.ts.
 *
 * The memory belongs to the host, which writes the tables. All hashes are kept complemented
 * (`~hash`), which a roll keeps, because the tables go in by exclusive-or: `hash + 1` is then
 * `-complement`, and the sign is put into the multiplier.
 */

const WINDOW: usize = 48;
/** Address of the 256 values of bytes that come in, and of those that leave. */
const ENTERING: usize = 1024;
const LEAVING: usize = 2048;

/**
 * The value of a byte. The address of the table is added, not given as the offset of the load: V8
 * does shift and addition in one step then, and one that can run beside the others.
 */
@inline
function valueOf(byte: usize, table: usize): u32 {
  return load<u32>((byte << 2) + table);
}

/** The hash a byte further. */
@inline
function roll(complement: u32, leaving: usize, entering: usize): u32 {
  return rotl<u32>(complement, 1) ^ (valueOf(leaving, LEAVING) ^ valueOf(entering, ENTERING));
}

@inline
function cuts(complement: u32, divisor: u32): bool {
  return ~complement % divisor == divisor - 1;
}

function complementOfWindow(at: usize): u32 {
  let complement: u32 = ~0;
  for (let i: usize = 0; i < WINDOW; i++) {
    complement = rotl<u32>(complement, 1) ^ valueOf(load<u8>(at + i), ENTERING);
  }
  return complement;
}

/** Address of the first byte that is not zero. */
function skipZeros(from: usize, end: usize): usize {
  let at = from;
  while (at + 64 <= end) {
    const low = v128.or(v128.load(at), v128.load(at, 16));
    const high = v128.or(v128.load(at, 32), v128.load(at, 48));
    if (v128.any_true(v128.or(low, high))) break;
    at += 64;
  }
  while (at < end && load<u8>(at) == 0) at++;
  return at;
}

/**
 * Length of the first chunk. The loop takes eight bytes a turn, because V8 looks in each turn whether
 * it is to stop, and leaves it with each hash that passes the quick question: where the exact one were
 * asked inside, the bytes would not be straight-line code.
 * @param chunk address of its first byte
 * @param length bytes that are there
 * @param first length at which the hash is asked first, at least 48 and less than `max`
 * @param multiplier and `limit`: of the CutTest in ../cut-test.ts
 */
export function firstChunk(
  chunk: usize,
  length: usize,
  first: usize,
  max: usize,
  divisor: u32,
  multiplier: u32,
  limit: u32,
): usize {
  if (length < first) return length;
  const end = chunk + min(length, max) - WINDOW;
  const lastTurn = end - 8;
  const factor: u32 = 0 - multiplier;
  // Address of the byte that leaves next: where the window begins.
  let at = chunk + first - WINDOW;
  let complement = complementOfWindow(at);
  if (cuts(complement, divisor)) return first;
  // No window of zeros cuts where one does not.
  const zeros = skipZeros(chunk, end + WINDOW);
  if (zeros > chunk + first) at = zeros - WINDOW;
  do {
    while (true) {
      if (<isize>at > <isize>lastTurn) {
        while (at < end) {
          complement = roll(complement, load<u8>(at), load<u8>(at, WINDOW));
          at += 1;
          if (cuts(complement, divisor)) break;
        }
        return at + WINDOW - chunk;
      }
      complement = roll(complement, load<u8>(at), load<u8>(at, WINDOW));
      if (complement * factor <= limit) { at += 1; break; }
      complement = roll(complement, load<u8>(at, 1), load<u8>(at, WINDOW + 1));
      if (complement * factor <= limit) { at += 2; break; }
      complement = roll(complement, load<u8>(at, 2), load<u8>(at, WINDOW + 2));
      if (complement * factor <= limit) { at += 3; break; }
      complement = roll(complement, load<u8>(at, 3), load<u8>(at, WINDOW + 3));
      if (complement * factor <= limit) { at += 4; break; }
      complement = roll(complement, load<u8>(at, 4), load<u8>(at, WINDOW + 4));
      if (complement * factor <= limit) { at += 5; break; }
      complement = roll(complement, load<u8>(at, 5), load<u8>(at, WINDOW + 5));
      if (complement * factor <= limit) { at += 6; break; }
      complement = roll(complement, load<u8>(at, 6), load<u8>(at, WINDOW + 6));
      if (complement * factor <= limit) { at += 7; break; }
      complement = roll(complement, load<u8>(at, 7), load<u8>(at, WINDOW + 7));
      at += 8;
      if (complement * factor <= limit) break;
    }
  } while (!cuts(complement, divisor));
  return at + WINDOW - chunk;
}
