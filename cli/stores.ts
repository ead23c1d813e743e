/** From options to opened stores: the one place where store, codecs, digests and native help meet. */
import type { DigestName } from '../formats/chunk-id.ts';
import type { ChunkIndex } from '../formats/chunk-index.ts';
import { createCodecs } from '../lib/compress/codecs.node.ts';
import { createDigest } from '../lib/digest/digest.node.ts';
import { syncFileSystem } from '../lib/os/file-system.node.ts';
import { openLocalBackend } from '../store/backends/local.node.ts';
import { openCastrStore } from '../store/castr-store.ts';
import type { ChunkSource, ChunkStore } from '../store/chunk-store.ts';
import { defaultStore } from '../store/location.ts';
import type { Digest } from '../store/transforms.ts';
import { openFallbackSource } from '../store/wrap/fallback.ts';
import type { Context } from './context.ts';
import { localPath, STANDARD_STREAM } from './kinds.ts';

const DEFAULT_STORE = 'default.castr';
const DEFAULT_SUFFIX = '.cacnk';

/** The main store: what the options say, else the environment, else the one beside the index. */
export function mainStore(index: string, context: Context): string {
  const { options, environment } = context;
  const named = options.store ?? (environment.CASYNC_STORE || undefined);
  if (named !== undefined) return named;
  return index === STANDARD_STREAM ? DEFAULT_STORE : defaultStore(index);
}

function openStore(word: string, digests: readonly Digest[], context: Context): ChunkStore {
  const { options, environment } = context;
  const backend = openLocalBackend(localPath(word), { syncFileSystem });
  return openCastrStore(backend, {
    digests,
    codecs: createCodecs(),
    compression: options.compression,
    suffix: environment.CASYNC_COMPRESSED_CHUNK_SUFFIX || DEFAULT_SUFFIX,
  });
}

/** @param index word that names the index to be made */
export function openStoreForWriting(
  index: string,
  digest: DigestName,
  context: Context,
): ChunkStore {
  return openStore(mainStore(index, context), [createDigest(digest)], context);
}

/** All stores that the chunks of `index` may come from, in order. @param word names the index */
export function openStoreForReading(
  word: string,
  index: ChunkIndex,
  context: Context,
): ChunkSource {
  const digests = [createDigest(index.digest)];
  const names = [mainStore(word, context), ...context.options.extraStores];
  return openFallbackSource(names.map((name) => openStore(name, digests, context)));
}
