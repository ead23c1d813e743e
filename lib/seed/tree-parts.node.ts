/**
 * Where the chunks of an index lie in a folder: parts of files, and inline bytes of the archive, which
 * are in no file and are kept in a scratch file. All in columns, so that a million entries cost bytes
 * and not objects. Used by folders as seeds.
 */
import { closeSync } from 'node:fs';
import type { ContentReference } from '../make/held-folder.node.ts';
import { type Folder, nameOf, pathOf } from '../make/held-folder.node.ts';
import type { SpanPart } from '../make/span-window.node.ts';
import { openScratchFile, scratchFolder } from '../os/scratch-file.node.ts';
import { systemFailure } from '../os/system-error.node.ts';
import { writeFullySync } from '../os/write.node.ts';
import { ByteStrings } from './byte-strings.ts';
import type { SeedPart } from './seed.ts';

const NOT_FOUND = -1;
const IN_SCRATCH = -1;
const BUFFER_LENGTH = 1024 * 1024;
const NO_NAME = new Uint8Array(0);
const SLASH = Buffer.from('/');

export class TreeParts {
  readonly #root: number;
  /** For each chunk the number of its first part, and of the one behind its last. */
  readonly #firsts: Int32Array;
  readonly #ends: Int32Array;
  #partCount = 0;
  #offsets = new Float64Array(64);
  #lengths = new Float64Array(64);
  #files = new Int32Array(64);
  readonly #fileNames = new ByteStrings();
  /** For each file the number of its folder. */
  #fileFolders = new Int32Array(64);
  readonly #folderPaths = new ByteStrings();
  #latest: { readonly reference: ContentReference; readonly number: number } | undefined;
  #folderNumbers = new WeakMap<Folder, number>();
  readonly #scratch = openScratchFile(scratchFolder());
  readonly #buffer = new Uint8Array(BUFFER_LENGTH);
  #buffered = 0;
  /** Bytes of the scratch file that are written. */
  #written = 0;

  /**
   * @param root descriptor of the folder; stays the caller's
   * @throws PipelineError if there can be no scratch file
   */
  constructor(root: number, chunkCount: number) {
    this.#root = root;
    this.#firsts = new Int32Array(chunkCount).fill(NOT_FOUND);
    this.#ends = new Int32Array(chunkCount);
  }

  has(chunk: number): boolean {
    return this.#firsts[chunk] !== NOT_FOUND;
  }

  /** Says where a chunk lies. @throws PipelineError if the scratch file cannot be written */
  add(chunk: number, parts: Iterable<SpanPart>): void {
    const first = this.#partCount;
    for (const part of parts) {
      if (part instanceof Uint8Array) this.#addInline(part);
      else this.#addPart(this.#fileNumber(part.reference), part.offset, part.length);
    }
    this.#firsts[chunk] = first;
    this.#ends[chunk] = this.#partCount;
  }

  /** To be called when everything is added. @throws PipelineError */
  finish(): void {
    this.#flush();
    this.#latest = undefined;
    this.#folderNumbers = new WeakMap();
  }

  /** The parts of a chunk; undefined if it was not added. */
  find(chunk: number): readonly SeedPart[] | undefined {
    if (!this.has(chunk)) return undefined;
    const parts: SeedPart[] = [];
    for (let i = this.#firsts[chunk]; i < this.#ends[chunk]; i++) {
      const range = { offset: this.#offsets[i], length: this.#lengths[i] };
      const file = this.#files[i];
      if (file === IN_SCRATCH) parts.push({ descriptor: this.#scratch, ...range });
      else parts.push({ descriptor: this.#root, path: this.#pathOf(file), ...range });
    }
    return parts;
  }

  close(): void {
    closeSync(this.#scratch);
  }

  #pathOf(file: number): Uint8Array {
    const folder = this.#folderPaths.at(this.#fileFolders[file]);
    const name = this.#fileNames.at(file);
    // A copy, because sending a part of an array to a thread sends all of it.
    return folder.length === 0
      ? name.slice()
      : new Uint8Array(Buffer.concat([folder, SLASH, name]));
  }

  #addPart(file: number, offset: number, length: number): void {
    const i = this.#partCount++;
    if (i === this.#offsets.length) {
      this.#offsets = doubled(this.#offsets, new Float64Array(2 * i));
      this.#lengths = doubled(this.#lengths, new Float64Array(2 * i));
      this.#files = doubled(this.#files, new Int32Array(2 * i));
    }
    this.#offsets[i] = offset;
    this.#lengths[i] = length;
    this.#files[i] = file;
  }

  #fileNumber(reference: ContentReference): number {
    // What comes again later is noted twice, which costs less than to remember all.
    if (reference === this.#latest?.reference) return this.#latest.number;
    const number = this.#fileNames.add(nameOf(reference.folder, reference.number));
    if (number === this.#fileFolders.length) {
      this.#fileFolders = doubled(this.#fileFolders, new Int32Array(2 * number));
    }
    this.#fileFolders[number] = this.#folderNumber(reference.folder);
    this.#latest = { reference, number };
    return number;
  }

  #folderNumber(folder: Folder): number {
    const known = this.#folderNumbers.get(folder);
    if (known !== undefined) return known;
    const number = this.#folderPaths.add(pathOf(folder, NO_NAME));
    this.#folderNumbers.set(folder, number);
    return number;
  }

  #addInline(bytes: Uint8Array): void {
    this.#addPart(IN_SCRATCH, this.#written + this.#buffered, bytes.length);
    for (let done = 0; done < bytes.length; ) {
      if (this.#buffered === BUFFER_LENGTH) this.#flush();
      const part = bytes.subarray(done, done + BUFFER_LENGTH - this.#buffered);
      this.#buffer.set(part, this.#buffered);
      this.#buffered += part.length;
      done += part.length;
    }
  }

  #flush(): void {
    try {
      const bytes = this.#buffer.subarray(0, this.#buffered);
      writeFullySync(this.#scratch, bytes, this.#written);
    } catch (error) {
      throw systemFailure('write scratch file', error);
    }
    this.#written += this.#buffered;
    this.#buffered = 0;
  }
}

function doubled<Column extends Uint8Array | Int32Array | Float64Array>(
  from: Column,
  to: Column,
): Column {
  to.set(from);
  return to;
}
