/** Blob output front to back: a pipe, a terminal, a character device, or a file opened by the shell. */
import { closeSync } from 'node:fs';
import { about } from '../../formats/errors.ts';
import { writeFully } from '../os/write.node.ts';
import { unlessAborted } from '../read/waiting.ts';
import { HOLE_BLOCK } from './sparse.node.ts';
import { type BlockTarget, NO_COUNTS } from './target.ts';

export interface StreamTargetOptions {
  readonly label: string;
  /** Close the descriptor in the end; default false. */
  readonly close?: boolean;
  /** Ends the waiting for a reader that takes nothing. */
  readonly signal?: AbortSignal;
}

const ZEROS = new Uint8Array(64 * HOLE_BLOCK);

/** A target that takes the bytes in order and keeps nothing back: a reader sees them at once. */
export function openStreamTarget(fd: number, options: StreamTargetOptions): BlockTarget {
  const { label, signal } = options;
  let position = 0;
  let open = options.close === true;

  async function write(bytes: Uint8Array, offset: number): Promise<void> {
    if (offset !== position) throw new TypeError('a stream is written front to back');
    position += bytes.length;
    try {
      await unlessAborted(writeFully(fd, bytes, null), signal);
    } catch (error) {
      throw about(label, error);
    }
  }

  async function close(): Promise<void> {
    if (!open) return;
    open = false;
    closeSync(fd);
  }

  return {
    label,
    isStream: true,
    counts: NO_COUNTS,
    write: (bytes, offset) => write(bytes, offset),
    async zero(offset, length) {
      for (let done = 0; done < length; done += ZEROS.length) {
        await write(ZEROS.subarray(0, length - done), offset + done);
      }
    },
    commit: close,
    discard: close,
  };
}
