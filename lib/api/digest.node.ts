/** `digest` of the library: the name of any content (spec/api.md, "digest"). */
import type { ChunkId } from '../../formats/chunk-id.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { digestOfFlags } from '../../formats/feature-flags.ts';
import { createDigest } from '../digest/digest.node.ts';
import { PipelineError } from '../errors.ts';
import { writeStream } from '../make/make.ts';
import { digestArchive, digestRange } from '../read/digest-archive.ts';
import { locateNode } from '../read/locate.ts';
import { createBreather } from '../work/breathe.ts';
import { openBehindIndex } from './behind-index.node.ts';
import { createEntryTeller, type EntrySink, entriesThenFeatures } from './entries.ts';
import { digestNameOf, recordedFlags } from './features.ts';
import { folderFlags, packFolder } from './folder.node.ts';
import {
  chunksWith,
  type OpenedFile,
  type OpenedInput,
  openInput,
  piecesOf,
  readIndex,
} from './input.node.ts';
import { type InputKind, kindOfPath } from './kinds.ts';
import type { ReadTreeOptions } from './options.ts';
import { parentPath, type Subtree, subtreePath } from './subtree.ts';
import { type ArchiveTree, forEachEvent, openArchive } from './tree.node.ts';

export interface DigestOptions extends Omit<ReadTreeOptions, 'kind'> {
  /** By default what the suffix of the input says; else a folder, or a blob. */
  readonly kind?: InputKind;
  /** A folder or file of an archive. */
  readonly subtree?: Subtree;
  /** Told of each entry of a tree. */
  readonly onEntry?: EntrySink;
}

/**
 * The digest of a folder's archive, of a blob, of an archive, or of what an index describes.
 * @throws CasError `USAGE`, `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws
 */
export async function digest(options: DigestOptions): Promise<ChunkId> {
  const path = subtreePath(options.subtree);
  const input = openInput(options);
  try {
    const kind = kindToDigest(input, path, options);
    if (kind === 'directory') return await digestFolder(input as OpenedFile, options);
    if (kind === 'blob') return await digestBlob(input, options);
    if (kind === 'blob-index') return await digestBlobIndex(input, options);
    const tree = await openArchive(input, kind, options);
    try {
      return await digestTree(tree, path, options);
    } finally {
      await tree.source.close();
    }
  } finally {
    input.close();
  }
}

function refuse(reason: string): PipelineError {
  return new PipelineError('USAGE', { reason });
}

/** @throws PipelineError `USAGE` if input, kind and path do not fit */
function kindToDigest(opened: OpenedInput, path: Uint8Array, options: DigestOptions): InputKind {
  const named = options.kind ?? kindOfPath(options.input);
  const isFolder = opened.form === 'file' && opened.stats.isDirectory();
  if (isFolder && named !== undefined && named !== 'directory') {
    throw refuse('Input is a directory, but attempted to list as blob. Refusing.');
  }
  if (!isFolder && named === 'directory') {
    throw refuse('Input is a regular file, but attempted to list it as directory.');
  }
  const byContent = path.length > 0 ? 'archive' : 'blob';
  const kind = named ?? (isFolder ? 'directory' : byContent);
  if (path.length === 0 || kind === 'archive' || kind === 'archive-index') return kind;
  throw refuse(
    'Subtree path only supported when calculating message digest of archive or archive index.',
  );
}

async function digestFolder(folder: OpenedFile, options: DigestOptions): Promise<ChunkId> {
  const onEntry = entriesThenFeatures(options, folderFlags(options));
  const pieces = packFolder(folder, options, onEntry ? { onEntry } : {});
  return digestPieces(pieces, options);
}

async function digestBlob(input: OpenedInput, options: DigestOptions): Promise<ChunkId> {
  options.onFeatures?.(recordedFlags(options, 0n));
  const totalBytes =
    input.form === 'file' && input.stats.isFile() ? Number(input.stats.size) : undefined;
  return digestPieces(piecesOf(input, options), options, totalBytes);
}

async function digestPieces(
  pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  options: DigestOptions,
  totalBytes?: number,
): Promise<ChunkId> {
  const { signal, onProgress } = options;
  const writing = {
    digest: createDigest(digestNameOf(options)),
    signal,
    onProgress,
    ...(totalBytes === undefined ? {} : { totalBytes }),
  };
  return (await writeStream(pieces, undefined, writing)).digest;
}

async function digestBlobIndex(input: OpenedInput, options: DigestOptions): Promise<ChunkId> {
  const { signal, onProgress } = options;
  const index = await readIndex(input, options);
  const chunks = chunksWith(input);
  const { source } = await openBehindIndex(index, input.label, {
    ...options,
    ...(chunks && { chunks }),
  });
  const own = createDigest(options.digest ?? index.digest);
  const reading = { digest: own, signal, onProgress, breathe: createBreather() };
  try {
    return await digestRange(source, 0, index.totalSize, reading);
  } finally {
    await source.close();
  }
}

/** Digest of a whole tree or of the part at `path`. */
async function digestTree(
  tree: ArchiveTree,
  path: Uint8Array,
  options: DigestOptions,
): Promise<ChunkId> {
  const { source, expectedFlags } = tree;
  const { signal, onProgress } = options;
  const flags = expectedFlags === undefined ? {} : { expectedFlags };
  const reading = { signal, onProgress, breathe: createBreather(), ...flags };
  if (path.length === 0) {
    return digestArchive(source, createDigest, { ...reading, onEvent: createEntryTeller(options) });
  }
  const located = await locateNode(source, path, reading);
  const { type, featureFlags, size } = located.node;
  if (type !== 'directory' && type !== 'file') {
    throw refuse(`Path ${escapeBytes(path)} does not refer to a file or directory`);
  }
  options.onFeatures?.(featureFlags);
  if (options.onEntry !== undefined && source.seekable) await tellEntries(tree, path, options);
  const start = type === 'directory' ? located.start : located.end - size;
  const digest = createDigest(digestOfFlags(featureFlags));
  return digestRange(source, start, located.end, { ...reading, digest });
}

/** Tells of the entries of a part, which is digested as bytes. */
async function tellEntries(
  tree: ArchiveTree,
  path: Uint8Array,
  { onEntry, signal }: DigestOptions,
): Promise<void> {
  const tell = createEntryTeller({ onEntry }, parentPath(path));
  await forEachEvent(tree, tell, { signal }, { contents: false, subtree: path });
}
