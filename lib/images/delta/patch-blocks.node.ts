/**
 * Applies deltas of blocks. Everything is checked before the first write: the deltas to their last byte,
 * and the base in all blocks that are to be overwritten (spec/formats/delta.md, "Patching").
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { NEW, OLD } from '../../../formats/delta-blocks.ts';
import { PipelineError, throwIfAborted } from '../../errors.ts';
import { isZero } from '../../extract/sparse.node.ts';
import { type ProgressSink, progressOf } from '../../progress.ts';
import { createBreather } from '../../work/breathe.ts';
import { type BlockChange, NOTHING } from './block-change.ts';
import { changesOf } from './block-changes.ts';
import { type BlockPlace, BlockWriter } from './block-writer.ts';
import type { DeltaFile } from './delta-file.ts';
import type { ChangeTaker } from './make-blocks.node.ts';

export interface PatchWork {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressSink | undefined;
}

/** What is patched, as it is before. */
export interface PatchedBase {
  readonly label: string;
  readonly kind: 'file' | 'device';
  /** In bytes. */
  readonly size: number;
  /** Fills all of `into`; behind the end there are zeros. */
  read(into: Uint8Array, offset: number): void;
}

export interface CheckOptions extends PatchWork {
  /** Whether a run was cut off here: blocks may hold anything then. */
  readonly isResumed: boolean;
  /** Gets the way back. */
  readonly undo?: ChangeTaker | undefined;
}

export interface BaseState {
  /** Blocks that are not yet what they are to be. */
  readonly pendingBlocks: number;
  /** Whether the length is to change. */
  readonly isResized: boolean;
}

/**
 * @throws PipelineError `UNSAFE_TARGET` if the base is not what the deltas were made for; FormatError about
 * a delta that is damaged
 */
export async function checkBase(
  base: PatchedBase,
  files: readonly DeltaFile[],
  options: CheckOptions,
): Promise<BaseState> {
  const check = new BaseCheck(base, files, options);
  const breathe = createBreather();
  for await (const change of changesOf(files, { hasBytes: true })) {
    await check.take(change);
    await breathe();
    throwIfAborted(options.signal);
  }
  return check.finish();
}

class BaseCheck {
  readonly #base: PatchedBase;
  readonly #options: CheckOptions;
  readonly #digest: DeltaFile['digest'];
  readonly #blockSize: number;
  readonly #oldSize: number;
  readonly #newSize: number;
  /** Whether the length says that nothing, or everything, was done already. */
  readonly #mayBeOld: boolean;
  readonly #mayBeNew: boolean;
  readonly #block: Uint8Array;
  readonly #found = new Uint8Array(DIGEST_LENGTH);
  #pending = 0;
  #done = 0;

  constructor(base: PatchedBase, files: readonly DeltaFile[], options: CheckOptions) {
    const [first, last] = [files[0], files[files.length - 1]];
    this.#base = base;
    this.#options = options;
    this.#digest = first.digest;
    this.#blockSize = first.header.blockSize;
    this.#oldSize = first.end.base.size;
    this.#newSize = last.end.result.size;
    this.#block = new Uint8Array(this.#blockSize);
    const isDevice = base.kind === 'device';
    this.#mayBeOld = isDevice ? base.size >= this.#oldSize : base.size === this.#oldSize;
    this.#mayBeNew = isDevice ? base.size >= this.#newSize : base.size === this.#newSize;
    if (isDevice && base.size < this.#newSize) {
      const reason = `the result has ${this.#newSize} bytes, here is room for ${base.size}`;
      throw new PipelineError('TARGET_FULL', { subject: base.label, step: 'patch', reason });
    }
    if (!options.isResumed && !this.#mayBeOld && !this.#mayBeNew) {
      throw this.#wrong(`it has ${base.size} bytes, and the base ${this.#oldSize}`);
    }
  }

