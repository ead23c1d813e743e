/**
 * Files and block devices as seeds: cut into chunks as the stream behind the index was cut, to find out
 * which of its chunks they hold (spec/formats/extraction.md, "Seeds").
 */
import { closeSync } from 'node:fs';
import { CHUNK_ID_LENGTH } from '../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../formats/chunk-index.ts';
import type { ChunkerName } from '../chunking/scanner.ts';
import { throwIfAborted } from '../errors.ts';
import { nextData } from '../os/holes.node.ts';
import type { ProgressSink } from '../progress.ts';
import { ChunkReader } from '../read/chunk-reader.node.ts';
import type { FileRange, FoundChunks } from '../work/jobs/find-chunks.node.ts';
import type { Seed } from './seed.ts';
import type { SeedFile } from './seed-file.node.ts';
import { WantedChunks } from './wanted-chunks.ts';

export interface SearchOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

export interface FileSeedOptions extends SearchOptions {
  readonly threadCount: number;
  /** How the stream behind the index was cut; an index does not say it. buzhash if left out. */
  readonly chunker?: ChunkerName;
}

/** Longer ranges are shared out. */
const PIECE_LENGTH = 16 * 1024 * 1024;
/** A job takes ranges until they are this long together. */
const JOB_LENGTH = 4 * 1024 * 1024;
/**
 * A piece that begins anywhere finds the true cuts after a few chunks; so many of the longest ones
 * belong to the piece before it, too.
 */
const OVERLAP_COUNT = 4;

/**
 * Where a file holds the wanted chunks.
 * @param ranges what is searched; each begins where a chunk begins, if anything in it is to be found
 * @returns the offset for the number of each chunk that {@link WantedChunks.find} tells
 */
export async function findInFile(
  reader: ChunkReader,
  file: SeedFile,
  ranges: Iterable<FileRange>,
  wanted: WantedChunks,
  options: SearchOptions = {},
): Promise<ReadonlyMap<number, number>> {
  const offsets = new Map<number, number>();
  const jobs = jobsOf(file, ranges, OVERLAP_COUNT * reader.index.chunkSizes.max);
  let doneBytes = 0;
  const work = async (): Promise<void> => {
    for (const job of jobs) {
      throwIfAborted(options.signal);
      note(await reader.findChunks(file, job, wanted.lengths), wanted, offsets);
      doneBytes += job.reduce((sum, { start, end }) => sum + end - start, 0);
      options.onProgress?.({ phase: 'seed', doneBytes });
    }
  };
  await Promise.all(Array.from({ length: reader.slotCount }, work));
  return offsets;
}

function note(found: FoundChunks, wanted: WantedChunks, offsets: Map<number, number>): void {
  for (const [i, offset] of found.offsets.entries()) {
    const digest = found.digests.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
    const chunk = wanted.find(digest);
    if (chunk !== undefined && !offsets.has(chunk)) offsets.set(chunk, offset);
  }
}

function* jobsOf(
  file: SeedFile,
  ranges: Iterable<FileRange>,
  overlap: number,
): Generator<readonly FileRange[]> {
  let job: FileRange[] = [];
  let length = 0;
  for (const range of ranges) {
    for (const piece of piecesOf(file.descriptor, range, overlap)) {
      job.push(piece);
      length += piece.end - piece.start;
      if (length < JOB_LENGTH) continue;
      yield job;
      job = [];
      length = 0;
    }
  }
  if (job.length > 0) yield job;
}

/** What lies in holes holds nothing that would have to be read. */
function* piecesOf(descriptor: number, range: FileRange, overlap: number): Generator<FileRange> {
  for (let start = range.start; start < range.end; ) {
    const data = nextData(descriptor, start) ?? range.end;
    if (data - start > overlap) start = data - overlap;
    if (start >= range.end) return;
    const end = Math.min(start + PIECE_LENGTH, range.end);
    yield { start, end: Math.min(end + overlap, range.end) };
    start = end;
  }
}

/**
 * Searches all of a file for the chunks of an index.
 * @param file belongs to the seed from now on, which closes it
 * @throws PipelineError `ABORTED`
 */
export async function openFileSeed(
  file: SeedFile,
  index: ChunkIndex,
  options: FileSeedOptions,
): Promise<Seed> {
  const { threadCount, chunker } = options;
  const { label, descriptor, size } = file;
  const wanted = new WantedChunks(index);
  const reader = new ChunkReader(index, {
    source: { stores: [] },
    threadCount,
    ...(chunker && { chunker }),
  });
  let offsets: ReadonlyMap<number, number>;
  try {
    offsets = await findInFile(reader, file, [{ start: 0, end: size }], wanted, options);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  } finally {
    await reader.close();
  }
  return {
    label,
    find(id) {
      const chunk = wanted.findId(id);
      const offset = chunk === undefined ? undefined : offsets.get(chunk);
      if (chunk === undefined || offset === undefined) return undefined;
      return [{ descriptor, offset, length: index.size(chunk) }];
    },
    close: () => closeSync(descriptor),
  };
}
