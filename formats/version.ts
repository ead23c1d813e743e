/**
 * Versions of an image in a chain: what a version is, and its table of blocks, whole or as what differs
 * from its parent (spec/formats/version.md). Used by version chains.
 */
import { DIGEST_LENGTH } from './block-digest.ts';
import { type BlockRun, BlockTable } from './block-table.ts';
import { compareBytes, hexOf, readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import type { DigestName } from './chunk-id.ts';
import { FormatError } from './errors.ts';

const FORMAT = 'version';
const MAGIC = Uint8Array.of(0x89, 0x63, 0x61, 0x76, 0x65, 0x72, 0x0a, 0x01);
const DIGESTS: readonly DigestName[] = ['sha256', 'sha512-256'];
export const VERSION_HEAD_LENGTH = 128;
/** SHA-256 of everything before. */
export const VERSION_CHECKSUM_LENGTH = 32;
const RUN_LENGTH = 16;
const ID_LENGTH = 8;
const ID_PATTERN = /^[0-9a-f]{16}$/;
/** The part of the head that never changes, which the id is a digest of. */
const LASTING_START = 8;
const PARENT_AT = 88;
const RUNS_AT_ONCE = 4096;
const DIGESTS_AT_ONCE = 16_384;
const MAX_SIZE = 2 ** 50;
const MIN_BLOCK_SIZE = 512;
const MAX_BLOCK_SIZE = 2 ** 26;
const MAX_BLOCKS = 2 ** 28;
const DATA = 0;
const ZEROS = 1;

/** What is known of a version without its table. */
export interface VersionFacts {
  /** Rises by at least one from version to version of a chain. */
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly digest: DigestName;
  /** Bytes of the image, and of its blocks. */
  readonly size: number;
  readonly blockSize: number;
  /** 32 bytes (formats/image-root.ts). */
  readonly root: Uint8Array;
}

export interface VersionHead extends VersionFacts {
  /** Id of the version that the table begins with; undefined for a whole table. */
  readonly parent: string | undefined;
  readonly runCount: number;
  /** Blocks whose digests stand in the file; all others of its runs are zeros. */
  readonly digestCount: number;
}

/** Blocks that differ from the parent. */
export interface VersionRun extends BlockRun {
  readonly isZeros: boolean;
}

function damaged(record: string, offset: number, expectation: string): FormatError {
  return new FormatError(FORMAT, record, offset, expectation);
}

/** The bytes that the id of a version is the digest of. */
export function lastingBytes(facts: VersionFacts): Uint8Array {
  return encodeHead({ ...facts, parent: undefined, runCount: 0, digestCount: 0 }).slice(
    LASTING_START,
    PARENT_AT,
  );
}

/** The id of a version. @param digest SHA-256 of {@link lastingBytes} */
export function versionIdOf(digest: Uint8Array): string {
  return hexOf(digest, 0, ID_LENGTH);
}

export function isVersionId(text: string): boolean {
  return ID_PATTERN.test(text);
}

function encodeHead(head: VersionHead): Uint8Array {
  const bytes = new Uint8Array(VERSION_HEAD_LENGTH);
  bytes.set(MAGIC);
  writeU32(bytes, 8, DIGESTS.indexOf(head.digest) + 1);
  writeU64(bytes, 16, head.number);
  writeU64(bytes, 24, head.time);
  writeU64(bytes, 32, head.size);
  writeU64(bytes, 40, head.blockSize);
  bytes.set(head.root, 48);
  if (head.parent !== undefined) {
    bytes[80] = 1;
    for (let i = 0; i < ID_LENGTH; i++) {
      bytes[PARENT_AT + i] = Number.parseInt(head.parent.slice(i * 2, i * 2 + 2), 16);
    }
  }
  writeU64(bytes, 96, head.runCount);
  writeU64(bytes, 104, head.digestCount);
  return bytes;
}

/** @throws FormatError */
export function decodeVersionHead(bytes: Uint8Array): VersionHead {
  if (bytes.length < VERSION_HEAD_LENGTH) throw damaged('HEAD', bytes.length, 'the file ends');
  if (compareBytes(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw damaged('HEAD', 0, 'not a version, or one of a later format');
  }
  const digest = DIGESTS[readU32(bytes, 8) - 1];
  if (digest === undefined) throw damaged('HEAD', 8, 'an unknown digest');
  const [number, time] = [readSize(bytes, 16), readSize(bytes, 24)];
  const [size, blockSize] = [readSize(bytes, 32), readSize(bytes, 40)];
  if (number > Number.MAX_SAFE_INTEGER || time > Number.MAX_SAFE_INTEGER) {
    throw damaged('HEAD', 16, 'a number or time out of range');
  }
  if (size > MAX_SIZE || blockSize < MIN_BLOCK_SIZE || blockSize > MAX_BLOCK_SIZE) {
    throw damaged('HEAD', 32, 'a size out of range');
  }
  if (size / blockSize > MAX_BLOCKS) throw damaged('HEAD', 32, 'too many blocks');
  const hasParent = bytes[80];
  if (hasParent > 1) throw damaged('HEAD', 80, 'must be 0 or 1');
  const id = hexOf(bytes, PARENT_AT, PARENT_AT + ID_LENGTH);
  const isNone = hasParent === 0;
  if (isNone && !/^0*$/.test(id)) throw damaged('HEAD', PARENT_AT, 'must be zero');
  for (const [start, end] of ZERO_RANGES) {
    for (let i = start; i < end; i++) if (bytes[i] !== 0) throw damaged('HEAD', i, 'must be zero');
  }
  const [runCount, digestCount] = [readSize(bytes, 96), readSize(bytes, 104)];
  const blockCount = Math.ceil(size / blockSize);
  if (runCount > blockCount || digestCount > blockCount) {
    throw damaged('HEAD', 96, 'more than the image has blocks');
  }
  const root = bytes.slice(48, 80);
  const parent = isNone ? undefined : id;
  return { number, time, digest, size, blockSize, root, parent, runCount, digestCount };
}

const ZERO_RANGES = [
  [12, 16],
  [81, 88],
  [112, VERSION_HEAD_LENGTH],
] as const;

/** Bytes of the file. */
export function versionLength({
  runCount,
  digestCount,
}: Pick<VersionHead, 'runCount' | 'digestCount'>): number {
  const body = runCount * RUN_LENGTH + digestCount * DIGEST_LENGTH;
  return VERSION_HEAD_LENGTH + body + VERSION_CHECKSUM_LENGTH;
}

/**
 * The file without its checksum, in parts that are valid until the next is taken.
 * @param table of the version, which has all blocks of `runs`
 */
export function* encodeVersion(
  facts: VersionFacts,
  parent: string | undefined,
  table: BlockTable,
  runs: readonly VersionRun[],
): Generator<Uint8Array> {
  const written = runs.filter(({ isZeros }) => !isZeros);
  const digestCount = written.reduce((sum, { count }) => sum + count, 0);
  yield encodeHead({ ...facts, parent, runCount: runs.length, digestCount });
  for (let first = 0; first < runs.length; first += RUNS_AT_ONCE) {
    const part = runs.slice(first, first + RUNS_AT_ONCE);
    const bytes = new Uint8Array(part.length * RUN_LENGTH);
    for (const [i, run] of part.entries()) {
      writeU64(bytes, i * RUN_LENGTH, run.first);
      writeU32(bytes, i * RUN_LENGTH + 8, run.count);
      writeU32(bytes, i * RUN_LENGTH + 12, run.isZeros ? ZEROS : DATA);
    }
    yield bytes;
  }
  for (const run of written) yield table.digests(run.first, run.count);
}

/**
 * Brings a table from the parent's state to that of the version.
 * @param read so many bytes of the file from an offset on, valid until it is called again
 * @param zeroDigest of a block of so many zeros
 * @throws FormatError if runs are not in order or lead out of the image
 */
export function applyVersion(
  head: VersionHead,
  table: BlockTable,
  read: (offset: number, length: number) => Uint8Array,
  zeroDigest: (length: number) => Uint8Array,
): void {
  table.resize(head.size);
  let digestAt = VERSION_HEAD_LENGTH + head.runCount * RUN_LENGTH;
  const digestEnd = digestAt + head.digestCount * DIGEST_LENGTH;
  for (const run of readVersionRuns(head, read)) {
    if (run.isZeros) fillZeros(table, run, zeroDigest);
    else digestAt = readDigests(table, run, { read, at: digestAt, end: digestEnd });
  }
  if (digestAt !== digestEnd) throw damaged('RUN', digestAt, 'more digests than blocks');
}

/**
 * Sets those of some blocks that a version does not take from its parent. What its parent has beyond the
 * end of the version, or at it, must not be asked for: only the root tells.
 * @param part the number of the first block, and a table of these blocks alone
 */
export function applyVersionPart(
  head: VersionHead,
  part: { readonly first: number; readonly table: BlockTable },
  read: (offset: number, length: number) => Uint8Array,
  zeroDigest: (length: number) => Uint8Array,
): void {
  const { first, table } = part;
  const end = first + table.count;
  let digestAt = VERSION_HEAD_LENGTH + head.runCount * RUN_LENGTH;
  const digestEnd = digestAt + head.digestCount * DIGEST_LENGTH;
  for (const run of readVersionRuns(head, read)) {
    if (run.first >= end) return;
    const from = Math.max(run.first, first);
    const count = Math.min(run.first + run.count, end) - from;
    if (count > 0) {
      const here = { first: from - first, count };
      const at = digestAt + (from - run.first) * DIGEST_LENGTH;
      if (run.isZeros) fillZeros(table, here, zeroDigest);
      else readDigests(table, here, { read, at, end: digestEnd });
    }
    if (!run.isZeros) digestAt += run.count * DIGEST_LENGTH;
  }
}

/**
 * The blocks that a version does not take from its parent, in order.
 * @param read so many bytes of the file from an offset on, valid until it is called again
 * @throws FormatError if runs are not in order or lead out of the image
 */
export function* readVersionRuns(
  head: VersionHead,
  read: (offset: number, length: number) => Uint8Array,
): Generator<VersionRun> {
  const blockCount = Math.ceil(head.size / head.blockSize);
  let previousEnd = 0;
  for (let done = 0; done < head.runCount; done += RUNS_AT_ONCE) {
    const offset = VERSION_HEAD_LENGTH + done * RUN_LENGTH;
    const length = Math.min(RUNS_AT_ONCE, head.runCount - done) * RUN_LENGTH;
    for (const run of decodeRuns(read(offset, length), offset)) {
      const end = run.first + run.count;
      if (run.first < previousEnd || run.count === 0 || end > blockCount) {
        throw damaged('RUN', offset, 'runs must rise within the image');
      }
      previousEnd = end;
      yield run;
    }
  }
}

/** The digests that stand in the file of a version, in parts that are valid until the next is taken. */
export function* readVersionDigests(
  { runCount, digestCount }: VersionHead,
  read: (offset: number, length: number) => Uint8Array,
): Generator<Uint8Array> {
  const start = VERSION_HEAD_LENGTH + runCount * RUN_LENGTH;
  for (let done = 0; done < digestCount; done += DIGESTS_AT_ONCE) {
    const count = Math.min(DIGESTS_AT_ONCE, digestCount - done);
    yield read(start + done * DIGEST_LENGTH, count * DIGEST_LENGTH);
  }
}

function decodeRuns(bytes: Uint8Array, offset: number): readonly VersionRun[] {
  const runs: VersionRun[] = [];
  for (let at = 0; at < bytes.length; at += RUN_LENGTH) {
    const kind = readU32(bytes, at + 12);
    if (kind !== DATA && kind !== ZEROS) throw damaged('RUN', offset + at + 12, 'an unknown kind');
    const [first, count] = [readSize(bytes, at), readU32(bytes, at + 8)];
    runs.push({ first, count, isZeros: kind === ZEROS });
  }
  return runs;
}

function fillZeros(
  table: BlockTable,
  { first, count }: BlockRun,
  zeroDigest: (length: number) => Uint8Array,
): void {
  for (let i = first; i < first + count; i++) table.set(i, zeroDigest(table.sizeOf(i)));
}

interface DigestReading {
  readonly read: (offset: number, length: number) => Uint8Array;
  readonly at: number;
  readonly end: number;
}

/** @returns where the next ones are */
function readDigests(table: BlockTable, run: BlockRun, { read, at, end }: DigestReading): number {
  let next = at;
  if (at + run.count * DIGEST_LENGTH > end) throw damaged('RUN', at, 'fewer digests than blocks');
  for (let done = 0; done < run.count; done += DIGESTS_AT_ONCE) {
    const length = Math.min(DIGESTS_AT_ONCE, run.count - done) * DIGEST_LENGTH;
    table.set(run.first + done, read(next, length));
    next += length;
  }
  return next;
}

/** A table in which nothing is known, for a version without parent. */
export function emptyTable({ blockSize }: Pick<VersionFacts, 'blockSize'>): BlockTable {
  return new BlockTable(blockSize, 0);
}
