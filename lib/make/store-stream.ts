/**
 * The heart of `make`: a stream of bytes becomes chunks in a store and the index that lists them.
 * The index may be published when this has returned, because all chunks are durable then.
 */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { type ChunkIndex, IndexBuilder, type IndexHeader } from '../../formats/chunk-index.ts';
import type { ChunkStore } from '../../store/chunk-store.ts';
import type { Digest } from '../../store/transforms.ts';
import { createScanner } from '../chunking/scanner-choice.ts';
import { Splitter } from '../chunking/split.ts';
import { throwIfAborted } from '../errors.ts';
import type { ProgressSink } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';

export interface StoreStreamOptions {
  readonly store: ChunkStore;
  readonly digest: Digest;
  readonly header: IndexHeader;
  /** Length of the stream in bytes, where it is known. */
  readonly totalBytes?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

export interface StoredStream {
  readonly index: ChunkIndex;
  /** Digest of the whole stream. */
  readonly digest: ChunkId;
  /** Chunks that the store had already. */
  readonly reusedChunkCount: number;
}

/**
 * Cuts the stream into chunks, puts them into the store and waits until they are durable.
 * @param pieces the stream in order; each piece must stay unchanged until the next is taken
 * @throws whatever the stream and the store throw; PipelineError for chunk sizes that cannot be kept
 */
export async function storeStream(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: StoreStreamOptions,
): Promise<StoredStream> {
  const { store, digest, header, signal, onProgress } = options;
  const splitter = new Splitter(createScanner(header.chunkSizes), header.chunkSizes);
  const builder = new IndexBuilder();
  const whole = digest.stream();
  const breathe = createBreather();
  let reusedChunkCount = 0;

  async function storeChunks(chunks: Iterable<Uint8Array>): Promise<void> {
    for (const chunk of chunks) {
      throwIfAborted(signal);
      const id = digest.hash(chunk);
      const outcome = await store.put(id, chunk, signal ? { signal } : {});
      if (outcome === 'present') reusedChunkCount += 1;
      builder.add(id, chunk.length);
      await breathe();
      onProgress?.({
        phase: 'make',
        doneBytes: builder.totalSize,
        chunkCount: builder.count,
        reusedChunkCount,
        ...(options.totalBytes === undefined ? {} : { totalBytes: options.totalBytes }),
      });
    }
  }

  for await (const piece of pieces) {
    whole.update(piece);
    await storeChunks(splitter.push(piece));
  }
  await storeChunks(splitter.end());
  await store.flush(signal ? { signal } : {});
  return { index: builder.finish(header), digest: whole.finish(), reusedChunkCount };
}
