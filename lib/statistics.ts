/** What a pipeline has done, in numbers: the result of make and extract, shown by `-v` and `--stats`. */

/** Chunks, and their plain bytes. */
export interface ChunkCount {
  readonly chunkCount: number;
  readonly byteCount: number;
}

/** What an encoder cache was good for. */
export interface CacheStatistics {
  readonly hitCount: number;
  readonly missCount: number;
  /** Entries that were there and no longer true. */
  readonly invalidatedCount: number;
  readonly addedCount: number;
}

export interface MakeStatistics {
  /** Length of the archive or blob. */
  readonly archiveBytes: number;
  /** Chunks of the index; undefined where no index was made, like all that follows. */
  readonly chunkCount?: number;
  /** Chunks that the store had already, or that came twice. */
  readonly reusedChunkCount?: number;
  /** Undefined if there is no chunk. */
  readonly averageChunkBytes?: number;
  /** Where a cache was used. */
  readonly cache?: CacheStatistics;
  readonly totalMs: number;
}

export const NO_CHUNKS: ChunkCount = { chunkCount: 0, byteCount: 0 };

export interface ExtractStatistics {
  /** Zero bytes that became holes. */
  readonly holeBytes: number;
  /** Bytes that share their blocks with a seed. */
  readonly reflinkBytes: number;
  /** Bytes of files that became links to those of a seed. */
  readonly hardlinkBytes: number;
  /** Bytes that were at their place already and stayed untouched. */
  readonly keptBytes: number;
  /** Where the chunks came from. */
  readonly localStore: ChunkCount;
  readonly localSeed: ChunkCount;
  readonly remoteStore: ChunkCount;
  /** Time in which seeds were read to find out what they hold. */
  readonly seedingMs: number;
  readonly totalMs: number;
}

export interface CloneStatistics {
  /** Content of all files. */
  readonly byteCount: number;
  /** Zero bytes that became holes. */
  readonly holeBytes: number;
  /** Bytes that share their blocks with the source, or with what was there before. */
  readonly reflinkBytes: number;
  /** Bytes that were at their place already and stayed untouched. */
  readonly keptBytes: number;
  readonly totalMs: number;
}