  async take(change: BlockChange): Promise<void> {
    if (this.#options.isResumed) {
      this.#pending += 1;
      return;
    }
    const start = change.block * this.#blockSize;
    const before = Math.max(0, Math.min(this.#blockSize, this.#oldSize - start));
    const after = Math.max(0, Math.min(this.#blockSize, this.#newSize - start));
    const old = this.#mayBeOld ? this.#oldBytes(change, start, before) : undefined;
    if (old === undefined) {
      if (!this.#mayBeNew || !this.#isNew(change, start, after)) {
        const reason = `the block at ${start} is neither what it was for the delta nor what it becomes`;
        throw this.#wrong(reason);
      }
      this.#done += 1;
      return;
    }
    this.#pending += 1;
    await this.#options.undo?.change(this.#reverse(change, old), before);
  }

  finish(): BaseState {
    const isResized = this.#base.kind === 'file' && this.#base.size !== this.#newSize;
    if (this.#options.undo !== undefined && this.#done > 0 && (this.#pending > 0 || isResized)) {
      const reason = 'a part of the change is there already; what was there before is not known';
      throw this.#wrong(reason);
    }
    return { pendingBlocks: this.#pending, isResized };
  }

  /** What is there, if it is what the delta was made for. */
  #oldBytes(change: BlockChange, start: number, length: number): Uint8Array | undefined {
    const bytes = this.#block.subarray(0, length);
    // A device has something behind the image; nobody knows what.
    if (change.old === OLD.absent) return this.#isThere(change, start) ? undefined : NOTHING;
    this.#base.read(bytes, start);
    if (change.old === OLD.zeros) return isZero(bytes) ? bytes : undefined;
    if (change.old === OLD.unknown) return this.#isThere(change, start) ? undefined : bytes;
    this.#digest.write(bytes, this.#found, 0);
    return equalBytes(this.#found, change.oldDigest) ? bytes : undefined;
  }

  /** Whether a block of which nothing is known before is what it is to become. */
  #isThere(change: BlockChange, start: number): boolean {
    const length = Math.min(this.#blockSize, this.#newSize - start);
    return this.#mayBeNew && length > 0 && this.#isNew(change, start, length);
  }

  #isNew(change: BlockChange, start: number, length: number): boolean {
    if (change.new === NEW.absent) return true;
    const bytes = new Uint8Array(length);
    this.#base.read(bytes, start);
    if (change.new === NEW.zeros) return isZero(bytes);
    this.#digest.write(bytes, this.#found, 0);
    return equalBytes(this.#found, change.newDigest);
  }

  #reverse(change: BlockChange, bytes: Uint8Array): BlockChange {
    const { block, newDigest } = change;
    const old = { block, old: OLD_OF[change.new], oldDigest: newDigest };
    if (change.old === OLD.absent) {
      return { ...old, new: NEW.absent, newDigest: NOTHING, bytes: NOTHING };
    }
    if (isZero(bytes)) return { ...old, new: NEW.zeros, newDigest: NOTHING, bytes: NOTHING };
    const digest = new Uint8Array(DIGEST_LENGTH);
    this.#digest.write(bytes, digest, 0);
    return { ...old, new: NEW.data, newDigest: digest, bytes };
  }

  #wrong(why: string): PipelineError {
    const reason = `${why}; nothing was written`;
    return new PipelineError('UNSAFE_TARGET', {
      subject: this.#base.label,
      step: 'patch',
      reason,
    });
  }
}

const OLD_OF = {
  [NEW.absent]: OLD.absent,
  [NEW.zeros]: OLD.zeros,
  [NEW.data]: OLD.digest,
} as const;

export interface WrittenBlocks {
  readonly writtenBytes: number;
  readonly holeBytes: number;
}

/** Writes what changes, and leaves the length alone. @param size bytes of the result */
export async function writeChanges(
  place: BlockPlace,
  files: readonly DeltaFile[],
  { signal, onProgress }: PatchWork,
): Promise<WrittenBlocks> {
  const last = files[files.length - 1];
  const { blockSize } = last.header;
  const { size } = last.end.result;
  const writer = new BlockWriter(place);
  const breathe = createBreather();
  for await (const change of changesOf(files, { hasBytes: true })) {
    const start = change.block * blockSize;
    const length = Math.min(blockSize, size - start);
    if (change.new === NEW.zeros) await writer.addZeros(start, length);
    if (change.new === NEW.data) await writer.add(change.bytes, start);
    await breathe();
    throwIfAborted(signal);
    onProgress?.(progressOf('patch', Math.min(start + length, size), size));
  }
  await writer.flush();
  return { writtenBytes: writer.writtenBytes, holeBytes: writer.holeBytes };
}
