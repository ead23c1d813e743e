/** The choice of a digest implementation on Node. */
import type { DigestName } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';
import { createPortableDigest } from './digest.ts';
import { createNativeDigest } from './digest-openssl.node.ts';

/** The fastest implementation of a digest that works here. */
export function createDigest(name: DigestName): Digest {
  return createNativeDigest(name) ?? createPortableDigest(name);
}
