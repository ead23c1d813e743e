/** Digests of the contents of open files, for tree sessions: equal content is found by them. */
import { createHash } from 'node:crypto';
import { CONTENT_DIGEST_LENGTH } from '../../../formats/tree-session.ts';
import { throwIfAborted } from '../../errors.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { Breather } from '../../work/breathe.ts';

const PIECE_LENGTH = 1024 * 1024;
/** Bytes at the begin of a file by which large files are told apart cheaply. */
const HEAD_LENGTH = 4096;

/** Only one file is read at a time. */
let memory: Buffer | undefined;

/** Memory for pieces of files; whoever fills it uses it before anything is waited for. */
function pieceMemory(): Buffer {
  memory ??= Buffer.allocUnsafeSlow(PIECE_LENGTH);
  return memory;
}

/** @throws PipelineError without subject */
export function readPiece(fd: number, into: Uint8Array, offset: number): number {
  try {
    return readFully(fd, into, offset);
  } catch (error) {
    throw systemFailure('read', error);
  }
}

/** Running digest of the content of a file. */
export class ContentDigest {
  readonly #hash = createHash('sha256');

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  zeros(length: number): void {
    const zeros = new Uint8Array(Math.min(length, PIECE_LENGTH));
    for (let left = length; left > 0; left -= zeros.length) {
      this.#hash.update(zeros.subarray(0, left));
    }
  }

  finish(): Buffer {
    return this.#hash.digest().subarray(0, CONTENT_DIGEST_LENGTH);
  }
}

export interface DigestOptions {
  readonly breathe: Breather;
  readonly signal?: AbortSignal | undefined;
}

/** @returns undefined if the file does not have so many bytes @throws PipelineError without subject */
export async function digestFile(
  fd: number,
  size: number,
  { breathe, signal }: DigestOptions,
): Promise<Buffer | undefined> {
  const digest = new ContentDigest();
  const buffer = pieceMemory();
  for (let offset = 0; offset < size; ) {
    throwIfAborted(signal);
    const length = readPiece(
      fd,
      buffer.subarray(0, Math.min(buffer.length, size - offset)),
      offset,
    );
    if (length === 0) return undefined;
    digest.update(buffer.subarray(0, length));
    offset += length;
    await breathe();
  }
  return digest.finish();
}

/** Of the begin only. @throws PipelineError without subject */
export function headOfFile(fd: number): number {
  const buffer = pieceMemory().subarray(0, HEAD_LENGTH);
  const length = readPiece(fd, buffer, 0);
  return createHash('sha256').update(buffer.subarray(0, length)).digest().readUInt32LE(0);
}
