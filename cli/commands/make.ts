/** `make [OUTPUT] [INPUT]` (spec/command-line.md): an archive, an archive index or a blob index. */

import { dirname, resolve } from 'node:path';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import { readStandardInput, segmentsOfFile } from '../../lib/make/blob.node.ts';
import type { ByteSink } from '../../lib/make/byte-sink.ts';
import { openFileSink, openStreamSink } from '../../lib/make/file-sink.node.ts';
import { writeStream } from '../../lib/make/make.ts';
import { type SegmentSource, segmentsOfStream } from '../../lib/make/segment.ts';
import { makeIndex, StreamStorer } from '../../lib/make/store-stream.node.ts';
import { defaultThreadCount, openJobPool } from '../../lib/work/job-pool.node.ts';
import type { JobPool } from '../../lib/work/jobs.node.ts';
import type { Context } from '../context.ts';
import {
  isStream,
  type KindRule,
  localPath,
  type OpenedInput,
  openInput,
  refuse,
  STANDARD_STREAM,
  settledKind,
} from '../kinds.ts';
import type { Kind } from '../options.ts';
import { describeStoreForWriting, mainStore } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { packFolder } from '../tree-input.ts';
import { digestNameOf, madeFlags, reportIncomplete } from '../trees.ts';

const STDOUT = 1;
const OUTPUT_MODE = 0o666;
const OUTPUT_KINDS: KindRule = {
  allowed: ['archive', 'archive-index', 'blob-index'],
  unfitWhat:
    '"make" operation may only be combined with --what=archive, --what=archive-index or --what=blob-index.',
  unfitName:
    'File to create does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
};

/** Settles the kind by what the input is. */
function kindForInput(kind: Kind | undefined, input: OpenedInput): Kind {
  const { stats } = input;
  if (stats.isDirectory()) {
    if (kind === 'blob-index') {
      throw refuse('Input is a directory, but attempted to make blob index. Refusing.');
    }
    return kind ?? 'archive';
  }
  const standardStream = input.descriptor === 0 && isStream(stats);
  if (!stats.isFile() && !stats.isBlockDevice() && !standardStream) {
    throw refuse('Input is a neither a directory, a regular file, nor a block device. Refusing.');
  }
  if (kind === 'archive' || kind === 'archive-index') {
    throw refuse(
      'Input is a regular file or block device, but attempted to make a directory archive. Refusing.',
    );
  }
  return 'blob-index';
}

function refuseCache(kind: Kind, context: Context): void {
  const { cache, cacheAuto } = context.options;
  if (cache === undefined && !cacheAuto) return;
  if (kind === 'blob-index') throw refuse('Caching only supported when archiving files trees.');
  throw refuse('The encoder cache is not available in this version.');
}

async function openSink(output: string, input: OpenedInput): Promise<ByteSink> {
  if (output === STANDARD_STREAM) return openStreamSink(STDOUT);
  const mode = OUTPUT_MODE & Number(input.stats.mode & 0o777n);
  return openFileSink(localPath(output), { mode });
}

/** Fewer batches of entries than this are not worth a thread. */
const FEW_BATCHES = 8;

/** The bytes of the archive of a folder, whose files are read where `pool` says. */
function archiveOf(
  input: OpenedInput,
  output: string,
  featureFlags: bigint,
  pool: JobPool,
  context: Context,
): AsyncIterable<Uint8Array> {
  const verbs = { begin: 'Packing', end: 'Packed' };
  const isExpectedToChange = changedByUs(output, context);
  let batchCount = 0;
  return packFolder(input, featureFlags, context, { verbs, isExpectedToChange }, (batch) => {
    batchCount += 1;
    if (batchCount === FEW_BATCHES) pool.start();
    return pool.run('packEntries', batch);
  });
}

/** What is cut into chunks, if it is a blob. */
function segmentsOfBlob(
  { descriptor, label, stats }: OpenedInput,
  context: Context,
): SegmentSource {
  if (isStream(stats)) return segmentsOfStream(readStandardInput(context.signal));
  return segmentsOfFile(descriptor, { label, onIncomplete: reportIncomplete(context) });
}

/**
 * An output or store inside of the tree that is archived changes while it is read: the folders that
 * hold them, and everything in the store. That is no reason for a warning.
 */
function changedByUs(output: string, context: Context): (label: string) => boolean {
  const results = [mainStore(output, context), output]
    .filter((word) => word !== STANDARD_STREAM)
    .map((word) => resolve(word));
  return (label) => {
    const path = resolve(label);
    return results.some((own) => path === dirname(own) || isWithin(path, own));
  };
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

export async function make(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const output = words[0] ?? STANDARD_STREAM;
  const wanted = settledKind(output, options.what, OUTPUT_KINDS);
  const isTree = wanted === 'archive' || wanted === 'archive-index';
  const inputWord = words[1] ?? (isTree ? '.' : STANDARD_STREAM);
  if (inputWord !== STANDARD_STREAM) localPath(inputWord, 'Input must be local path');
  const input = openInput(inputWord, (label) => `Failed to open ${label}`);
  const kind = kindForInput(wanted, input);
  refuseCache(kind, context);

  const digestName = digestNameOf(context);
  const featureFlags = madeFlags(context, kind === 'blob-index' ? 'none' : 'all');
  const { signal, onProgress } = context;
  const printed = await synchronize(async (): Promise<ChunkId> => {
    if (kind === 'archive') {
      const pool = openJobPool({}, defaultThreadCount());
      try {
        const pieces = archiveOf(input, output, featureFlags, pool, context);
        const sink = await openSink(output, input);
        const digest = createDigest(digestName);
        return await writeStream(pieces, sink, { digest, signal, onProgress });
      } finally {
        await pool.close();
      }
    }
    const storer = new StreamStorer({
      store: describeStoreForWriting(output, digestName, context),
      header: { featureFlags, chunkSizes: options.chunkSizes },
      chunker: options.chunker,
      threadCount: defaultThreadCount(),
      signal,
      onProgress,
    });
    try {
      const source =
        kind === 'archive-index'
          ? segmentsOfStream(archiveOf(input, output, featureFlags, storer.pool, context))
          : segmentsOfBlob(input, context);
      const stored = await makeIndex(source, storer, await openSink(output, input));
      return stored.digest;
    } finally {
      await storer.close();
    }
  });
  if (output !== STANDARD_STREAM) context.stdout.write(`${printed}\n`);
}
