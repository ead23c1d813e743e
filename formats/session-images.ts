/**
 * What the two sides of a session say about one image. Implements spec/formats/session.md, "Images".
 */
import { type BlockDigestName, DIGEST_LENGTH } from './block-digest.ts';
import type { BlockRun } from './block-table.ts';
import { readSize, readU32, writeU32, writeU64 } from './bytes.ts';
import { FormatError } from './errors.ts';
import { Fields, FieldWriter } from './session-fields.ts';
import { decodeRuns, encodeRuns } from './session-runs.ts';

/** Messages about images; 16 to 63 are theirs. */
export const IMAGE_KIND = {
  /** The near side gives an image, or wants one. */
  push: 16,
  pull: 17,
  /** Of the side that has the image. */
  source: 20,
  askLevel: 21,
  askReading: 22,
  askSegment: 23,
  data: 24,
  end: 25,
  /** Of the side that gets it. */
  destination: 30,
  level: 31,
  segment: 32,
  digests: 33,
  done: 34,
} as const;

/** Blocks that are larger do not go over a session. */
export const MAX_SESSION_BLOCK = 16 * 1024 * 1024;
/** Blocks of a segment, at most: their digests fit into a message. */
export const MAX_SEGMENT_BLOCKS = 262_144;
const DIGEST_NAMES: readonly BlockDigestName[] = ['sha256', 'sha512-256', 'blake2b-256'];

/** The image that will come. */
export interface SourceMessage {
  /** Bytes; undefined for a stream. */
  readonly size: number | undefined;
}

export function encodeSource({ size }: SourceMessage): Uint8Array {
  return new FieldWriter().number(1, size).finish();
}

/** @throws FormatError */
export function decodeSource(content: Uint8Array): SourceMessage {
  return { size: new Fields('SOURCE', content, []).number(1) };
}

/** What there is where it will go. */
export interface DestinationMessage {
  readonly blockSize: number;
  readonly digest: BlockDigestName;
  /** Bytes that it has; what lies behind is known to differ. */
  readonly size: number;
  /** Bytes of the image that it takes; undefined for a stream. */
  readonly takenSize: number | undefined;
  /** Of the blocks as they are, if all of them are known. */
  readonly root: Uint8Array | undefined;
}

export function encodeDestination(message: DestinationMessage): Uint8Array {
  return new FieldWriter()
    .number(1, message.blockSize)
    .number(2, DIGEST_NAMES.indexOf(message.digest))
    .number(3, message.size)
    .number(4, message.takenSize)
    .bytes(5, message.root)
    .finish();
}

/** @throws FormatError */
export function decodeDestination(content: Uint8Array): DestinationMessage {
  const fields = new Fields('DESTINATION', content, []);
  const blockSize = fields.number(1, MAX_SESSION_BLOCK) ?? 0;
  const digest = DIGEST_NAMES[fields.number(2, DIGEST_NAMES.length - 1) ?? -1];
  if (blockSize === 0 || digest === undefined) {
    throw fields.wrong(0, 'a block size and a digest are needed');
  }
  const root = fields.has(5) ? fields.bytesOf(5, DIGEST_LENGTH) : undefined;
  return { blockSize, digest, size: fields.number(3) ?? 0, takenSize: fields.number(4), root };
}

/** Asks for digests of nodes of the tree above the blocks. */
export interface AskLevelMessage {
  /** 0 are the blocks themselves. */
  readonly level: number;
  /** Bytes of each digest that are wanted. */
  readonly digestLength: number;
  readonly nodes: readonly BlockRun[];
}

const HIGHEST_LEVEL = 15;

export function encodeAskLevel({ level, digestLength, nodes }: AskLevelMessage): Uint8Array {
  return withHead([level, digestLength], encodeRuns(nodes));
}

/** @throws FormatError */
export function decodeAskLevel(content: Uint8Array): AskLevelMessage {
  const [level, digestLength] = [content[0] ?? 255, content[1] ?? 0];
  if (level > HIGHEST_LEVEL || !isDigestLength(digestLength)) throw wrong('ASK LEVEL', 0);
  return { level, digestLength, nodes: decodeRuns(content, 2).runs };
}

/** Asks for all digests in order, as soon as they are known. */
export interface AskReadingMessage {
  readonly digestLength: number;
  /** Blocks of a segment, of which only the root is told; 0 to be told all digests. */
  readonly segmentBlocks: number;
}

export function encodeAskReading(message: AskReadingMessage): Uint8Array {
  const content = new Uint8Array(5);
  content[0] = message.digestLength;
  writeU32(content, 1, message.segmentBlocks);
  return content;
}

/** @throws FormatError */
export function decodeAskReading(content: Uint8Array): AskReadingMessage {
  const digestLength = content[0] ?? 0;
  if (content.length !== 5 || !isDigestLength(digestLength)) throw wrong('ASK READING', 0);
  const segmentBlocks = readU32(content, 1);
  if (segmentBlocks > MAX_SEGMENT_BLOCKS) throw wrong('ASK READING', 1);
  return { digestLength, segmentBlocks };
}

