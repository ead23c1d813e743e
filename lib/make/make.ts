/** From a stream of bytes to a finished archive, or to its digest alone. */
import type { ChunkId } from '../../formats/chunk-id.ts';
import type { Digest } from '../../store/transforms.ts';
import { throwIfAborted } from '../errors.ts';
import { type ProgressSink, progressOf } from '../progress.ts';
import { createBreather } from '../work/breathe.ts';
import type { ByteSink } from './byte-sink.ts';

export interface WriteStreamOptions {
  readonly digest: Digest;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /** Length of the stream, where it is known, for progress. */
  readonly totalBytes?: number;
}

/** What a stream of bytes was. */
export interface WrittenStream {
  readonly digest: ChunkId;
  /** In bytes. */
  readonly length: number;
}

/** Digest of a stream of bytes, written to `sink` on the way where there is one. */
export async function writeStream(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  sink: ByteSink | undefined,
  options: WriteStreamOptions,
): Promise<WrittenStream> {
  const whole = options.digest.stream();
  const breathe = createBreather();
  let doneBytes = 0;
  try {
    for await (const piece of pieces) {
      throwIfAborted(options.signal);
      whole.update(piece);
      await sink?.write(piece);
      doneBytes += piece.length;
      await breathe();
      const phase = sink ? 'make' : 'digest';
      options.onProgress?.(progressOf(phase, doneBytes, options.totalBytes));
    }
    await sink?.commit();
    return { digest: whole.finish(), length: doneBytes };
  } finally {
    await sink?.discard();
  }
}
