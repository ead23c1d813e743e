/** `put` of the library: bytes as they are into a store, and their index (spec/api.md, "put"). */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { type ChunkSizes, DEFAULT_CHUNK_SIZES } from '../../formats/chunk-sizes.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { PipelineError } from '../errors.ts';
import { segmentsOfStream } from '../make/segment.ts';
import { makeIndex, StreamStorer } from '../make/store-stream.node.ts';
import { openCheckedArchive } from '../read/checked-archive.ts';
import type { MakeStatistics } from '../statistics.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { RecordOptions } from './features.ts';
import { type OpenedInput, openInput, piecesOf } from './input.node.ts';
import { kindOfPath } from './kinds.ts';
import { make } from './make.node.ts';
import type { InputOptions, StoreOptions } from './options.ts';
import { openOutput, refuseInputAsOutput } from './output.node.ts';
import { describeStoreForWriting } from './stores.node.ts';

export interface PutOptions extends InputOptions, StoreOptions, RecordOptions {
  /** Path of the index, which appears when it is complete; or a descriptor open for writing. */
  readonly output: string | number;
  /** By default what the suffix of the output says. */
  readonly kind?: 'archive-index' | 'blob-index';
  /** Default 16 KiB, 64 KiB and 256 KiB. */
  readonly chunkSizes?: ChunkSizes;
  /** Default buzhash, the only one that casync 2 has. */
  readonly chunker?: ChunkerName;
  /** Told when the input changed while it was read. */
  readonly onIncomplete?: (label: string, reason: string) => void;
}

export interface PutResult {
  readonly kind: 'archive-index' | 'blob-index';
  /** Of all bytes. */
  readonly digest: ChunkId;
  /** What the index says. */
  readonly featureFlags: bigint;
  readonly statistics: MakeStatistics;
}

/**
 * Stores a blob, or an archive as it is, and writes the index of its chunks. An archive is checked on the
 * way; its index is the one that `make` would write of the folder.
 * @throws CasError `USAGE`, `ABORTED`, FormatError for what is no archive, and what reading and storing
 * throw
 */
export async function put(options: PutOptions): Promise<PutResult> {
  const kind = options.kind ?? kindOfPath(options.output);
  if (kind !== 'archive-index' && kind !== 'blob-index') {
    throw new PipelineError('USAGE', { reason: 'An index can be written, and nothing else.' });
  }
  if (kind === 'blob-index') return putBlob(options);
  const input = openInput(options);
  try {
    return await putArchive(input, options);
  } finally {
    input.close();
  }
}

async function putBlob(options: PutOptions): Promise<PutResult> {
  const { digest, featureFlags, statistics } = await make({ ...options, kind: 'blob-index' });
  if (digest === undefined) throw new TypeError('a blob has a digest');
  return { kind: 'blob-index', digest, featureFlags, statistics };
}

async function putArchive(input: OpenedInput, options: PutOptions): Promise<PutResult> {
  const started = performance.now();
  if (input.form === 'file' && input.stats.isDirectory()) {
    const reason = 'Input is a directory, but attempted to read an archive. Refusing.';
    throw new PipelineError('USAGE', { subject: input.label, reason });
  }
  const { chunkSizes = DEFAULT_CHUNK_SIZES, threadCount = defaultThreadCount() } = options;
  const { chunker, signal, onProgress, output } = options;
  const { featureFlags, pieces } = await openCheckedArchive(piecesOf(input, options), input.label);
  const path = typeof output === 'string' ? output : undefined;
  const storer = new StreamStorer({
    store: describeStoreForWriting(options, path, digestOfFlags(featureFlags)),
    header: { featureFlags, chunkSizes },
    threadCount,
    ...(chunker ? { chunker } : {}),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
    ...(options.onWait ? { onWait: options.onWait } : {}),
  });
  try {
    refuseInputAsOutput(output, [options.input]);
    const sink = await openOutput(options, 'stats' in input ? input.stats?.mode : undefined);
    const stored = await makeIndex(segmentsOfStream(pieces), storer, sink);
    const { index, digest, reusedChunkCount } = stored;
    const { count: chunkCount, totalSize: archiveBytes } = index;
    const average = chunkCount === 0 ? {} : { averageChunkBytes: archiveBytes / chunkCount };
    const totalMs = performance.now() - started;
    const statistics = { archiveBytes, chunkCount, reusedChunkCount, ...average, totalMs };
    return { kind: 'archive-index', digest, featureFlags, statistics };
  } finally {
    await storer.close();
  }
}
