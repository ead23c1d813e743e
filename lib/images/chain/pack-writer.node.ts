/**
 * Writes chunks into packs of a store on this machine (spec/formats/pack.md, "Writing"): a pack appears
 * under its name when it is complete and on disk. Used by whatever stores blocks of images, and by gc.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { hexOf } from '../../../formats/bytes.ts';
import type { DigestName } from '../../../formats/chunk-id.ts';
import { encodePackHeader, encodePackTrailer } from '../../../formats/pack.ts';
import { PackIndexBuilder } from '../../../formats/pack-builder.ts';
import {
  attempt,
  type DurableFile,
  openDurableFile,
  syncFolder,
  writeFully,
} from '../../../store/backends/durable-write.node.ts';
import { PACK_FOLDER } from '../../../store/pack-folder.node.ts';

export interface PackWriterOptions {
  /** The folder of the store; created, but not the folders above it. */
  readonly store: string;
  /** Which names the chunks. */
  readonly digest: DigestName;
  /** `none`: packs need not be on disk when they appear. */
  readonly sync: 'group' | 'none';
  /** A pack ends when it has so many chunks; for tests. */
  readonly mostChunks?: number;
}

export interface WrittenPacks {
  readonly packCount: number;
  readonly chunkCount: number;
  /** Bytes of the files. */
  readonly bytes: number;
}

const PACK_MODE = 0o444;
/** Bounds the memory that the index takes while a pack is written. */
const MOST_CHUNKS = 2 ** 18;
const BUFFER_LENGTH = 1024 * 1024;

export class PackWriter {
  readonly #options: PackWriterOptions;
  readonly #buffer = new Uint8Array(BUFFER_LENGTH);
  #file: DurableFile | undefined;
  #index = new PackIndexBuilder(Math.random);
  #buffered = 0;
  /** Where the next chunk goes. */
  #offset = 0;
  #written = { packCount: 0, chunkCount: 0, bytes: 0 };

  constructor(options: PackWriterOptions) {
    this.#options = options;
  }

  /** Whether the pack that is being written has a chunk. @param id 32 bytes at `at` */
  has(id: Uint8Array, at = 0): boolean {
    return this.#index.has(id, at);
  }

  /**
   * Takes a chunk over that the pack does not have yet.
   * @param id 32 bytes at `at`
   * @param stored compressed, or the chunk itself if it has `plainLength` bytes
   * @returns whether a pack has been finished, and others can see its chunks
   * @throws StorageError
   */
  async add(id: Uint8Array, at: number, stored: Uint8Array, plainLength: number): Promise<boolean> {
    if (this.#file === undefined) this.#begin();
    this.#index.add(id, at, { offset: this.#offset, storedLength: stored.length, plainLength });
    this.#write(stored);
    if (this.#index.count < (this.#options.mostChunks ?? MOST_CHUNKS)) return false;
    await this.#finishPack();
    return true;
  }

  /** Everything that was added is visible and durable. @throws StorageError */
  async finish(): Promise<WrittenPacks> {
    await this.#finishPack();
    return this.#written;
  }

  /** Gives up the pack that is not finished. */
  discard(): void {
    this.#file?.discard();
    this.#file = undefined;
  }

  #begin(): void {
    const { store, digest } = this.#options;
    const folder = `${store}/${PACK_FOLDER}`;
    attempt(folder, 'create', () => mkdirSync(folder, { recursive: existsSync(dirname(store)) }));
    this.#file = openDurableFile(`${folder}/new`, { mode: PACK_MODE });
    this.#offset = 0;
    this.#write(encodePackHeader(digest));
  }

  #write(bytes: Uint8Array): void {
    this.#offset += bytes.length;
    if (this.#buffered + bytes.length > BUFFER_LENGTH) this.#flush();
    if (bytes.length > BUFFER_LENGTH) this.#writeOut(bytes);
    else {
      this.#buffer.set(bytes, this.#buffered);
      this.#buffered += bytes.length;
    }
  }

  #flush(): void {
    this.#writeOut(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  #writeOut(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) throw new TypeError('no pack is open');
    attempt(this.#options.store, 'store', () => writeFully(file.descriptor, bytes));
  }

  async #finishPack(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    const { store, digest, sync } = this.#options;
    const [indexOffset, { count }] = [this.#offset, this.#index];
    const index = this.#index.encode();
    const hash = createHash('sha256').update(encodePackHeader(digest)).update(index);
    const checksum = new Uint8Array(hash.digest());
    this.#write(index);
    this.#write(encodePackTrailer({ indexOffset, count, checksum }));
    this.#flush();
    const name = hexOf(checksum);
    const path = `${store}/${PACK_FOLDER}/${name}.capack`;
    await file.commit({ sync: sync === 'group', path });
    if (sync === 'group') {
      await syncFolder(store);
      await syncFolder(dirname(store));
    }
    this.#file = undefined;
    this.#index = new PackIndexBuilder(Math.random);
    const { packCount, chunkCount, bytes } = this.#written;
    this.#written = {
      packCount: packCount + 1,
      chunkCount: chunkCount + count,
      bytes: bytes + this.#offset,
    };
  }
}
