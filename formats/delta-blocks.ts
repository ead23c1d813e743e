/**
 * Records of changed blocks in a delta: what each block was, what it becomes, and its bytes
 * (spec/formats/delta.md, "Blocks").
 */
import { DIGEST_LENGTH } from './block-digest.ts';
import { readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { DELTA_ENCODING, deltaFailure, type ImageVersion, LARGEST_DELTA_BLOCK } from './delta.ts';

const HEAD_LENGTH = 16;
const RUN_LENGTH = 16;
/** Most runs of a record. */
export const MAX_DELTA_RUNS = 16_384;
/** Most blocks of a record whose digests stand in it, of old and new ones each. */
export const MAX_DELTA_DIGESTS = 65_536;
/** Bytes of new blocks in a record, unless one block is longer. */
export const DELTA_DATA_LENGTH = 1024 * 1024;
const MAX_DATA = LARGEST_DELTA_BLOCK;
const MAX_COUNT = 0xffff_ffff;

/** What a block was: not there, zeros, bytes with a digest, or something that nobody knows. */
export const OLD = { absent: 0, zeros: 1, digest: 2, unknown: 3 } as const;
/** What it becomes: it goes, zeros, or bytes that the record holds. */
export const NEW = { absent: 0, zeros: 1, data: 2 } as const;
export type OldState = (typeof OLD)[keyof typeof OLD];
export type NewState = (typeof NEW)[keyof typeof NEW];

/** Blocks one behind the other to which the same happens. */
export interface ChangedRun {
  readonly first: number;
  readonly count: number;
  readonly old: OldState;
  readonly new: NewState;
}

export interface BlocksRecord {
  /** Ascending, none twice. */
  readonly runs: readonly ChangedRun[];
  /** 32 bytes for each block of runs whose old state is `digest`. */
  readonly oldDigests: Uint8Array;
  /** 32 bytes for each block of runs whose new state is `data`. */
  readonly newDigests: Uint8Array;
  /** Bytes of these, plain. */
  readonly dataLength: number;
  readonly isCompressed: boolean;
  readonly stored: Uint8Array;
}

/** The body as parts. */
export function encodeBlocksRecord(record: BlocksRecord): readonly Uint8Array[] {
  const head = new Uint8Array(HEAD_LENGTH + record.runs.length * RUN_LENGTH);
  writeU32(head, 0, record.runs.length);
  writeU32(head, 4, record.isCompressed ? DELTA_ENCODING.zstd : DELTA_ENCODING.plain);
  writeU64(head, 8, record.dataLength);
  for (const [i, run] of record.runs.entries()) {
    const offset = HEAD_LENGTH + i * RUN_LENGTH;
    writeU64(head, offset, run.first);
    writeU32(head, offset + 8, run.count);
    head[offset + 12] = run.old;
    head[offset + 13] = run.new;
  }
  return [head, record.oldDigests, record.newDigests, record.stored];
}

/**
 * @param body in place
 * @param at its offset in the file, for messages
 * @throws FormatError
 */
export function decodeBlocksRecord(body: Uint8Array, at: number): BlocksRecord {
  const fail = (offset: number, expectation: string) =>
    deltaFailure('blocks', at + offset, expectation);
  if (body.length < HEAD_LENGTH) throw fail(0, 'the record ends early');
  const runCount = readU32(body, 0);
  const encoding = readU32(body, 4);
  const dataLength = readSize(body, 8);
  if (runCount === 0 || runCount > MAX_DELTA_RUNS) {
    throw fail(0, `a record has 1 to ${MAX_DELTA_RUNS} runs`);
  }
  if (encoding > DELTA_ENCODING.zstd) throw fail(4, 'unknown encoding');
  if (encoding === DELTA_ENCODING.zstd && dataLength === 0) throw fail(4, 'nothing is compressed');
  if (dataLength > MAX_DATA) throw fail(8, `a record has at most ${MAX_DATA} bytes of blocks`);
  const runsEnd = HEAD_LENGTH + runCount * RUN_LENGTH;
  if (body.length < runsEnd) throw fail(body.length, 'the record ends early');
  const runs: ChangedRun[] = [];
  let [oldCount, newCount] = [0, 0];
  for (let offset = HEAD_LENGTH; offset < runsEnd; offset += RUN_LENGTH) {
    const run = decodeRun(body, offset, (expectation) => fail(offset, expectation));
    if (run.old === OLD.digest) oldCount += run.count;
    if (run.new === NEW.data) newCount += run.count;
    runs.push(run);
  }
  if (Math.max(oldCount, newCount) > MAX_DELTA_DIGESTS) {
    throw fail(0, `a record has at most ${MAX_DELTA_DIGESTS} digests`);
  }
  const newAt = runsEnd + oldCount * DIGEST_LENGTH;
  const storedAt = newAt + newCount * DIGEST_LENGTH;
  if (body.length < storedAt) throw fail(body.length, 'the record ends early');
  const stored = body.subarray(storedAt);
  const isCompressed = encoding === DELTA_ENCODING.zstd;
  if (!isCompressed && stored.length !== dataLength) throw fail(8, 'length of blocks differs');
  return {
    runs,
    oldDigests: body.subarray(runsEnd, newAt),
    newDigests: body.subarray(newAt, storedAt),
    dataLength,
    isCompressed,
    stored,
  };
}

function decodeRun(
  body: Uint8Array,
  offset: number,
  fail: (expectation: string) => Error,
): ChangedRun {
  const first = readSize(body, offset);
  const count = readU32(body, offset + 8);
  const [old, now] = [body[offset + 12], body[offset + 13]];
  if (first > Number.MAX_SAFE_INTEGER - MAX_COUNT) throw fail('number of block too large');
  if (count === 0) throw fail('a run without blocks');
  if (old > OLD.unknown || now > NEW.data) throw fail('unknown state of a block');
  if (old === OLD.absent && now === NEW.absent) throw fail('a block that never was');
  if (body[offset + 14] + body[offset + 15] > 0) throw fail('zeros expected');
  return { first, count, old: old as OldState, new: now as NewState };
}

/**
 * What all records of a delta must be together: runs in ascending order, states that fit the sizes, and
 * nothing left out that the base does not have.
 */
export class BlocksCheck {
  readonly #blockSize: number;
  readonly #base: number;
  readonly #result: number;
  /** Number of the block in which the shorter image ends, if that is a part of a block. */
  readonly #border: number | undefined;
  #end = 0;
  #absent = 0;
  #sawBorder = false;

  constructor(blockSize: number, base: ImageVersion, result: ImageVersion) {
    this.#blockSize = blockSize;
    this.#base = base.size;
    this.#result = result.size;
    const shorter = Math.min(base.size, result.size);
    const isCut = base.size !== result.size && shorter % blockSize > 0;
    this.#border = isCut ? Math.floor(shorter / blockSize) : undefined;
  }

  /** @param at offset of the body in the file. @throws FormatError */
  take({ runs, dataLength }: BlocksRecord, at: number): void {
    const fail = (expectation: string) => deltaFailure('blocks', at, expectation);
    const baseCount = Math.ceil(this.#base / this.#blockSize);
    const resultCount = Math.ceil(this.#result / this.#blockSize);
    let data = 0;
    for (const run of runs) {
      const end = run.first + run.count;
      if (run.first < this.#end) throw fail('runs must ascend');
      this.#end = end;
      const isOldRight = run.old === OLD.absent ? run.first >= baseCount : end <= baseCount;
      const isNewRight = run.new === NEW.absent ? run.first >= resultCount : end <= resultCount;
      if (!isOldRight || !isNewRight) throw fail('a run does not fit the sizes');
      if (run.old === OLD.absent || run.new === NEW.absent) this.#absent += run.count;
      if (this.#border !== undefined && run.first <= this.#border && this.#border < end) {
        this.#sawBorder = true;
      }
      if (run.new !== NEW.data) continue;
      data += Math.min(end * this.#blockSize, this.#result) - run.first * this.#blockSize;
    }
    if (data !== dataLength) throw fail('length of blocks differs');
  }

  /** @throws FormatError if something is missing. @param at offset of the last record */
  finish(at: number): void {
    const baseCount = Math.ceil(this.#base / this.#blockSize);
    const resultCount = Math.ceil(this.#result / this.#blockSize);
    const isWhole =
      this.#absent === Math.abs(baseCount - resultCount) &&
      (this.#border === undefined || this.#sawBorder);
    if (!isWhole) throw deltaFailure('end', at, 'blocks are missing');
  }
}
