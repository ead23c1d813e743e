/**
 * Simple entries as bytes, to be restored by another thread (spec/decisions/0013). Written by the
 * batch sink, read by the job; both are of the same program, so nothing is checked but the bounds.
 */
import { copyBytes } from '../os/memory.node.ts';
import type { SimpleEntry } from './simple-entry.node.ts';

/** One entry of a batch. */
export interface BatchedEntry {
  readonly entry: SimpleEntry;
  /** Place of its directory in the list of the batch. */
  readonly directory: number;
  /** Rises from entry to entry, over all batches. */
  readonly order: number;
  /** View of the batch. */
  readonly content: Uint8Array;
}

// Words of 32 bits; name and content follow, and nothing up to the next word.
const ORDER = 0;
const DIRECTORY = 1;
const KIND = 2;
const PERMISSIONS = 3;
const INITIAL_PERMISSIONS = 4;
const UID = 5;
const GID = 6;
const SECONDS_LOW = 7;
const SECONDS_HIGH = 8;
const NANOSECONDS = 9;
const NAME_LENGTH = 10;
const CONTENT_LENGTH = 11;
const HEADER_WORDS = 12;

// Bits of KIND.
const IS_SYMLINK = 1;
const HAS_OWNER = 2;
const HAS_PERMISSIONS = 4;
const HAS_TIME = 8;
const MAY_EXIST = 16;

const TWO_POW_32 = 0x1_0000_0000;

/** Bytes that an entry takes at most. */
export function batchedLength(nameLength: number, contentLength: number): number {
  return 4 * HEADER_WORDS + nameLength + contentLength + 3;
}

/** Writes entries one after another into memory that is large enough. */
export class BatchWriter {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** Where the entry begun last begins, its content goes on, and it ends. */
  #start = 0;
  #next = 0;
  #end = 0;

  /** @param region begins at a multiple of four bytes. */
  constructor(region: Uint8Array) {
    this.#bytes = region;
    this.#words = new Uint32Array(region.buffer, region.byteOffset, region.length >>> 2);
  }

  /** Bytes written, with all of the content that is still to come. */
  get length(): number {
    return this.#end;
  }

  begin(entry: SimpleEntry, directory: number, order: number, contentLength: number): void {
    const words = this.#words;
    const { owner, permissions, time, name, mayExist } = entry;
    this.#start = this.#end;
    const at = this.#start >>> 2;
    words[at + ORDER] = order;
    words[at + DIRECTORY] = directory;
    words[at + KIND] =
      (entry.type === 'symlink' ? IS_SYMLINK : 0) |
      (owner === undefined ? 0 : HAS_OWNER) |
      (permissions === undefined ? 0 : HAS_PERMISSIONS) |
      (time === undefined ? 0 : HAS_TIME) |
      (mayExist ? MAY_EXIST : 0);
    words[at + PERMISSIONS] = permissions ?? 0;
    words[at + INITIAL_PERMISSIONS] = entry.initialPermissions;
    words[at + UID] = owner?.uid ?? 0;
    words[at + GID] = owner?.gid ?? 0;
    words[at + SECONDS_LOW] = time?.seconds ?? 0;
    words[at + SECONDS_HIGH] = Math.floor((time?.seconds ?? 0) / TWO_POW_32);
    words[at + NANOSECONDS] = time?.nanoseconds ?? 0;
    words[at + NAME_LENGTH] = name.length;
    words[at + CONTENT_LENGTH] = contentLength;
    this.#bytes.set(name, this.#start + 4 * HEADER_WORDS);
    this.#next = this.#start + 4 * HEADER_WORDS + name.length;
    this.#end = (this.#next + contentLength + 3) & ~3;
  }

  /** The next bytes of the content, no more than were announced. */
  write(bytes: Uint8Array): void {
    copyBytes(this.#bytes.subarray(this.#next, this.#next + bytes.length), bytes);
    this.#next += bytes.length;
  }

  /** Forgets the entry begun last. */
  undo(): void {
    this.#end = this.#start;
  }
}

/** All entries of a batch, in order. @param batch begins at a multiple of four bytes. */
export function* readBatch(batch: Uint8Array): Generator<BatchedEntry> {
  const words = new Uint32Array(batch.buffer, batch.byteOffset, batch.length >>> 2);
  let start = 0;
  while (start < batch.length) {
    const at = start >>> 2;
    const nameStart = start + 4 * HEADER_WORDS;
    const contentStart = nameStart + words[at + NAME_LENGTH];
    const end = contentStart + words[at + CONTENT_LENGTH];
    yield {
      entry: readEntry(words, at, batch.subarray(nameStart, contentStart)),
      directory: words[at + DIRECTORY],
      order: words[at + ORDER],
      content: batch.subarray(contentStart, end),
    };
    start = (end + 3) & ~3;
  }
}

function readEntry(words: Uint32Array, at: number, name: Uint8Array): SimpleEntry {
  const kind = words[at + KIND];
  const seconds = (words[at + SECONDS_HIGH] | 0) * TWO_POW_32 + words[at + SECONDS_LOW];
  return {
    type: (kind & IS_SYMLINK) === 0 ? 'file' : 'symlink',
    name,
    initialPermissions: words[at + INITIAL_PERMISSIONS],
    mayExist: (kind & MAY_EXIST) !== 0,
    permissions: (kind & HAS_PERMISSIONS) === 0 ? undefined : words[at + PERMISSIONS],
    owner: (kind & HAS_OWNER) === 0 ? undefined : { uid: words[at + UID], gid: words[at + GID] },
    time: (kind & HAS_TIME) === 0 ? undefined : { seconds, nanoseconds: words[at + NANOSECONDS] },
  };
}