/** A segment, or from which block on digests follow. */
export interface NumberedMessage {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export function encodeNumbered(number: number, bytes: Uint8Array): Uint8Array {
  const content = new Uint8Array(8 + bytes.length);
  writeU64(content, 0, number);
  content.set(bytes, 8);
  return content;
}

/** @throws FormatError */
export function decodeNumbered(name: string, content: Uint8Array): NumberedMessage {
  const number = content.length < 8 ? Number.POSITIVE_INFINITY : readSize(content, 0);
  if (number === Number.POSITIVE_INFINITY) throw wrong(name, 0);
  return { number, bytes: content.subarray(8) };
}

/** A run of blocks of which all or none are zeros. */
export interface DataRun extends BlockRun {
  readonly isZero: boolean;
}

/** Blocks for their places. */
export interface DataMessage {
  readonly runs: readonly DataRun[];
  /** 32 bytes for each block that is not zeros. */
  readonly digests: Uint8Array;
  /** Those blocks; only the last one may be shorter. */
  readonly bytes: Uint8Array;
}

/** What goes into a message of blocks. */
export interface DataParts {
  readonly runs: readonly DataRun[];
  readonly digests: Uint8Array;
  readonly bytes: Uint8Array;
}

/** @param allocate gives memory for the message */
export function encodeData(
  { runs, digests, bytes }: DataParts,
  allocate: (length: number) => Uint8Array = (length) => new Uint8Array(length),
): Uint8Array {
  const head = encodeRuns(runs, (i) => runs[i].isZero);
  const content = allocate(head.length + digests.length + bytes.length);
  content.set(head);
  content.set(digests, head.length);
  content.set(bytes, head.length + digests.length);
  return content;
}

/** @throws FormatError */
export function decodeData(content: Uint8Array, blockSize: number): DataMessage {
  const { runs, flags, end } = decodeRuns(content, 0);
  const dataRuns = runs.map((run, i) => ({ ...run, isZero: flags[i] }));
  const count = dataRuns.reduce((sum, run) => (run.isZero ? sum : sum + run.count), 0);
  const start = end + count * DIGEST_LENGTH;
  const bytes = content.subarray(start);
  const isRight =
    start <= content.length &&
    bytes.length <= count * blockSize &&
    bytes.length > (count - 1) * blockSize;
  if (!isRight) throw wrong('DATA', end);
  return { runs: dataRuns, digests: content.subarray(end, start), bytes };
}

/** All blocks that differ have come. */
export interface EndMessage {
  /** Of the image, as far as the destination takes it. */
  readonly size: number;
  /** What the destination's root must be now; undefined if some blocks could not be read. */
  readonly root: Uint8Array | undefined;
  /** How the source has changed meanwhile; the image is still what the root says. */
  readonly sourceChange: Uint8Array | undefined;
  /** Bytes of blocks that could not be read and were left as they were. */
  readonly unreadableBytes: number;
}

export function encodeEnd({ size, root, sourceChange, unreadableBytes }: EndMessage): Uint8Array {
  return new FieldWriter()
    .number(1, size)
    .bytes(2, root)
    .bytes(3, sourceChange)
    .number(4, unreadableBytes)
    .finish();
}

/** @throws FormatError */
export function decodeEnd(content: Uint8Array): EndMessage {
  const fields = new Fields('END', content, []);
  const size = fields.number(1);
  if (size === undefined) throw fields.wrong(0, 'a size is needed');
  const unreadableBytes = fields.number(4) ?? 0;
  const root = unreadableBytes === 0 ? fields.bytesOf(2, DIGEST_LENGTH) : undefined;
  return { size, root, sourceChange: fields.bytes(3), unreadableBytes };
}

/** All is durable. */
export interface DoneMessage {
  readonly root: Uint8Array;
  readonly writtenBytes: number;
  readonly holeBytes: number;
  /** Of the destination. */
  readonly readBytes: number;
}

export function encodeDone(message: DoneMessage): Uint8Array {
  return new FieldWriter()
    .bytes(1, message.root)
    .number(2, message.writtenBytes)
    .number(3, message.holeBytes)
    .number(4, message.readBytes)
    .finish();
}

/** @throws FormatError */
export function decodeDone(content: Uint8Array): DoneMessage {
  const fields = new Fields('DONE', content, []);
  return {
    root: fields.bytesOf(1, DIGEST_LENGTH),
    writtenBytes: fields.number(2) ?? 0,
    holeBytes: fields.number(3) ?? 0,
    readBytes: fields.number(4) ?? 0,
  };
}

/**
 * The first bytes of digests, as many of each.
 * @param digests 32 bytes each
 * @param into gets them from `offset` on
 */
export function putTruncated(
  digests: Uint8Array,
  length: number,
  into: Uint8Array,
  offset: number,
): void {
  const count = digests.length / DIGEST_LENGTH;
  for (let i = 0; i < count; i++) {
    const [from, to] = [i * DIGEST_LENGTH, offset + i * length];
    for (let j = 0; j < length; j++) into[to + j] = digests[from + j];
  }
}

function isDigestLength(length: number): boolean {
  return length > 0 && length <= DIGEST_LENGTH;
}

function withHead(head: readonly number[], rest: Uint8Array): Uint8Array {
  const content = new Uint8Array(head.length + rest.length);
  content.set(head);
  content.set(rest, head.length);
  return content;
}

function wrong(record: string, offset: number): FormatError {
  return new FormatError('session', record, offset, 'not what such a message holds');
}
