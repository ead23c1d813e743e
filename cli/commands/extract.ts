/** `extract [INPUT] [OUTPUT] [SUBPATH]` (spec/command-line.md): a tree or a blob comes back. */
import { type BigIntStats, fstatSync, statSync } from 'node:fs';
import { assembleBlob } from '../../lib/extract/assemble.node.ts';
import type { RunRestore } from '../../lib/extract/batch-sink.node.ts';
import { openBlockTarget } from '../../lib/extract/open-target.node.ts';
import { TreeExtractor } from '../../lib/extract/tree.node.ts';
import { syncFileSystemOf } from '../../lib/os/file-system.node.ts';
import { notInArchive } from '../../lib/read/archive.ts';
import { selectSubtree } from '../../lib/read/subtree.ts';
import { defaultThreadCount, openJobPool, WORTH_THREADS } from '../../lib/work/job-pool.node.ts';
import type { JobPool } from '../../lib/work/jobs.node.ts';
import type { Context } from '../context.ts';
import { readIndex } from '../indexes.ts';
import {
  type KindRule,
  localPath,
  type OpenedInput,
  openInput,
  refuse,
  STANDARD_STREAM,
  settledKind,
} from '../kinds.ts';
import type { Kind } from '../options.ts';
import { describeStoresForReading } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import {
  type ArchiveInput,
  closeTree,
  forEachEvent,
  openArchive,
  openArchiveIndex,
} from '../tree-input.ts';
import { informOfEntry, shownFlags, subtreePath, uidShiftOf } from '../trees.ts';

const STDOUT = 1;
const SLASH = 0x2f;
const INPUT_KINDS: KindRule = {
  allowed: ['archive', 'archive-index', 'blob-index'],
  unfitWhat:
    '"extract" operation may only be combined with --what=archive, --what=archive-index, --what=blob-index.',
  unfitName:
    'File to read from does not have valid suffix, refusing. (May be one of: .catar, .caidx, .caibx)',
};

/** What is at the output now, undefined if nothing is. */
function outputStats(output: string): BigIntStats | undefined {
  if (output === STANDARD_STREAM) return fstatSync(STDOUT, { bigint: true });
  return statSync(output, { bigint: true, throwIfNoEntry: false });
}

/** Settles the kind by what is at the output, and refuses what does not fit. */
function kindForOutput(kind: Kind | undefined, existing: BigIntStats | undefined): Kind {
  if (existing?.isDirectory()) {
    if (kind === 'blob-index') {
      throw refuse('Output is a directory, but attempted to extract blob index. Refusing.');
    }
    return kind ?? 'archive-index';
  }
  if (existing && kind !== undefined && kind !== 'blob-index') {
    throw refuse('Output is a regular file or block device, but attempted to extract an archive.');
  }
  if (kind !== undefined) return kind;
  if (existing) return 'blob-index';
  throw refuse(
    "Couldn't figure out what to extract. Refusing. Use --what=archive, --what=archive-index or --what=blob-index.",
  );
}

async function extractBlob(
  word: string,
  input: OpenedInput,
  output: string,
  context: Context,
): Promise<void> {
  const index = await readIndex(input, context);
  const { signal, onProgress } = context;
  const source = describeStoresForReading(word, index, context);
  const target = openBlockTarget(output === STANDARD_STREAM ? STDOUT : localPath(output), {
    size: index.totalSize,
    punchHoles: context.options.punchHoles,
    durable: context.options.fsync,
  });
  await assembleBlob(index, target, {
    source,
    threadCount: defaultThreadCount(),
    signal,
    onProgress,
  });
}

/** The last component of a path; empty for the root. */
function lastName(path: Uint8Array): Uint8Array {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

interface Restoring {
  readonly flags: bigint;
  readonly subtree: Uint8Array;
  readonly run: RunRestore;
}

function openExtractor(
  output: string,
  { flags, subtree, run }: Restoring,
  context: Context,
): TreeExtractor {
  const { options } = context;
  const uidShift = uidShiftOf(context);
  return new TreeExtractor(localPath(output), {
    run,
    replayFlags: shownFlags(flags, context),
    deleteExtra: options.delete,
    undoImmutable: options.undoImmutable,
    punchHoles: options.punchHoles,
    ...(options.verbose
      ? {
          onEntry: (path: Uint8Array, stage: 'begin' | 'end') =>
            informOfEntry(context, stage === 'begin' ? 'Extracting' : 'Extracted', path),
        }
      : {}),
    ...(uidShift ? { uidShift } : {}),
    ...(subtree.length > 0 ? { entryName: lastName(subtree) } : {}),
  });
}

/** Where entries are restored: where the chunks are fetched, or else in threads of their own. */
function openPool(tree: ArchiveInput): JobPool {
  if (tree.pool !== undefined) return tree.pool;
  const pool = openJobPool({}, defaultThreadCount());
  if ((tree.source.size ?? Number.POSITIVE_INFINITY) >= WORTH_THREADS) pool.start();
  return pool;
}

/** Restores what lies within `subtree`; nothing is made before that is found in the archive. */
async function extractTree(
  tree: ArchiveInput,
  output: string,
  subtree: Uint8Array,
  context: Context,
): Promise<void> {
  const pool = openPool(tree);
  let extractor: TreeExtractor | undefined;
  const events = selectSubtree(subtree, (event) => {
    if (event.kind === 'enter' && extractor === undefined) {
      const run: RunRestore = (input) => pool.run('restoreEntries', input);
      extractor = openExtractor(output, { flags: event.node.featureFlags, subtree, run }, context);
    }
    return extractor?.handle(event);
  });
  try {
    await forEachEvent(tree, events.handle, context, { contents: true });
    if (!events.found) throw notInArchive();
    await extractor?.finish();
    if (context.options.fsync) await syncFileSystemOf(localPath(output));
  } catch (error) {
    throw (await extractor?.firstError(error)) ?? error;
  } finally {
    await extractor?.abort();
    await pool.close();
    await closeTree(tree);
  }
}

export async function extract(words: readonly string[], context: Context): Promise<void> {
  if (context.options.hardlink) throw refuse('--hardlink= is not available in this version.');
  const word = words[0] ?? STANDARD_STREAM;
  const named = settledKind(word, context.options.what, INPUT_KINDS);
  const isTree = named === 'archive' || named === 'archive-index';
  const output = words[1] ?? (isTree ? '.' : STANDARD_STREAM);
  if (output !== STANDARD_STREAM) localPath(output, 'Output must be local path');
  const kind = kindForOutput(named, outputStats(output));
  const subtree = subtreePath(words[2]);
  if (subtree.length > 0 && kind === 'blob-index') {
    throw refuse('Subtree path only supported when extracting archive or archive index.');
  }
  const input = openInput(word, (label) =>
    kind === 'archive' ? `Failed to set sync archive: ${label}` : `Failed to open ${label}`,
  );
  await synchronize(async () => {
    if (kind === 'blob-index') return extractBlob(word, input, output, context);
    const tree =
      kind === 'archive'
        ? openArchive(input, context)
        : await openArchiveIndex(word, input, context);
    return extractTree(tree, output, subtree, context);
  });
}
