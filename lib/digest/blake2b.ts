/**
 * BLAKE2b with 32 bytes (RFC 7693), which OpenSSL has with 64 bytes only: names blocks in maps and in
 * signatures of rdiff. The work is done by kernel/blake2b.as.ts.
 */
import { BLAKE2B_WASM } from './kernel/blake2b-wasm.ts';

const BLOCK = 128;
const DIGEST_LENGTH = 32;
/** Addresses in the memory of the kernel: the state, and room for input behind its constants. */
const STATE = 64;
const INPUT = 8192;
const INPUT_LENGTH = 32_768;

/** Counts are of bytes, addresses unsigned; see blake2b.as.ts. */
interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly start: (length: bigint) => void;
  readonly take: (from: number, blocks: number, done: bigint) => void;
  readonly finish: (from: number, count: bigint) => void;
}

/** Puts the digest of `bytes` into `into` at `offset`. */
export type WriteDigest = (bytes: Uint8Array, into: Uint8Array, offset: number) => void;

/** Takes a millisecond; the result has 64 KiB of its own. */
export function createBlake2b256(): WriteDigest {
  const compiled = Uint8Array.from(atob(BLAKE2B_WASM), (letter) => letter.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(compiled));
  const { memory, start, take, finish } = exports as unknown as Kernel;
  const bytesOf = new Uint8Array(memory.buffer);
  return (bytes, into, offset) => {
    start(BigInt(DIGEST_LENGTH));
    // The last block is another matter, also if it is whole.
    const whole = bytes.length === 0 ? 0 : Math.floor((bytes.length - 1) / BLOCK) * BLOCK;
    for (let done = 0; done < whole; done += INPUT_LENGTH) {
      const length = Math.min(INPUT_LENGTH, whole - done);
      bytesOf.set(bytes.subarray(done, done + length), INPUT);
      take(INPUT, length / BLOCK, BigInt(done));
    }
    bytesOf.fill(0, INPUT, INPUT + BLOCK);
    bytesOf.set(bytes.subarray(whole), INPUT);
    finish(INPUT, BigInt(bytes.length));
    into.set(bytesOf.subarray(STATE, STATE + DIGEST_LENGTH), offset);
  };
}
