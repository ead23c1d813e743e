/**
 * The packs of a store on this machine (spec/formats/pack.md): files of the folder `packs`, found when
 * they are needed. Used wherever a store on this machine is opened.
 */
import * as fs from 'node:fs';
import { type ChunkId, writeChunkId } from '../formats/chunk-id.ts';
import { about, isCasError } from '../formats/errors.ts';
import {
  decodePackHeader,
  decodePackTrailer,
  PACK_HEADER_LENGTH,
  PACK_TRAILER_LENGTH,
  type PackEntry,
} from '../formats/pack.ts';
import type { SignalOption } from './backend.ts';
import { attempt } from './backends/durable-write.node.ts';
import { roomFor } from './callers-memory.ts';
import { ChunkMissing, StorageError } from './errors.ts';
import { namesIn } from './names-in.node.ts';
import { PackReader } from './pack-reader.ts';
import { PackWindow } from './pack-window.ts';
import type { GetStoredOptions, StoredChunk, StoredChunkSource } from './stored-chunk.ts';
import { chunkDamaged } from './transcoder.ts';

export const PACK_FOLDER = 'packs';
const PACK_NAME = /^[0-9a-f]{64}\.capack$/;
const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
/** Who asks for chunks one by one sees new packs after so long at the latest. */
const LOOK_AGAIN_MS = 250;
/** A folder that changed so lately may change again without another time. */
const COARSEST_TIME_MS = 100;

/** Whether a name in the folder of packs is that of a pack. */
export function isPackName(name: string): boolean {
  return PACK_NAME.test(name);
}

/** A pack that is open. */
export class OpenedPack {
  readonly path: string;
  readonly reader: PackReader;
  readonly #descriptor: number;
  readonly #window: PackWindow;
  #scratch = new Uint8Array(0);

