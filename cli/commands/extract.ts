/** `extract [INPUT] [OUTPUT] [SUBPATH]` (spec/command-line.md): a tree or a blob comes back. */
import { type BigIntStats, fstatSync, statSync } from 'node:fs';
import { assembleBlob } from '../../lib/extract/assemble.node.ts';
import { openBlockTarget } from '../../lib/extract/open-target.node.ts';
import { TreeExtractor } from '../../lib/extract/tree.node.ts';
import { syncFileSystemOf } from '../../lib/os/file-system.node.ts';
import { notInArchive } from '../../lib/read/archive.ts';
import { createSubtreeFilter } from '../../lib/read/subtree.ts';
import { defaultThreadCount } from '../../lib/work/job-pool.node.ts';
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
  closeTree,
  forEachEvent,
  openArchive,
  openArchiveIndex,
  type TreeInput,
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

function openExtractor(
  output: string,
  featureFlags: bigint,
  subtree: Uint8Array,
  context: Context,
): TreeExtractor {
  const { options } = context;
  const uidShift = uidShiftOf(context);
  return new TreeExtractor(localPath(output), {
    replayFlags: shownFlags(featureFlags, context),
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

/** Restores what lies within `subtree`; nothing is made before that is found in the archive. */
async function extractTree(
  tree: TreeInput,
  output: string,
  subtree: Uint8Array,
  context: Context,
): Promise<void> {
  let extractor: TreeExtractor | undefined;
  const filter = createSubtreeFilter(subtree, {
    enter(path, node) {
      extractor ??= openExtractor(output, node.featureFlags, subtree, context);
      extractor.handle({ kind: 'enter', name: lastName(path), node });
      return undefined;
    },
    data: (bytes) => extractor?.handle({ kind: 'data', bytes }),
    leave: () => extractor?.handle({ kind: 'leave' }),
  });
  try {
    await forEachEvent(tree, filter.handle, context, { contents: true });
    if (!filter.found) throw notInArchive();
    extractor?.finish();
    if (context.options.fsync) await syncFileSystemOf(localPath(output));
  } finally {
    extractor?.abort();
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
