/**
 * The journal of an update in place (spec/formats/update-journal.md): everything that will be written into
 * a file lies complete and synced beside it before the first byte of the file changes. Whoever finds a
 * complete journal carries it out; one that is not complete has changed nothing.
 */

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, openSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { compareBytes } from '../../formats/bytes.ts';
import { syncFolder } from '../../store/backends/durable-write.node.ts';
import { readFully } from '../os/read.node.ts';
import { errnoOf, systemFailure } from '../os/system-error.node.ts';
import { FileBlocks } from './file-blocks.node.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

const MAGIC = Buffer.from('casync update 1\n', 'latin1');
/** Magic, inode number, length of the file before and after. */
const HEADER_LENGTH = 40;
/** Kind, offset, length. */
const RECORD_LENGTH = 24;
const DIGEST_LENGTH = 32;
const DATA = 1n;
const ZEROS = 2n;
const END = 3n;
/** Data of one record at most. */
const MAX_DATA_LENGTH = 128 * 1024 * 1024;
const MAX_NAME_LENGTH = 255;
const SUFFIX = '.update';
const PIECE_LENGTH = 1 << 20;

/** Which file a journal belongs to. */
export interface JournalSubject {
  readonly inode: bigint;
  readonly oldSize: number;
  readonly newSize: number;
}

/** What carries out the records. */
export interface JournalActions {
  write(bytes: Uint8Array, offset: number): void;
  zero(offset: number, length: number): void;
  /** Sets the length of the file. */
  resize(size: number): void;
}

/** Where the journal of a file lies. */
export function journalPath(path: string): string {
  let name = basename(path);
  while (Buffer.byteLength(name) > MAX_NAME_LENGTH - 2 - SUFFIX.length) name = name.slice(0, -1);
  return join(dirname(path), `.#${name}${SUFFIX}`);
}

/** A journal that is being written. */
export class JournalWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #file: FileBlocks;
  readonly #digest = createHash('sha256');
  #position = 0;

  /** @throws PipelineError if something has the name already */
  constructor(path: string, subject: JournalSubject) {
    this.#path = path;
    try {
      this.#fd = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    } catch (error) {
      throw systemFailure('create', error, path);
    }
    this.#file = new FileBlocks(this.#fd, path, false);
    const header = Buffer.alloc(HEADER_LENGTH);
    header.set(MAGIC);
    header.writeBigUInt64LE(subject.inode, 16);
    header.writeBigUInt64LE(BigInt(subject.oldSize), 24);
    header.writeBigUInt64LE(BigInt(subject.newSize), 32);
    this.#append(header);
  }

  /** Bytes to be written at `offset`. */
  write(bytes: Uint8Array, offset: number): void {
    this.#record(DATA, offset, bytes.length);
    this.#append(bytes);
  }

  /** Bytes to be made zero. */
  zero(offset: number, length: number): void {
    this.#record(ZEROS, offset, length);
  }

  /** Completes the journal: from now on the update will happen, also after a power cut. */
  async finish(): Promise<void> {
    this.#record(END, 0, 0);
    this.#file.write(this.#digest.digest(), this.#position);
    try {
      fsyncSync(this.#fd);
      await syncFolder(dirname(this.#path));
    } catch (error) {
      throw systemFailure('sync', error, this.#path);
    }
  }

  /** Carries the finished journal out. */
  apply(actions: JournalActions): void {
    applyRecords(this.#fd, this.#path, actions);
  }

  /** Removes the journal. */
  remove(): void {
    closeSync(this.#fd);
    removeJournal(this.#path);
  }

  #record(kind: bigint, offset: number, length: number): void {
    const record = Buffer.alloc(RECORD_LENGTH);
    record.writeBigUInt64LE(kind, 0);
    record.writeBigUInt64LE(BigInt(offset), 8);
    record.writeBigUInt64LE(BigInt(length), 16);
    this.#append(record);
  }

  #append(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#file.write(bytes, this.#position);
    this.#position += bytes.length;
  }
}

/**
 * Deals with what an update that was cut off has left: carries a complete journal of the file out, and
 * removes any other of ours.
 * @param subject the file as it is now
 * @returns false if there is something of that name that is not ours
 */
export function recoverJournal(
  path: string,
  subject: { readonly inode: bigint; readonly size: number },
  actions: JournalActions & { sync(): void },
): boolean {
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW);
  } catch (error) {
    return errnoOf(error) === 'ENOENT';
  }
  try {
    if (!isOurs(fd)) return false;
    const header = readHeader(fd);
    const isComplete = header !== undefined && hasTrueDigest(fd);
    const isItsOwn = header?.inode === subject.inode;
    if (isComplete && isItsOwn && [header.oldSize, header.newSize].includes(subject.size)) {
      applyRecords(fd, path, actions);
      actions.sync();
    }
    removeJournal(path);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Nobody else can have written it. */
function isOurs(fd: number): boolean {
  const { uid, nlink, mode } = fstatSync(fd);
  return uid === process.geteuid?.() && nlink === 1 && (mode & 0o170777) === 0o100600;
}

function readHeader(fd: number): JournalSubject | undefined {
  const header = readExactly(fd, 0, HEADER_LENGTH);
  if (header === undefined || compareBytes(header.subarray(0, MAGIC.length), MAGIC) !== 0) {
    return undefined;
  }
  return {
    inode: header.readBigUInt64LE(16),
    oldSize: Number(header.readBigUInt64LE(24)),
    newSize: Number(header.readBigUInt64LE(32)),
  };
}

function hasTrueDigest(fd: number): boolean {
  const end = fstatSync(fd).size - DIGEST_LENGTH;
  const digest = createHash('sha256');
  for (let offset = 0; offset < end; offset += PIECE_LENGTH) {
    const piece = readExactly(fd, offset, Math.min(PIECE_LENGTH, end - offset));
    if (piece === undefined) return false;
    digest.update(piece);
  }
  const stated = readExactly(fd, Math.max(0, end), DIGEST_LENGTH);
  return stated !== undefined && compareBytes(stated, digest.digest()) === 0;
}

function applyRecords(fd: number, path: string, actions: JournalActions): void {
  const header = readHeader(fd);
  for (let position = HEADER_LENGTH; ; ) {
    const record = readExactly(fd, position, RECORD_LENGTH);
    if (record === undefined || header === undefined) throw damaged(path);
    const kind = record.readBigUInt64LE(0);
    const offset = Number(record.readBigUInt64LE(8));
    const length = Number(record.readBigUInt64LE(16));
    position += RECORD_LENGTH;
    if (kind === END) break;
    if (kind === ZEROS) actions.zero(offset, length);
    else if (kind !== DATA || length > MAX_DATA_LENGTH) throw damaged(path);
    else {
      const bytes = readExactly(fd, position, length);
      if (bytes === undefined) throw damaged(path);
      actions.write(bytes, offset);
      position += length;
    }
  }
  actions.resize(header.newSize);
}

function damaged(path: string): Error {
  return systemFailure('read journal', 'EBADMSG', path);
}

/** @returns undefined if there are not as many bytes */
function readExactly(fd: number, offset: number, length: number): Buffer | undefined {
  const bytes = Buffer.allocUnsafe(length);
  return readFully(fd, bytes, offset) === length ? bytes : undefined;
}

function removeJournal(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw systemFailure('remove', error, path);
  }
}