  /** @throws ObjectMissing | StorageError | FormatError */
  constructor(path: string) {
    this.path = path;
    this.#descriptor = attempt(path, 'open', () =>
      fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
    );
    try {
      const { size } = attempt(path, 'read', () => fs.fstatSync(this.#descriptor));
      decodePackHeader(this.#read(0, Math.min(size, PACK_HEADER_LENGTH)));
      const start = Math.max(0, size - PACK_TRAILER_LENGTH);
      const layout = decodePackTrailer(this.#read(start, size - start), size);
      this.reader = new PackReader(layout, (offset, length) => this.#read(offset, length));
      const fill = (bytes: Uint8Array, offset: number) => this.#fill(bytes, offset);
      this.#window = new PackWindow(layout.indexOffset, fill);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The stored form of a chunk: in `into` if that has room for it. */
  stored({ offset, storedLength }: PackEntry, into?: Uint8Array): Uint8Array {
    const bytes = roomFor(storedLength, into);
    this.#window.read(bytes, offset);
    return bytes;
  }

  /** Others are read now. */
  rest(): void {
    this.#window.drop();
  }

  /** Any bytes of the file, valid until the next call. */
  bytes(offset: number, length: number): Uint8Array {
    return this.#read(offset, length);
  }

  close(): void {
    fs.closeSync(this.#descriptor);
  }

  #read(offset: number, length: number): Uint8Array {
    if (this.#scratch.length < length) this.#scratch = new Uint8Array(length);
    const bytes = this.#scratch.subarray(0, length);
    this.#fill(bytes, offset);
    return bytes;
  }

  #fill(bytes: Uint8Array, offset: number): void {
    for (let done = 0; done < bytes.length; ) {
      const length = attempt(this.path, 'read', () =>
        fs.readSync(this.#descriptor, bytes, done, bytes.length - done, offset + done),
      );
      if (length === 0) {
        const reason = `the file ends at byte ${offset + done}`;
        throw new StorageError('IO', { subject: this.path, step: 'read', reason });
      }
      done += length;
    }
  }
}

/** Bytes of indexes that are in memory at a time. */
const MOST_KEPT = 16 * 1024 * 1024;
/** Packs that are read one behind the other at a time: versions have blocks of several. */
const MOST_WINDOWS = 4;

interface Found {
  readonly pack: OpenedPack;
  readonly entry: PackEntry;
}

/** All packs of a store as one source. The folder need not exist. */
export class PackFolder implements StoredChunkSource {
  readonly label: string;
  readonly #folder: string;
  /** Those that had something last come first. */
  #packs: OpenedPack[] = [];
  /** By the names of packs that cannot be read. */
  readonly #failures = new Map<string, string>();
  readonly #id = new Uint8Array(32);
  #seenMs: number | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** @param store the folder of the store */
  constructor(store: string) {
    this.label = store;
    this.#folder = `${store}/${PACK_FOLDER}`;
  }

  has(id: ChunkId, _options?: SignalOption): boolean {
    writeChunkId(id, this.#id, 0);
    return this.hasBytes(this.#id);
  }

  /** The same for an id of 32 bytes. */
  hasBytes(id: Uint8Array): boolean {
    if (performance.now() - this.#lookedAt > LOOK_AGAIN_MS) this.refresh();
    return this.#find(id) !== undefined;
  }

  async getStored(id: ChunkId, { into }: GetStoredOptions): Promise<StoredChunk> {
    writeChunkId(id, this.#id, 0);
    const found = this.#find(this.#id) ?? this.#findAgain(this.#id);
    if (found === undefined) {
      const [failure] = this.#failures.values();
      const subject = `${this.label}: chunk ${id}`;
      if (failure !== undefined) throw chunkDamaged(subject, failure);
      throw new ChunkMissing({ subject, reason: 'No such file or directory' });
    }
    const { pack, entry } = found;
    const bytes = pack.stored(entry, into);
    return { bytes, isPlain: entry.storedLength === entry.plainLength };
  }

  /** Opens what has come since the last time, and closes what has gone. */
  refresh(): void {
    this.#lookedAt = performance.now();
    const stats = attempt(this.#folder, 'look up', () =>
      fs.statSync(this.#folder, { throwIfNoEntry: false }),
    );
    const changedMs = stats?.mtimeMs;
    if (changedMs === this.#seenMs) return;
    const isSettled = changedMs === undefined || Date.now() - changedMs > COARSEST_TIME_MS;
    this.#seenMs = isSettled ? changedMs : Number.NaN;
    this.#open(changedMs === undefined ? [] : namesIn(this.#folder));
  }

  async close(): Promise<void> {
    for (const pack of this.#packs.splice(0)) pack.close();
  }

  #open(names: readonly string[]): void {
    const paths = new Set(names.filter(isPackName).map((name) => `${this.#folder}/${name}`));
    for (const pack of this.#packs) if (!paths.has(pack.path)) pack.close();
    this.#packs = this.#packs.filter(({ path }) => paths.has(path));
    for (const path of this.#failures.keys()) if (!paths.has(path)) this.#failures.delete(path);
    for (const { path } of this.#packs) paths.delete(path);
    for (const path of paths) {
      if (this.#failures.has(path)) continue;
      try {
        this.#packs.push(new OpenedPack(path));
      } catch (error) {
        this.#passOver(path, error);
      }
    }
  }

  #find(id: Uint8Array): Found | undefined {
    for (const [i, pack] of this.#packs.entries()) {
      const entry = this.#entryIn(pack, id, i);
      if (entry === undefined) continue;
      if (i > 0) {
        this.#packs.splice(i, 1);
        this.#packs.unshift(pack);
        this.#packs[MOST_WINDOWS]?.rest();
      }
      return { pack, entry };
    }
    return undefined;
  }

  /** Takes the index of a pack into memory if there is room beside those before it, whatever is behind. */
  #keepIndex(number: number): void {
    let room = MOST_KEPT;
    for (const [i, { reader }] of this.#packs.entries()) {
      const length = i === number ? reader.layout.indexLength : reader.keptLength;
      if (length > room) {
        reader.dropIndex();
        continue;
      }
      if (i === number) reader.keepIndex();
      room -= length;
    }
  }

  /** A pack whose index cannot be read has nothing. */
  #entryIn({ path, reader }: OpenedPack, id: Uint8Array, number: number): PackEntry | undefined {
    try {
      const entry = reader.find(id);
      if (reader.isWorthKeeping) this.#keepIndex(number);
      return entry;
    } catch (error) {
      this.#passOver(path, error);
      return undefined;
    }
  }

  /** Others have what is asked for, mostly; who does not find it is told. */
  #passOver(path: string, error: unknown): void {
    const failure = about(path, error);
    if (!isCasError(failure)) throw failure;
    this.#failures.set(path, failure.message);
  }

  #findAgain(id: Uint8Array): Found | undefined {
    this.refresh();
    return this.#find(id);
  }
}
