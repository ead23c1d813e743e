/** What a store on another machine holds, in numbers, by listing it. Used by `info`. */
import { parseChunkKey } from '../../formats/chunk-path.ts';
import { isCasError } from '../../formats/errors.ts';
import type { ObjectBackend, ObjectKey } from '../../store/backend.ts';
import { detectCodec } from '../../store/codec-magic.ts';
import { LEASE_FOLDER } from '../../store/lease-objects.ts';
import { placeLabel } from '../../store/location.ts';
import type { CodecName } from '../../store/transforms.ts';
import type { WorkOptions } from '../api/work-options.ts';
import { PipelineError, throwIfAborted } from '../errors.ts';
import { openRemoteBackend } from '../stores/remote-store.node.ts';
import type { RemoteStoreDescription } from '../stores/store-description.ts';
import type { StoreSurvey } from './store-survey.node.ts';

/** Bytes that tell a compression. */
const MAGIC = { offset: 0, length: 6 };
/** So many chunks are looked at: each takes a request. */
const SAMPLE_COUNT = 100;

/** @throws PipelineError `UNSUPPORTED` if the store cannot be listed, `ABORTED`; StorageError */
export async function surveyStoreElsewhere(
  description: RemoteStoreDescription,
  { signal }: WorkOptions = {},
): Promise<StoreSurvey> {
  const backend = await openRemoteBackend(description);
  try {
    if (backend?.can.list) return await survey(backend, description.suffix, signal);
    const subject = placeLabel(description.place);
    const reason = 'The chunks of such a store cannot be listed from here.';
    throw new PipelineError('UNSUPPORTED', { subject, reason });
  } finally {
    await backend?.close();
  }
}

async function survey(
  backend: ObjectBackend,
  suffix: string,
  signal: AbortSignal | undefined,
): Promise<StoreSurvey> {
  const folders = new Set<string>();
  const compressed: ObjectKey[] = [];
  let [chunkCount, plainCount, storedBytes, foreignCount] = [0, 0, 0, 0];
  for await (const { key, size } of backend.list('', signal ? { signal } : {})) {
    throwIfAborted(signal);
    const isCompressed = parseChunkKey(key, suffix) !== undefined;
    if (isCompressed || parseChunkKey(key, '') !== undefined) {
      chunkCount += 1;
      storedBytes += size;
      folders.add(key.slice(0, key.indexOf('/')));
      if (!isCompressed) plainCount += 1;
      else if (compressed.length < SAMPLE_COUNT) compressed.push(key);
    } else if (!key.startsWith(`${LEASE_FOLDER}/`)) foreignCount += 1;
  }
  const names = await Promise.all(compressed.map((key) => compressionOf(backend, key)));
  const compressions: Partial<Record<CodecName | 'none' | 'unknown', number>> = {};
  if (plainCount > 0) compressions.none = plainCount;
  for (const name of names) {
    if (name !== undefined) compressions[name] = (compressions[name] ?? 0) + 1;
  }
  return {
    chunkCount,
    storedBytes,
    folderCount: folders.size,
    compressions,
    sampledCount: plainCount + names.length,
    temporaryCount: 0,
    foreignCount,
  };
}

/** Undefined if the chunk has been removed meanwhile. */
async function compressionOf(
  backend: ObjectBackend,
  key: ObjectKey,
): Promise<CodecName | 'unknown' | undefined> {
  try {
    return detectCodec(await backend.get(key, { range: MAGIC })) ?? 'unknown';
  } catch (error) {
    if (isCasError(error) && error.code === 'OBJECT_MISSING') return undefined;
    throw error;
  }
}
