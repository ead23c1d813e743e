/**
 * Records what an update of an image overwrites, as a delta that leads back (spec/formats/delta.md,
 * "Taking back"). What it becomes is known at the end only; until then the old bytes lie in a file
 * without a name.
 */
import { closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { type BlockDigestName, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import type { DeltaEnd, ImageVersion } from '../../../formats/delta.ts';
import { NEW, OLD } from '../../../formats/delta-blocks.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import { isZero } from '../../extract/sparse.node.ts';
import { openFileSink } from '../../make/file-sink.node.ts';
import { readFully } from '../../os/read.node.ts';
import { openScratchFile } from '../../os/scratch-file.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { writeFully } from '../../os/write.node.ts';
import { ZeroDigests } from '../zero-digests.ts';
import { NOTHING } from './block-change.ts';
import { DeltaWriter } from './delta-writer.node.ts';

export interface UndoOptions {
  readonly digest: BlockDigestName;
  readonly blockSize: number;
  /** What the destination was before the first write. */
  readonly before: ImageVersion;
}

/** Blocks one behind the other, and where their bytes are; nowhere if they are zeros. */
interface KeptRun extends BlockRun {
  readonly offset: number | undefined;
}

const MODE = 0o600;

export class UndoRecorder {
  readonly #path: string;
  readonly #options: UndoOptions;
  readonly #scratch: number;
  readonly #runs: KeptRun[] = [];
  #length = 0;
  #isOpen = true;

  /** @param path of the delta, which appears at the end. @throws PipelineError */
  constructor(path: string, options: UndoOptions) {
    this.#path = path;
    this.#options = options;
    this.#scratch = openScratchFile(dirname(path));
  }

  /** @param bytes what is about to be overwritten or cut off; may end within the last block */
  async add({ first }: BlockRun, bytes: Uint8Array): Promise<void> {
    const { blockSize } = this.#options;
    for (let start = 0; start < bytes.length; start += blockSize) {
      const block = bytes.subarray(start, start + blockSize);
      const offset = isZero(block) ? undefined : await this.#keep(block);
      this.#note(first + start / blockSize, offset);
    }
  }

  /**
   * Writes the delta.
   * @param now the digests of the destination as it is now, complete
   */
  async finish(now: BlockTable): Promise<DeltaEnd> {
    const { digest, blockSize, before } = this.#options;
    const sink = await openFileSink(this.#path, { mode: MODE });
    const header = { kind: 'blocks' as const, isUndo: true, digest, blockSize };
    const writer = new DeltaWriter(sink, { ...header, chunkSizes: undefined });
    try {
      await this.#writeKept(writer, now);
      const zeros = new ZeroDigests(writer.digest, blockSize);
      for (let block = Math.ceil(before.size / blockSize); block < now.count; block++) {
        const gone = { block, new: NEW.absent, newDigest: NOTHING, bytes: NOTHING };
        await writer.change({ ...gone, ...stateIn(now, block, zeros) }, 0);
      }
      const after = { size: now.size, root: rootOfTable(writer.digest, now) };
      return await writer.finish(after, before);
    } finally {
      await writer.discard();
      this.discard();
    }
  }

  /** Gives up. Does nothing after {@link finish}. */
  discard(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#scratch);
  }

  async #writeKept(writer: DeltaWriter, now: BlockTable): Promise<void> {
    const { blockSize, before } = this.#options;
    const zeros = new ZeroDigests(writer.digest, blockSize);
    const block = new Uint8Array(blockSize);
    const newDigest = new Uint8Array(DIGEST_LENGTH);
    let next = 0;
    for (const run of this.#runs.sort((a, b) => a.first - b.first)) {
      for (let number = Math.max(run.first, next); number < run.first + run.count; number++) {
        const length = Math.min(blockSize, before.size - number * blockSize);
        if (length <= 0) break;
        next = number + 1;
        const old = stateIn(now, number, zeros);
        const bytes = block.subarray(0, length);
        if (run.offset === undefined) newDigest.set(zeros.of(length));
        else this.#read(bytes, run.offset + (number - run.first) * blockSize);
        if (run.offset !== undefined) writer.digest.write(bytes, newDigest, 0);
        if (number < now.count && equalBytes(newDigest, now.digests(number, 1))) continue;
        const content =
          run.offset === undefined
            ? { new: NEW.zeros, newDigest: NOTHING, bytes: NOTHING }
            : { new: NEW.data, newDigest, bytes };
        await writer.change({ block: number, ...old, ...content }, length);
      }
    }
  }

  /** @returns where the bytes of a block are now */
  async #keep(block: Uint8Array): Promise<number> {
    const offset = this.#length;
    await writeFully(this.#scratch, block, offset);
    // All but the last block of an image are of one length.
    this.#length += this.#options.blockSize;
    return offset;
  }

  #note(block: number, offset: number | undefined): void {
    const last = this.#runs.at(-1);
    const isNext = last !== undefined && last.first + last.count === block;
    const isBehind =
      last?.offset === undefined
        ? offset === undefined
        : offset === last.offset + last.count * this.#options.blockSize;
    if (isNext && isBehind) this.#runs[this.#runs.length - 1] = { ...last, count: last.count + 1 };
    else this.#runs.push({ first: block, count: 1, offset });
  }

  #read(into: Uint8Array, offset: number): void {
    try {
      readFully(this.#scratch, into, offset);
    } catch (error) {
      throw systemFailure('read', error, this.#path);
    }
  }
}

function stateIn(table: BlockTable, block: number, zeros: ZeroDigests) {
  if (block >= table.count) return { old: OLD.absent, oldDigest: NOTHING };
  const oldDigest = table.digests(block, 1);
  const isZeros = equalBytes(oldDigest, zeros.of(table.sizeOf(block)));
  return isZeros ? { old: OLD.zeros, oldDigest: NOTHING } : { old: OLD.digest, oldDigest };
}
