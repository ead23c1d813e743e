/** The bytes behind an index, chunk by chunk: what list, digest and extraction of trees read. */
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkSource } from '../../store/chunk-store.ts';
import { throwIfAborted } from '../errors.ts';
import type { ByteSource } from './byte-source.ts';

export interface IndexSourceOptions {
  /** Name of the index, for messages. */
  readonly label: string;
  readonly signal?: AbortSignal;
}

/** Opens the bytes behind `index`; each chunk is verified before any of its bytes is given out. */
export function openIndexSource(
  index: ChunkIndex,
  chunks: ChunkSource,
  options: IndexSourceOptions,
): ByteSource {
  let current: { readonly number: number; readonly bytes: Uint8Array } | undefined;

  async function load(number: number): Promise<Uint8Array> {
    if (current?.number === number) return current.bytes;
    throwIfAborted(options.signal);
    const bytes = await chunks.get(index.id(number), {
      expectedSize: index.size(number),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    current = { number, bytes };
    return bytes;
  }

  return {
    label: options.label,
    size: index.totalSize,
    seekable: true,
    async read(offset) {
      if (offset >= index.totalSize) return new Uint8Array(0);
      const number = index.chunkAt(offset);
      const bytes = await load(number);
      return bytes.subarray(offset - index.start(number));
    },
    close: () => chunks.close(),
  };
}
