/**
 * The buzhash scanner in AssemblyScript (spec/formats/chunker.md, "Cut rule"), compiled into
 * buzhash-wasm.ts by `npm run build:kernel`. Its host is kernel.ts, its reference ../buzhash.ts.
 *
 * The memory belongs to the host: the values of entering bytes lie at 0, those of leaving bytes at
 * 1024. All hashes are kept complemented (`~hash`), which a roll keeps, because the tables go in by
 * exclusive-or: `hash + 1` is then `-complement`, and the sign is put into the multiplier.
 */

const WINDOW: usize = 48;
const LEAVING: usize = 1024;

/** The hash a byte further. */
@inline
function roll(complement: u32, leaving: u32, entering: u32): u32 {
  const change = load<u32>(leaving << 2, LEAVING) ^ load<u32>(entering << 2);
  return rotl<u32>(complement, 1) ^ change;
}

@inline
function cuts(complement: u32, divisor: u32): bool {
  return ~complement % divisor == divisor - 1;
}

function complementOfWindow(at: usize): u32 {
  let complement: u32 = ~0;
  for (let i: usize = 0; i < WINDOW; i++) {
    complement = rotl<u32>(complement, 1) ^ load<u32>((<usize>load<u8>(at + i)) << 2);
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
 * Length of the first chunk. Eight bytes a turn, because V8 asks in each turn of a loop whether it is
 * to stop; the exact question stands outside of the loop, so that the bytes are straight-line code.
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
  while (true) {
    while (true) {
      if (<isize>at > <isize>lastTurn) {
        while (at < end) {
          complement = roll(complement, load<u8>(at), load<u8>(at, 48));
          at += 1;
          if (cuts(complement, divisor)) break;
        }
        return at + WINDOW - chunk;
      }
      complement = roll(complement, load<u8>(at), load<u8>(at, 48));
      if (complement * factor <= limit) { at += 1; break; }
      complement = roll(complement, load<u8>(at, 1), load<u8>(at, 49));
      if (complement * factor <= limit) { at += 2; break; }
      complement = roll(complement, load<u8>(at, 2), load<u8>(at, 50));
      if (complement * factor <= limit) { at += 3; break; }
      complement = roll(complement, load<u8>(at, 3), load<u8>(at, 51));
      if (complement * factor <= limit) { at += 4; break; }
      complement = roll(complement, load<u8>(at, 4), load<u8>(at, 52));
      if (complement * factor <= limit) { at += 5; break; }
      complement = roll(complement, load<u8>(at, 5), load<u8>(at, 53));
      if (complement * factor <= limit) { at += 6; break; }
      complement = roll(complement, load<u8>(at, 6), load<u8>(at, 54));
      if (complement * factor <= limit) { at += 7; break; }
      complement = roll(complement, load<u8>(at, 7), load<u8>(at, 55));
      at += 8;
      if (complement * factor <= limit) break;
    }
    if (cuts(complement, divisor)) return at + WINDOW - chunk;
  }
  return 0;
}
