/** From options to stores: which they are, described as data. */
import type { DigestName } from '../formats/chunk-id.ts';
import type { ChunkIndex } from '../formats/chunk-index.ts';
import type { LocalStoreDescription } from '../lib/local-store.node.ts';
import { defaultStore } from '../store/location.ts';
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

function describeStore(word: string, digest: DigestName, context: Context): LocalStoreDescription {
  const { options, environment } = context;
  return {
    folder: localPath(word),
    digests: [digest],
    compression: options.compression,
    suffix: environment.CASYNC_COMPRESSED_CHUNK_SUFFIX || DEFAULT_SUFFIX,
    sync: options.sync,
  };
}

/** @param index word that names the index to be made */
export function describeStoreForWriting(
  index: string,
  digest: DigestName,
  context: Context,
): LocalStoreDescription {
  return describeStore(mainStore(index, context), digest, context);
}

/** All stores that the chunks of `index` may come from, in order. @param word names the index */
export function describeStoresForReading(
  word: string,
  index: ChunkIndex,
  context: Context,
): readonly LocalStoreDescription[] {
  const names = [mainStore(word, context), ...context.options.extraStores];
  return names.map((name) => describeStore(name, index.digest, context));
}
