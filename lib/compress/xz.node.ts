/** The choice of an xz implementation on Node. */
import type { Codec } from '../../store/transforms.ts';
import { createNativeXzCodec } from './xz-native.node.ts';
import { createPortableXzCodec } from './xz-portable.ts';

/** The best codec that works here; without liblzma it can only decode. */
export function createXzCodec(): Codec {
  return createNativeXzCodec() ?? createPortableXzCodec();
}
