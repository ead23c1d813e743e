/**
 * The content of a file that an older one may have already. As long as what comes is what the older
 * file has, nothing is made; with the first difference a new file begins, with a copy of what was equal.
 * Where blocks can be shared, all of the older file is shared and only what differs is written
 * (spec/formats/extraction.md, "Over an older version"). Used by tree extraction.
 */
import { ftruncateSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { cloneRange } from '../os/clone.node.ts';
import { copyBegin } from '../os/copy.node.ts';
import { hasChanged, statDescriptor } from '../os/file-stat.node.ts';
import { nextData, punchHole } from '../os/holes.node.ts';
import { closeEntry } from '../os/open.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import { run } from './directory-calls.node.ts';
import { wrongLength } from './entry-sink.node.ts';
import { FileContent } from './file-content.node.ts';
import { type OldFile, readOld } from './old-entry.node.ts';
import { dataSpans, differingSpans, type Span } from './sparse.node.ts';
import type { Tally } from './tally.ts';

export interface ContentOptions {
  /** Bytes that will come, exactly. */
  readonly size: number;
  /** Leave out runs of zeros. */
  readonly punchHoles: boolean;
  /** Share blocks with the older file where the file system can. */
  readonly reflink: boolean;
  /** What has the name already; closed by `close`. */
  readonly old: OldFile | undefined;
  readonly shared: SharedFile | undefined;
  /** Makes the new file; open for reading, too, if there is an older or a shared one. */
  readonly create: () => number;
  readonly tally: Tally;
}

/** An open file that has exactly the content of an entry, to share all blocks with. */
export interface SharedFile {
  /** Open for reading. */
  readonly fd: number;
  /** Told if the file system cannot share the blocks. */
  readonly onRefused?: () => void;
  /** Given the finished entry, open for reading; it is closed afterwards. */
  readonly onDone?: (fd: number) => void;
}

/** Smaller files are not worth sharing some of their blocks. */
const LEAST_SHARED = 1024 * 1024;
const PIECE_LENGTH = 256 * 1024;
const NO_BYTES = new Uint8Array(0);
const ALL = { from: 0, to: 0, length: 0 } as const;

/** What one file that is compared needs. */
interface Memory {
  readonly stage: Buffer;
  readonly old: Buffer;
}

/** Memory for the next file: mostly there is one at a time, but several trees may be restored at once. */
const spare: Memory[] = [];
const MOST_SPARE = 2;

function newMemory(): Memory {
  return {
    stage: Buffer.allocUnsafeSlow(PIECE_LENGTH),
    old: Buffer.allocUnsafeSlow(PIECE_LENGTH),
  };
}

type Mode =
  /** All that has come is what the older file has. */
  | 'compare'
  /** The new file has all blocks of the older one; what differs is written. */
  | 'patch'
  | 'write'
  /** The new file has all blocks of the shared one. */
  | 'shared';

export class UpdatedContent {
  readonly #options: ContentOptions;
  #mode: Mode = 'compare';
  #fd: number | undefined;
  #writer: FileContent | undefined;
  #reserved: Memory | undefined;
  /** Bytes in the stage. */
  #staged = 0;
  /** Bytes compared or patched. */
  #position = 0;

  constructor(options: ContentOptions) {
    this.#options = options;
  }

  /** Makes the new file, unless the older one may be right. @throws PipelineError, as all methods */
  begin(): void {
    const { old, size } = this.#options;
    if (old?.stat.size !== size) this.#beginNew();
  }

  /** The new file, which the caller closes; undefined as long as there is none. */
  get fd(): number | undefined {
    return this.#fd;
  }

  /** The older file; undefined if there is none. */
  get oldFd(): number | undefined {
    return this.#options.old?.fd;
  }

  /** Whether the content is complete, so that the rest of it need not come. */
  get isComplete(): boolean {
    return this.#mode === 'shared';
  }

  /** The next bytes; they may be reused afterwards. */
  write(bytes: Uint8Array): void {
    if (this.#mode === 'shared') return;
    if (this.#writer !== undefined) {
      this.#writer.write(bytes);
      return;
    }
    if (this.#position + this.#staged + bytes.length > this.#options.size) throw wrongLength();
    if (this.#staged + bytes.length > PIECE_LENGTH) this.#flush();
    if (bytes.length > PIECE_LENGTH || this.#writer !== undefined) this.#take(bytes);
    else {
      this.#memory.stage.set(bytes, this.#staged);
      this.#staged += bytes.length;
    }
  }

  /** The same as writing so many zeros, as fast as holes allow. */
  skip(length: number): void {
    this.#flush();
    if (this.#mode === 'shared') return;
    if (this.#writer !== undefined) this.#writer.skip(length);
    else {
      if (this.#position + length > this.#options.size) throw wrongLength();
      const end = this.#position + length;
      const fd = this.#fd ?? this.#options.old?.fd;
      // What is a hole already is neither compared nor written.
      const data = fd === undefined ? this.#position : (nextData(fd, this.#position) ?? end);
      this.#position = Math.min(end, data);
      this.#takeZeros(end - this.#position);
    }
  }

  #takeZeros(length: number): void {
    const zeros = length === 0 ? NO_BYTES : new Uint8Array(Math.min(length, PIECE_LENGTH));
    for (let left = length; left > 0; ) {
      if (this.#writer !== undefined) {
        this.#writer.skip(left);
        return;
      }
      const count = Math.min(left, zeros.length);
      this.#take(zeros.subarray(0, count));
      left -= count;
    }
  }

  /**
   * Says that nothing follows.
   * @returns the older file as it is now, if all of its content is right: there is no new file then
   */
  finish(): OldFile | undefined {
    this.#flush();
    if (this.#mode === 'compare') {
      if (this.#position !== this.#options.size) throw wrongLength();
      return this.#checkOld();
    }
    this.#finishNew();
    return undefined;
  }

  /** Makes a new file after all, where `finish` has found the older one right. */
  makeNew(): void {
    this.#beginNew();
    this.#finishNew();
  }

  /** Closes the older file, and gives the memory back. */
  close(): void {
    const { old } = this.#options;
    if (old !== undefined) closeEntry(old.fd);
    if (this.#reserved !== undefined && spare.length < MOST_SPARE) spare.push(this.#reserved);
    this.#reserved = undefined;
  }

  get #memory(): Memory {
    this.#reserved ??= spare.pop() ?? newMemory();
    return this.#reserved;
  }

  #flush(): void {
    const staged = this.#staged;
    this.#staged = 0;
    if (staged > 0) this.#take(this.#memory.stage.subarray(0, staged));
  }

  #take(bytes: Uint8Array): void {
    for (let start = 0; start < bytes.length; ) {
      if (this.#mode === 'shared') return;
      if (this.#writer !== undefined) {
        this.#writer.write(bytes.subarray(start));
        return;
      }
      const piece = bytes.subarray(start, start + PIECE_LENGTH);
      if (this.#mode === 'compare' && !this.#isInOld(piece)) {
        this.#beginNew();
        continue;
      }
      if (this.#mode === 'patch') this.#patch(piece);
      this.#position += piece.length;
      start += piece.length;
    }
  }

  #isInOld(piece: Uint8Array): boolean {
    const { old } = this.#options;
    if (old === undefined) return false;
    const memory = this.#memory.old;
    const count = readOld(old.fd, memory, piece.length, this.#position);
    return memory.subarray(0, count).equals(piece);
  }

  /** Begins the new file with what was equal so far. */
  #beginNew(): void {
    const { create, shared, size, punchHoles, old, tally } = this.#options;
    const fd = create();
    this.#fd = fd;
    if (shared !== undefined) {
      if (cloneRange(shared.fd, fd, ALL)) {
        this.#mode = 'shared';
        tally.reflinkBytes += size;
        return;
      }
      shared.onRefused?.();
    }
    if (old !== undefined && this.#isWorthSharing(old) && cloneRange(old.fd, fd, ALL)) {
      this.#mode = 'patch';
      tally.reflinkBytes += this.#position;
    } else {
      if (old !== undefined) copyBegin(old.fd, fd, this.#position, punchHoles);
      this.#mode = 'write';
      this.#writer = new FileContent(fd, size, punchHoles, this.#position);
    }
    if (this.#position > 0) this.#checkOld();
  }

  #isWorthSharing({ stat }: OldFile): boolean {
    const { reflink, size } = this.#options;
    return reflink && size >= LEAST_SHARED && stat.size >= LEAST_SHARED;
  }

  /** What was compared must be what was copied. */
  #checkOld(): OldFile {
    const { old } = this.#options;
    if (old === undefined) throw new TypeError('there is no older file');
    const stat = statDescriptor(old.fd);
    if (!hasChanged(old.stat, stat)) return { fd: old.fd, stat };
    const reason = 'somebody has changed the older file while it was compared';
    throw new PipelineError('SOURCE_CHANGED', { step: 'compare', reason });
  }

  /** Nobody else writes to the new file, so it is what the older one was when it was shared. */
  #patch(piece: Uint8Array): void {
    const fd = this.#fd;
    if (fd === undefined) throw new TypeError('there is no new file');
    const { punchHoles, tally } = this.#options;
    const memory = this.#memory.old;
    const count = readOld(fd, memory, piece.length, this.#position);
    let sharedLength = piece.length;
    for (const { start, end } of differingSpans(memory.subarray(0, count), piece, this.#position)) {
      const bytes = piece.subarray(start, end);
      const offset = this.#position + start;
      const spans = punchHoles ? dataSpans(bytes, offset) : [{ start: 0, end: bytes.length }];
      writeSpans(fd, bytes, offset, spans);
      sharedLength -= bytes.length;
    }
    tally.reflinkBytes += sharedLength;
  }

  #finishNew(): void {
    const { size, tally } = this.#options;
    if (this.#writer !== undefined) {
      this.#writer.finish();
      tally.holeBytes += this.#writer.holeBytes;
      return;
    }
    if (this.#mode === 'patch' && this.#position !== size) throw wrongLength();
    const fd = this.#fd;
    if (fd === undefined) throw new TypeError('there is no new file');
    const { size: newSize } = statDescriptor(fd);
    if (this.#mode === 'shared' && newSize < size) throw wrongLength();
    if (newSize !== size) run('set length', () => ftruncateSync(fd, size));
  }
}

/** Writes parts of `bytes` to `offset` of a file, and zeros between them. */
function writeSpans(fd: number, bytes: Uint8Array, offset: number, spans: readonly Span[]): void {
  let done = 0;
  for (const { start, end } of [...spans, { start: bytes.length, end: bytes.length }]) {
    const isZero = start > done && punchHole(fd, offset + done, start - done);
    writeAt(fd, bytes.subarray(isZero ? start : done, end), offset + (isZero ? start : done));
    done = end;
  }
}

function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  try {
    writeFullySync(fd, bytes, offset);
  } catch (error) {
    throw systemFailure('write', error);
  }
}
