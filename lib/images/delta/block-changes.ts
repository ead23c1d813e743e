/**
 * Deltas of blocks as one ascending sequence of changes: of one file, or of several that follow each
 * other, merged on the way (spec/formats/delta.md, "Several deltas").
 */
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { deltaFailure, type ImageVersion } from '../../../formats/delta.ts';
import {
  BlocksCheck,
  type BlocksRecord,
  decodeBlocksRecord,
  NEW,
  type NewState,
  OLD,
  type OldState,
} from '../../../formats/delta-blocks.ts';
import { about, CasError } from '../../../formats/errors.ts';
import { type BlockChange, follows, NOTHING } from './block-change.ts';
import type { DeltaFile } from './delta-file.ts';

/** Stands behind the last change. */
const BEYOND = Number.POSITIVE_INFINITY;

/** The changes of one delta, each block checked against its digest. */
class ChangeCursor implements BlockChange {
  block = -1;
  old: OldState = OLD.unknown;
  new: NewState = NEW.absent;
  oldDigest: Uint8Array = NOTHING;
  newDigest: Uint8Array = NOTHING;
  bytes: Uint8Array = NOTHING;
  readonly file: DeltaFile;
  readonly #records: ReturnType<DeltaFile['records']>;
  readonly #check: BlocksCheck;
  readonly #isChecked: boolean;
  readonly #expected = new Uint8Array(DIGEST_LENGTH);
  #record: BlocksRecord | undefined;
  #data: Uint8Array = NOTHING;
  #at = 0;
  #run = 0;
  #done = 0;
  #oldAt = 0;
  #newAt = 0;
  #dataAt = 0;

  /** @param isChecked whether the bytes of blocks are wanted, and checked then */
  constructor(file: DeltaFile, isChecked: boolean) {
    this.file = file;
    this.#records = file.records();
    this.#check = new BlocksCheck(file.header.blockSize, file.end.base, file.end.result);
    this.#isChecked = isChecked;
  }

  /** Moves to the next change; a promise where a record has to be read. */
  advance(): void | Promise<void> {
    const run = this.#record?.runs[this.#run];
    if (run === undefined) return this.#load();
    this.block = run.first + this.#done;
    this.old = run.old;
    this.new = run.new;
    this.oldDigest = run.old === OLD.digest ? this.#nextOld() : NOTHING;
    this.newDigest = run.new === NEW.data ? this.#nextNew() : NOTHING;
    this.bytes = run.new === NEW.data && this.#isChecked ? this.#nextBytes() : NOTHING;
    this.#done += 1;
    if (this.#done < run.count) return;
    this.#run += 1;
    this.#done = 0;
  }

  async #load(): Promise<void> {
    const { file } = this;
    const { done, value } = this.#records.next();
    if (done) {
      this.block = BEYOND;
      this.#attempt(() => this.#check.finish(0));
      return;
    }
    const record = this.#attempt(() => {
      if (value.type !== 'blocks') throw deltaFailure(value.type, value.at, 'blocks expected');
      const decoded = decodeBlocksRecord(value.body, value.at);
      this.#check.take(decoded, value.at);
      return decoded;
    });
    this.#at = value.at;
    this.#data = this.#isChecked ? await file.dataOf(record, value.at) : NOTHING;
    this.#record = record;
    this.#run = 0;
    this.#done = 0;
    this.#oldAt = 0;
    this.#newAt = 0;
    this.#dataAt = 0;
    return this.advance();
  }

  #nextOld(): Uint8Array {
    const digests = this.#record?.oldDigests ?? NOTHING;
    this.#oldAt += DIGEST_LENGTH;
    return digests.subarray(this.#oldAt - DIGEST_LENGTH, this.#oldAt);
  }

  #nextNew(): Uint8Array {
    const digests = this.#record?.newDigests ?? NOTHING;
    this.#newAt += DIGEST_LENGTH;
    return digests.subarray(this.#newAt - DIGEST_LENGTH, this.#newAt);
  }

  /** @throws FormatError if they are not what the digest says */
  #nextBytes(): Uint8Array {
    const { header, end, digest } = this.file;
    const length = Math.min(header.blockSize, end.result.size - this.block * header.blockSize);
    const bytes = this.#data.subarray(this.#dataAt, this.#dataAt + length);
    this.#dataAt += length;
    digest.write(bytes, this.#expected, 0);
    if (equalBytes(this.#expected, this.newDigest)) return bytes;
    throw about(this.file.label, deltaFailure(`block ${this.block}`, this.#at, 'digest differs'));
  }

  #attempt<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      throw about(this.file.label, error);
    }
  }
}

export interface ChangesOptions {
  /** Whether the bytes of blocks are wanted; they are checked against their digests then. */
  readonly hasBytes: boolean;
}

/**
 * What several deltas, each made for the result of the one before, do together.
 * @throws FormatError about one of them; CasError `USAGE` if they do not follow each other
 */
export async function* changesOf(
  files: readonly DeltaFile[],
  { hasBytes }: ChangesOptions,
): AsyncGenerator<BlockChange> {
  const cursors = files.map((file) => new ChangeCursor(file, hasBytes));
  for (const cursor of cursors) await cursor.advance();
  const [first, last] = [files[0], files[files.length - 1]];
  const { blockSize } = first.header;
  const [base, result] = [first.end.base, last.end.result];
  for (;;) {
    let block = BEYOND;
    for (const cursor of cursors) block = Math.min(block, cursor.block);
    if (block === BEYOND) return;
    const here = cursors.filter((cursor) => cursor.block === block);
    for (const [i, newer] of here.entries()) {
      if (i > 0 && !follows(newer, here[i - 1])) throw notFollowing(newer.file.label);
    }
    const change = joined(here[0], here[here.length - 1]);
    if (here.length === 1 || isChange(change, blockSize, base, result)) yield change;
    for (const cursor of here) await cursor.advance();
  }
}

function joined(oldest: BlockChange, newest: BlockChange): BlockChange {
  if (oldest === newest) return oldest;
  const { block, old, oldDigest } = oldest;
  const { newDigest, bytes } = newest;
  return { block, old, oldDigest, new: newest.new, newDigest, bytes };
}

/** Whether a block is not the same in the end. */
function isChange(
  change: BlockChange,
  blockSize: number,
  base: ImageVersion,
  result: ImageVersion,
): boolean {
  const start = change.block * blockSize;
  const [before, after] = [base, result].map(({ size }) => Math.min(blockSize, size - start));
  if (before <= 0 && after <= 0) return false;
  if (before !== after) return true;
  if (change.new === NEW.zeros) return change.old !== OLD.zeros;
  return change.old !== OLD.digest || !equalBytes(change.oldDigest, change.newDigest);
}

export function notFollowing(label: string): CasError {
  const reason = 'the delta was made for something else than the one before it leaves';
  return new CasError('USAGE', { subject: label, reason });
}
