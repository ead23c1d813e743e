/** Digests that can name the blocks of an image. */
import type { DigestName } from './chunk-id.ts';

/** BLAKE2b-256 names blocks in maps only; indexes of stores do not know it. */
export type BlockDigestName = DigestName | 'blake2b-256';

/** Bytes of each of them. */
export const DIGEST_LENGTH = 32;

/** A digest that puts its result into memory of the caller. */
export interface BlockDigest {
  readonly name: BlockDigestName;
  /** Puts 32 bytes into `into` at `offset`. */
  write(bytes: Uint8Array, into: Uint8Array, offset: number): void;
}
