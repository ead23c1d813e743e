/** From options to opened stores: the one place where store, codecs, digests and native help meet. */
import { realpathSync } from 'node:fs';
import type { ChunkIndex } from '../formats/chunk-index.ts';
import type { DigestName } from '../formats/chunk-id.ts';
import { createCodecs } from '../lib/compress/codecs.node.ts';
import { createDigest } from '../lib/digest/digest.node.ts';
import { fileSystemSync } from '../lib/os/file-system.node.ts';
import { openLocalBackend } from '../store/backends/local.node.ts';
import { openCastrStore } from '../store/castr-store.ts';
import type { ChunkSource, ManagedChunkStore } from '../store/chunk-store.ts';
import { defaultStoreOf } from '../store/location.ts';
import { openFallbackSource } from '../store/wrap/fallback.ts';
import type { Digest } from '../store/transforms.ts';
import type { Context } from './context.ts';
import { localPath } from './kinds.ts';

export function digestFor(name: DigestName): Digest {
  return createDigest(name);
}
