/**
 * The journal behind the header of a map's state: what an update is about to write, and what of that is
 * on disk. Pure codec. Implements spec/formats/map.md, "Journal".
 */
import { type BlockDigest, DIGEST_LENGTH } from './block-digest.ts';
import type { BlockRun } from './block-table.ts';
import { equalBytes, readSize, readU32, readU64, U64_MAX, writeU32, writeU64 } from './bytes.ts';
import { FormatError } from './errors.ts';
import {
  CONDITION_LENGTH,
  type MapCondition,
  readCondition,
  TAG_LENGTH,
  writeCondition,
} from './map-state.ts';

const KINDS = { begin: 1, intent: 2, committed: 3, finish: 4 } as const;
const HEAD_LENGTH = 32;
const CHECKSUM_LENGTH = 8;
const ALIGNMENT = 32;
const RUN_LENGTH = 16;
const SECTOR = 512;
const BEGIN_LENGTH = 56;
const COMMITTED_LENGTH = 24;
const INTENT_LENGTH = 16;
/** Bytes of the longest body. */
const LONGEST_MAP_RECORD = 4 * 1024 * 1024;

/** Blocks of one run have one kind: zeros have no digests in the journal. */
export interface IntentRun extends BlockRun {
  readonly isZeros: boolean;
}

export interface BeginRecord {
  readonly kind: 'begin';
  /** Random, 16 bytes. */
  readonly nonce: Uint8Array;
  readonly oldSize: number;
  /** Undefined for a stream. */
  readonly newSize: number | undefined;
  readonly batch: number;
  /** Whether the update does not wait for the disk: void after a restart of the machine. */
  readonly isUnsynced: boolean;
  readonly bootId: bigint;
}

/** Blocks that are written once this record is on disk. */
export interface IntentRecord {
  readonly kind: 'intent';
  /** Bytes of the image as far as it is known. */
  readonly imageSize: number;
  readonly runs: readonly IntentRun[];
  /** 32 bytes for each block of runs that are not zeros, in their order. */
  readonly digests: Uint8Array;
}

/** All intents up to this one are on disk. */
export interface CommittedRecord {
  readonly kind: 'committed';
  /** Number of the record of the last one. */
  readonly intent: number;
  /** Of the begin record; a record without it could look like one that was never written. */
  readonly nonce: Uint8Array;
}

/** Everything is on disk; the map file is replaced next. */
export interface FinishRecord {
  readonly kind: 'finish';
  readonly condition: MapCondition;
}

export type MapRecord = BeginRecord | IntentRecord | CommittedRecord | FinishRecord;

/** @param number of the record in its journal, from 0 on */
export function encodeMapRecord(
  record: MapRecord,
  number: number,
  sha256: BlockDigest,
): Uint8Array {
  const length = bodyLength(record);
  if (length > LONGEST_MAP_RECORD) throw failure(0, 'too long a record');
  const bytes = new Uint8Array(HEAD_LENGTH + Math.ceil(length / ALIGNMENT) * ALIGNMENT);
  const body = bytes.subarray(HEAD_LENGTH);
  writeBody(record, body);
  writeU32(bytes, 0, KINDS[record.kind]);
  writeU32(bytes, 4, length);
  writeU64(bytes, 8, number);
  bytes.set(checksum(sha256, body), 16);
  bytes.set(checksum(sha256, bytes.subarray(0, 24)), 24);
  return bytes;
}

/** Bytes of an intent with so many runs and blocks with digests. */
function intentLength(runCount: number, digestCount: number): number {
  return INTENT_LENGTH + runCount * RUN_LENGTH + digestCount * DIGEST_LENGTH;
}

function bodyLength(record: MapRecord): number {
  if (record.kind === 'begin') return BEGIN_LENGTH;
  if (record.kind === 'committed') return COMMITTED_LENGTH;
  if (record.kind === 'finish') return CONDITION_LENGTH;
  return intentLength(record.runs.length, record.digests.length / DIGEST_LENGTH);
}

function writeBody(record: MapRecord, body: Uint8Array): void {
  switch (record.kind) {
    case 'begin':
      body.set(record.nonce);
      writeU64(body, 16, record.oldSize);
      writeU64(body, 24, record.newSize ?? U64_MAX);
      writeU64(body, 32, record.batch);
      writeU64(body, 40, record.isUnsynced ? 1 : 0);
      writeU64(body, 48, record.bootId);
      return;
    case 'intent':
      writeIntent(record, body);
      return;
    case 'committed':
      writeU64(body, 0, record.intent);
      body.set(record.nonce, 8);
      return;
    case 'finish':
      writeCondition(body, 0, record.condition);
  }
}

function writeIntent({ imageSize, runs, digests }: IntentRecord, body: Uint8Array): void {
  writeU64(body, 0, imageSize);
  writeU32(body, 8, runs.length);
  let at = INTENT_LENGTH;
  for (const { first, count, isZeros } of runs) {
    writeU64(body, at, first);
    writeU32(body, at + 8, count);
    writeU32(body, at + 12, isZeros ? 1 : 0);
    at += RUN_LENGTH;
  }
  body.set(digests, at);
}

function checksum(sha256: BlockDigest, bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(DIGEST_LENGTH);
  sha256.write(bytes, digest, 0);
  return digest.subarray(0, CHECKSUM_LENGTH);
}

