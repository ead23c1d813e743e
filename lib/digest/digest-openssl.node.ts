/** Digests of Node's OpenSSL, the fastest there are. */
import * as crypto from 'node:crypto';
import type { ChunkId, DigestName } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';

/** Node's implementation, or undefined where its OpenSSL does not offer the digest. */
export function createNativeDigest(name: DigestName): Digest | undefined {
  try {
    crypto.createHash(name);
  } catch {
    return undefined;
  }
  return {
    name,
    hash: typeof crypto.hash === 'function' ? hashAtOnce(name) : hashInSteps(name),
    stream() {
      const running = crypto.createHash(name);
      return {
        update(bytes) {
          running.update(bytes);
        },
        finish: () => running.digest('hex') as ChunkId,
      };
    },
  };
}

/** Without an object for each call, which small chunks notice. */
function hashAtOnce(name: DigestName): Digest['hash'] {
  return (bytes) => crypto.hash(name, bytes, 'hex') as ChunkId;
}

function hashInSteps(name: DigestName): Digest['hash'] {
  return (bytes) => crypto.createHash(name).update(bytes).digest('hex') as ChunkId;
}
