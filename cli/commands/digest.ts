/** `digest [INPUT] [SUBPATH]` (spec/command-line.md, spec/formats/digests.md). */

import type { ChunkId } from '../../formats/chunk-id.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import { PipelineError } from '../../lib/errors.ts';
import { readBlob, readStandardInput } from '../../lib/make/blob.node.ts';
import { writeStream } from '../../lib/make/make.ts';
import { locateNode } from '../../lib/read/archive.ts';
import { digestArchive, digestRange } from '../../lib/read/digest-archive.ts';
import { openIndexSource } from '../../lib/read/index-source.node.ts';
import { createBreather } from '../../lib/work/breathe.ts';
import { defaultThreadCount } from '../../lib/work/job-pool.node.ts';
import type { Context } from '../context.ts';
import { readIndex } from '../indexes.ts';
import { isStream, kindOfName, type OpenedInput, openInput, refuse } from '../kinds.ts';
import type { Kind } from '../options.ts';
import { describeStoresForReading } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import {
  type ArchiveInput,
  closeTree,
  openArchive,
  openArchiveIndex,
  packFolder,
} from '../tree-input.ts';
import { digestNameOf, madeFlags, reportIncomplete, subtreePath } from '../trees.ts';

/** Settles the kind by name and, without a known suffix, by what the input is. */
function kindOf(word: string, input: OpenedInput, hasSubtree: boolean, context: Context): Kind {
  const { stats } = input;
  const named = context.options.what ?? kindOfName(word);
  if (stats.isDirectory()) {
    if (named === undefined || named === 'directory') return 'directory';
    throw refuse('Input is a directory, but attempted to list as blob. Refusing.');
  }
  const streams = input.descriptor === 0 && isStream(stats);
  if (!stats.isFile() && !stats.isBlockDevice() && !streams) {
    throw refuse('Input is a neither a directory, a regular file, nor a block device. Refusing.');
  }
  return named ?? (hasSubtree ? 'archive' : 'blob');
}

/** Digest of a whole tree or of the part at `path`. */
async function digestOfTree(
  tree: ArchiveInput,
  path: Uint8Array,
  context: Context,
): Promise<ChunkId> {
  const { signal, onProgress } = context;
  const reading = { signal, onProgress, breathe: createBreather() };
  const { source, expectedFlags } = tree;
  const flags = expectedFlags === undefined ? {} : { expectedFlags };
  if (path.length === 0) return digestArchive(source, createDigest, { ...reading, ...flags });
  const located = await locateNode(source, path, { ...reading, ...flags });
  const { type, featureFlags, size } = located.node;
  if (type !== 'directory' && type !== 'file') {
    throw new PipelineError('USAGE', {
      reason: `Path ${escapeBytes(path)} does not refer to a file or directory`,
    });
  }
  const start = type === 'directory' ? located.start : located.end - size;
  const digest = createDigest(digestOfFlags(featureFlags));
  return digestRange(source, start, located.end, { ...reading, digest });
}

async function digestOfInput(
  kind: Kind,
  word: string,
  input: OpenedInput,
  path: Uint8Array,
  context: Context,
): Promise<ChunkId> {
  const { signal, onProgress, options } = context;
  const digest = createDigest(digestNameOf(context));
  switch (kind) {
    case 'directory': {
      const featureFlags = madeFlags(context, 'all');
      const verbs = { begin: 'Processing', end: 'Processed' };
      const pieces = packFolder(input, featureFlags, context, { verbs });
      return writeStream(pieces, undefined, { digest, signal, onProgress });
    }
    case 'blob': {
      const { descriptor, label } = input;
      const onIncomplete = reportIncomplete(context);
      const pieces = isStream(input.stats)
        ? readStandardInput(signal)
        : readBlob(descriptor, { label, onIncomplete });
      return writeStream(pieces, undefined, { digest, signal, onProgress });
    }
    case 'blob-index': {
      const index = await readIndex(input, context);
      const source = openIndexSource(index, {
        source: describeStoresForReading(word, index, context),
        threadCount: defaultThreadCount(),
        label: input.label,
        signal,
      });
      const breathe = createBreather();
      const own = createDigest(options.digest ?? index.digest);
      try {
        return await digestRange(source, 0, index.totalSize, {
          digest: own,
          signal,
          onProgress,
          breathe,
        });
      } finally {
        await source.close();
      }
    }
    default: {
      const tree =
        kind === 'archive'
          ? openArchive(input, context)
          : await openArchiveIndex(word, input, context);
      try {
        return await digestOfTree(tree, path, context);
      } finally {
        await closeTree(tree);
      }
    }
  }
}

export async function digest(words: readonly string[], context: Context): Promise<void> {
  const word = words[0] ?? '.';
  const path = subtreePath(words[1]);
  const input = openInput(word, (label) => `Failed to open ${label}`);
  const kind = kindOf(word, input, path.length > 0, context);
  if (path.length > 0 && kind !== 'archive' && kind !== 'archive-index') {
    throw refuse(
      'Subtree path only supported when calculating message digest of archive or archive index.',
    );
  }
  const printed = await synchronize(() => digestOfInput(kind, word, input, path, context));
  context.stdout.write(`${printed}\n`);
}