export interface PlacedRecord {
  readonly record: MapRecord;
  readonly number: number;
  /** Where it begins, and where the next one does. */
  readonly offset: number;
  readonly end: number;
}

export interface JournalBytes {
  /** Of the whole file. */
  readonly length: number;
  /** Gives so many bytes from an offset on, valid until it is called again. */
  readonly read: (offset: number, length: number) => Uint8Array;
}

/**
 * The records from `offset` on, in order. It ends before a record that was not completely written when
 * the power went; that is no error, and its blocks have not been touched.
 * @throws FormatError for a record that was complete once and is damaged
 */
export function* decodeMapJournal(
  file: JournalBytes,
  offset: number,
  sha256: BlockDigest,
): Generator<PlacedRecord> {
  let at = offset;
  for (let number = 0; at < file.length; number++) {
    const placed = decodeMapRecord(file, { offset: at, number }, sha256);
    if (placed === undefined) return;
    yield placed;
    at = placed.end;
  }
}

/** One record. @returns undefined if it is torn @throws FormatError as {@link decodeMapJournal} */
export function decodeMapRecord(
  file: JournalBytes,
  { offset, number }: { readonly offset: number; readonly number: number },
  sha256: BlockDigest,
): PlacedRecord | undefined {
  if (offset + HEAD_LENGTH > file.length) return undefined;
  const head = file.read(offset, HEAD_LENGTH).slice();
  if (!equalBytes(checksum(sha256, head.subarray(0, 24)), head.subarray(24))) {
    if (head.every((byte) => byte === 0)) return undefined;
    throw failure(offset, 'wrong checksum');
  }
  const length = readU32(head, 4);
  if (length > LONGEST_MAP_RECORD) throw failure(offset + 4, 'too long a record');
  if (readSize(head, 8) !== number) throw failure(offset + 8, `must be record ${number}`);
  const padded = Math.ceil(length / ALIGNMENT) * ALIGNMENT;
  const end = offset + HEAD_LENGTH + padded;
  if (end > file.length) return undefined;
  const body = file.read(offset + HEAD_LENGTH, padded);
  if (!equalBytes(checksum(sha256, body), head.subarray(16, 24))) {
    if (hasLostSector(body, offset + HEAD_LENGTH)) return undefined;
    throw failure(offset + HEAD_LENGTH, 'wrong checksum');
  }
  const record = decodeBody(readU32(head, 0), body.subarray(0, length), offset + HEAD_LENGTH);
  return { record, number, offset, end };
}

/** Whether a part of these bytes never reached the disk: it reads as zeros, and records have no such. */
function hasLostSector(body: Uint8Array, offset: number): boolean {
  for (let at = 0; at < body.length; ) {
    const length = Math.min(SECTOR - ((offset + at) % SECTOR), body.length - at);
    if (body.subarray(at, at + length).every((byte) => byte === 0)) return true;
    at += length;
  }
  return false;
}

function decodeBody(kind: number, body: Uint8Array, offset: number): MapRecord {
  if (kind === KINDS.intent) return decodeIntent(body, offset);
  if (kind === KINDS.begin) {
    expectLength(body, BEGIN_LENGTH, offset);
    const isStream = readU64(body, 24) === U64_MAX;
    return {
      kind: 'begin',
      nonce: body.slice(0, TAG_LENGTH),
      oldSize: sizeAt(body, 16, offset),
      newSize: isStream ? undefined : sizeAt(body, 24, offset),
      batch: sizeAt(body, 32, offset),
      isUnsynced: readU64(body, 40) !== 0n,
      bootId: readU64(body, 48),
    };
  }
  if (kind === KINDS.committed) {
    expectLength(body, COMMITTED_LENGTH, offset);
    return { kind: 'committed', intent: sizeAt(body, 0, offset), nonce: body.slice(8) };
  }
  if (kind === KINDS.finish) {
    expectLength(body, CONDITION_LENGTH, offset);
    return { kind: 'finish', condition: readCondition(body, 0) };
  }
  throw failure(offset, 'unknown kind of record');
}

function decodeIntent(body: Uint8Array, offset: number): IntentRecord {
  if (body.length < INTENT_LENGTH) throw failure(offset, 'too short');
  const imageSize = sizeAt(body, 0, offset);
  const runCount = readU32(body, 8);
  if (intentLength(runCount, 0) > body.length) throw failure(offset + 8, 'too many runs');
  const runs: IntentRun[] = [];
  let digestCount = 0;
  for (let i = 0, at = INTENT_LENGTH; i < runCount; i++, at += RUN_LENGTH) {
    const first = sizeAt(body, at, offset);
    const count = readU32(body, at + 8);
    const isZeros = readU32(body, at + 12) === 1;
    runs.push({ first, count, isZeros });
    if (!isZeros) digestCount += count;
  }
  expectLength(body, intentLength(runCount, digestCount), offset);
  return { kind: 'intent', imageSize, runs, digests: body.slice(intentLength(runCount, 0)) };
}

function expectLength(body: Uint8Array, length: number, offset: number): void {
  if (body.length !== length) throw failure(offset, 'wrong length');
}

function sizeAt(body: Uint8Array, at: number, offset: number): number {
  const size = readSize(body, at);
  if (!Number.isSafeInteger(size)) throw failure(offset + at, 'too large a number');
  return size;
}

function failure(offset: number, expectation: string): FormatError {
  return new FormatError('map state', 'RECORD', offset, expectation);
}
