/** The choice of a zstd implementation on Node. */
import type { Codec } from '../../store/transforms.ts';
import { createNativeZstdCodec } from './zstd-native.node.ts';
import { createPortableZstdCodec } from './zstd-portable.ts';
import { createNodeZstdCodec } from './zstd-zlib.node.ts';

/** The fastest codec that works here. */
export function createZstdCodec(): Codec {
  return createNativeZstdCodec() ?? createNodeZstdCodec() ?? createPortableZstdCodec();
}
