/**
 * Digests that run everywhere, about ten times slower than Node's own: for browsers, for builds of
 * Node whose OpenSSL lacks one of them, and as a second opinion in tests.
 */
import { sha256, sha512_256 } from '@noble/hashes/sha2.js';
import { chunkIdFromBytes, type DigestName } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';

/** The portable implementation of a digest. */
export function createPortableDigest(name: DigestName): Digest {
  const algorithm = name === 'sha256' ? sha256 : sha512_256;
  return {
    name,
    hash: (bytes) => chunkIdFromBytes(algorithm(bytes)),
    stream() {
      const running = algorithm.create();
      return {
        update(bytes) {
          running.update(bytes);
        },
        finish: () => chunkIdFromBytes(running.digest()),
      };
    },
  };
}
