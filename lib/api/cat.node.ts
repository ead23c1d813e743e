/**
 * `cat` of the library: a part of a blob, or of one file of an archive, without the rest (spec/api.md,
 * "cat").
 */
import type { CatarNode } from '../../formats/catar-events.ts';
import { escapeBytes } from '../../formats/escape.ts';
import { PipelineError } from '../errors.ts';
import { progressOf } from '../progress.ts';
import { type BlobRange, type BlobReader, copyAndRelease } from '../read/blob-reader.ts';
import { openBlobSource } from '../read/blob-source.ts';
import { locateNode } from '../read/locate.ts';
import { createBreather } from '../work/breathe.ts';
import { unattended } from '../work/unattended.ts';
import { type InputKind, kindOfPath } from './kinds.ts';
import { type OpenedBlob, openBlob } from './open-blob.node.ts';
import type { InputOptions, StoreOptions } from './options.ts';
import { type Subtree, subtreePath } from './subtree.ts';

export interface CatOptions extends InputOptions, StoreOptions {
  /** By default what the suffix of the path says, else a blob. */
  readonly kind?: Exclude<InputKind, 'directory'>;
  /** The file, of an archive or archive index. */
  readonly subtree?: Subtree;
  /** Byte at which to begin; default 0. */
  readonly offset?: number;
  /** Bytes, at most; default all that there are. */
  readonly length?: number;
}

/** Bytes of one read. */
const PART = 512 * 1024;
/** Chunks of parts that are under way, and records on the way to a file. */
const CACHE = 32 * 1024 * 1024;
/** Reads under way at a time. */
const MOST_UNDER_WAY = 8;

/**
 * The bytes of a range, in order; fewer than asked for only where the blob or file ends. Of a chunk store or another machine nothing is fetched but what the range needs, and
 * the records on the way to the file.
 * @throws CasError `USAGE` for what can only be read front to back, and for what is no file;
 * `NOT_IN_ARCHIVE`, `ABORTED`, and what reading throws, after all bytes before
 */
export async function* cat(options: CatOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { offset = 0, length = Number.POSITIVE_INFINITY, onProgress, signal } = options;
  const kind = kindOf(options);
  const opened = await openBlob({ ...options, kind, readAhead: false, cacheSize: CACHE });
  const { reader } = opened;
  try {
    const content = await contentOf(opened, kind, options);
    const start = Math.min(offset, content.length);
    const wanted = {
      offset: content.offset + start,
      length: Math.min(length, content.length - start),
    };
    let done = 0;
    for await (const bytes of readInOrder(reader, wanted, signal)) {
      yield bytes;
      done += bytes.length;
      onProgress?.(progressOf('cat', done, wanted.length));
    }
  } finally {
    await reader.close();
  }
}

type CatKind = NonNullable<CatOptions['kind']>;

/** @throws PipelineError `USAGE` if there is a path where none can be, or none where one must be */
function kindOf({ input, kind = kindOfPath(input) ?? 'blob', subtree }: CatOptions): CatKind {
  const isArchive = kind === 'archive' || kind === 'archive-index';
  if (isArchive === (subtree !== undefined)) return kind;
  const reason = isArchive
    ? 'The path of a file in the archive expected.'
    : 'A path is only supported in an archive or archive index.';
  throw new PipelineError('USAGE', { reason });
}

/** Where the bytes lie that offset and length are about. */
async function contentOf(
  { reader, expectedFlags }: OpenedBlob,
  kind: CatKind,
  { subtree, signal }: CatOptions,
): Promise<BlobRange> {
  if (kind !== 'archive' && kind !== 'archive-index') return { offset: 0, length: reader.size };
  const path = subtreePath(subtree);
  const signalOption = signal ? { signal } : {};
  const { node, end } = await locateNode(openBlobSource(reader, signalOption), path, {
    breathe: createBreather(),
    ...signalOption,
    ...(expectedFlags === undefined ? {} : { expectedFlags }),
  });
  if (node.type === 'file') return { offset: end - node.size, length: node.size };
  throw new PipelineError('USAGE', { subject: `./${escapeBytes(path)}`, reason: unfit(node) });
}

function unfit({ type, linkTarget }: CatarNode): string {
  if (linkTarget === undefined) return `Is no file but a ${type.replace('-', ' ')}.`;
  return `Is a symbolic link to ${escapeBytes(linkTarget)}; links are not followed.`;
}

/** The parts of a range, in order; those behind are read meanwhile. */
async function* readInOrder(
  reader: BlobReader,
  { offset, length }: BlobRange,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const underWay: Promise<Uint8Array>[] = [];
  const end = offset + length;
  for (let next = offset; next < end || underWay.length > 0; ) {
    while (next < end && underWay.length < MOST_UNDER_WAY) {
      const part = { offset: next, length: Math.min(PART, end - next) };
      underWay.push(unattended(readPart(reader, part, signal)));
      next += part.length;
    }
    const [first] = underWay.splice(0, 1);
    yield await first;
  }
}

/** A copy: pieces are as long as chunks, and to pass on many small ones costs more. */
async function readPart(
  reader: BlobReader,
  range: BlobRange,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  return copyAndRelease(await reader.read(range, signal ? { signal } : {}));
}
