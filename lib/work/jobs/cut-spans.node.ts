/**
 * Job of the encoder cache and of directories as seeds: brings a stretch of an archive into the shared
 * memory, where its inline bytes are already, and cuts it into chunks.
 */
import { isCasError } from '../../../formats/errors.ts';
import { PipelineError } from '../../errors.ts';
import { hasAttributes, hasInode, IDENTITY_LENGTH } from '../../make/file-identity.ts';
import { readSource } from '../../make/read-source.node.ts';
import { statDescriptor } from '../../os/file-stat.node.ts';
import { closeEntry, openBelow } from '../../os/open.node.ts';
import { type ErrorMessage, messageOfError } from '../error-message.ts';
import type { JobContext } from '../job-context.node.ts';

export interface CutSpansInput {
  /** Of the stretch in the shared memory; a chunk begins with it. */
  readonly address: number;
  readonly length: number;
  /** Whether the archive ends with the stretch. */
  readonly isEnd: boolean;
  /** Bytes that every chunk has at most. */
  readonly longestChunk: number;
  readonly files: StretchFiles;
  /** What takes the place of a content that cannot be read. */
  readonly unreadable: 'failure' | 'zeros';
}

/** Ranges of files that are parts of a stretch. */
export interface StretchFiles {
  /** Descriptor of the tree's root. */
  readonly root: number;
  /** Below the root, each followed by a NUL. */
  readonly paths: Uint8Array;
  /** For each file: offset in it, length, address in the shared memory. */
  readonly ranges: Float64Array;
  /** What each of them was when its entry was read. */
  readonly identities: Uint8Array;
}

export interface CutSpansOutput {
  /**
   * Ends of chunks, relative to the stretch. What is left behind the last one belongs to a chunk that
   * does not end here.
   */
  readonly ends: Uint32Array;
  /** Numbers of the files that are not, or do not stay, what they were. */
  readonly changed: Uint32Array;
  /** The first file that cannot be read. */
  readonly failure?: { readonly file: number; readonly error: ErrorMessage };
}

export const RANGE_COLUMNS = 3;
/** Less is not looked at, unless the archive ends. */
const SMALLEST_CHUNK = 48;

export function cutSpans(context: JobContext, input: CutSpansInput): CutSpansOutput {
  const { files, unreadable } = input;
  const changed: number[] = [];
  let file = 0;
  for (const path of pathsOf(files.paths)) {
    const [offset, length, address] = files.ranges.subarray(file * RANGE_COLUMNS);
    const identity = files.identities.subarray(file * IDENTITY_LENGTH);
    const bytes = context.bytes(address, length);
    try {
      if (!readRange(files.root, path, identity, bytes, offset)) changed.push(file);
    } catch (error) {
      if (!isCasError(error)) throw error;
      changed.push(file);
      bytes.fill(0);
      if (unreadable === 'failure') {
        return { ends: NONE, changed: NONE, failure: { file, error: messageOfError(error) } };
      }
    }
    file += 1;
  }
  return { ends: cut(context, input), changed: Uint32Array.from(changed) };
}

const NONE = new Uint32Array(0);

function cut(context: JobContext, input: CutSpansInput): Uint32Array {
  const { address, length, isEnd, longestChunk } = input;
  const bytes = context.bytes(address, length);
  const ends: number[] = [];
  for (let start = 0; start < length; ) {
    const isWhole = isEnd || length - start >= longestChunk;
    if (!isWhole && length - start < SMALLEST_CHUNK) break;
    const end = start + context.scanner.firstChunk(bytes.subarray(start));
    // A cut within what is there does not depend on what follows.
    if (!isWhole && end === length) break;
    ends.push(end);
    start = end;
  }
  return Uint32Array.from(ends);
}

function* pathsOf(paths: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < paths.length; ) {
    const end = paths.indexOf(0, start);
    yield paths.subarray(start, end);
    start = end + 1;
  }
}

/**
 * @returns whether the file was and stayed what `identity` says
 * @throws PipelineError without subject
 */
function readRange(
  root: number,
  path: Uint8Array,
  identity: Uint8Array,
  into: Uint8Array,
  offset: number,
): boolean {
  const fd = openBelow(root, path);
  try {
    const stat = statDescriptor(fd);
    if (!hasInode(stat, identity)) {
      const reason = 'another file took its place while it was read';
      throw new PipelineError('SOURCE_CHANGED', { step: 'read', reason });
    }
    readSource(fd, into, offset);
    return hasAttributes(stat, identity) && hasAttributes(statDescriptor(fd), identity);
  } finally {
    closeEntry(fd);
  }
}
