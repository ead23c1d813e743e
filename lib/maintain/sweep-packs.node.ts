/**
 * The sweep of packs (spec/formats/pack.md, "Cleaning"): packs without any chunk that is needed are
 * removed, those with others are written anew without them. A new pack is on disk before the old one
 * goes, so that a kill at any moment leaves a store in which no live chunk is missing. Used by gc.
 */
import { existsSync, lstatSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { CHUNK_ID_LENGTH, type DigestName } from '../../formats/chunk-id.ts';
import { isCasError } from '../../formats/errors.ts';
import { decodePackHeader, PACK_HEADER_LENGTH, type PackEntry } from '../../formats/pack.ts';
import { attempt, syncFolder } from '../../store/backends/durable-write.node.ts';
import { isPackName, OpenedPack, PACK_FOLDER } from '../../store/pack-folder.node.ts';
import { throwIfAborted } from '../errors.ts';
import { PackWriter } from '../images/chain/pack-writer.node.ts';
import type { LocalStoreDescription } from '../local-store.node.ts';
import { createBreather } from '../work/breathe.ts';
import type { ChunkIdSet } from './chunk-id-set.ts';
import { checkPack } from './pack-check.node.ts';
import type { SweepOptions } from './sweep.node.ts';

export interface PackSweepResult {
  /** Chunks that are gone, or would be. */
  readonly removedCount: number;
  readonly remainingCount: number;
  /** Bytes of files that are gone, or would be, less those of new ones. */
  readonly removedBytes: number;
  readonly temporaryCount: number;
}

/** A pack of at most this many bytes is written anew for any garbage, a larger one for so large a part. */
const SMALL_PACK = 64 * 1024 * 1024;
const GARBAGE_SHARE = 1 / 50;
const OLD_TEMPORARY_MS = 24 * 3600_000;
/** What a file that died while it was written is called. */
const TEMPORARY = /^\.#.+[0-9a-f]{16}$/;

interface Found {
  readonly name: string;
  readonly fileBytes: number;
  readonly liveCount: number;
  readonly liveBytes: number;
  readonly garbageCount: number;
  readonly garbageBytes: number;
}

/** @throws StorageError; `ABORTED`; what `confirm` throws */
export function sweepPacks(
  store: LocalStoreDescription,
  live: ChunkIdSet,
  options: SweepOptions,
): Promise<PackSweepResult> {
  return new PackSweep(store, live, options).run();
}

class PackSweep {
  readonly #store: LocalStoreDescription;
  readonly #folder: string;
  readonly #live: ChunkIdSet;
  readonly #options: SweepOptions;
  #removedCount = 0;
  #remainingCount = 0;
  #removedBytes = 0;
  #temporaryCount = 0;

  constructor(store: LocalStoreDescription, live: ChunkIdSet, options: SweepOptions) {
    this.#store = store;
    this.#folder = `${store.folder}/${PACK_FOLDER}`;
    this.#live = live;
    this.#options = options;
  }

  async run(): Promise<PackSweepResult> {
    const names = existsSync(this.#folder) ? readdirSync(this.#folder).sort() : [];
    const breathe = createBreather();
    const found: Found[] = [];
    for (const name of names) {
      throwIfAborted(this.#options.signal);
      await breathe();
      const pack = isPackName(name) ? this.#count(name) : undefined;
      if (pack !== undefined) found.push(pack);
      else if (TEMPORARY.test(name)) await this.#removeOld(name);
    }
    // What needs no room goes first.
    for (const pack of found) if (pack.liveCount === 0) await this.#removeEmpty(pack);
    const worth = found.filter(isWorthRewriting).sort((a, b) => a.fileBytes - b.fileBytes);
    for (const pack of worth) await this.#rewrite(pack);
    const rewritten = new Set(worth);
    for (const pack of found) {
      this.#remainingCount += pack.liveCount;
      if (!rewritten.has(pack) && pack.liveCount > 0) this.#remainingCount += pack.garbageCount;
    }
    if (!this.#options.dryRun) removeFolder(this.#folder);
    return {
      removedCount: this.#removedCount,
      remainingCount: this.#remainingCount,
      removedBytes: this.#removedBytes,
      temporaryCount: this.#temporaryCount,
    };
  }

  /** Nobody knows what is in a pack that is damaged: it stays. */
  #count(name: string): Found | undefined {
    return this.#with(name, (pack) => {
      const counts = { liveCount: 0, liveBytes: 0, garbageCount: 0, garbageBytes: 0 };
      for (const { id, storedLength } of pack.reader.chunks()) {
        if (this.#live.has(id)) {
          counts.liveCount += 1;
          counts.liveBytes += storedLength;
        } else {
          counts.garbageCount += 1;
          counts.garbageBytes += storedLength;
        }
      }
      return { name, fileBytes: this.#sizeOf(name), ...counts };
    });
  }

  #with<T>(name: string, work: (pack: OpenedPack) => T): T | undefined {
    let pack: OpenedPack | undefined;
    try {
      pack = new OpenedPack(`${this.#folder}/${name}`);
      checkPack(pack);
      return work(pack);
    } catch (error) {
      if (!isCasError(error) || error.code !== 'FORMAT') throw error;
      this.#options.onEvent?.({ kind: 'damaged-pack', name, reason: error.message });
      return undefined;
    } finally {
      pack?.close();
    }
  }

  async #removeEmpty({ name, fileBytes, garbageCount }: Found): Promise<void> {
    this.#options.onEvent?.({ kind: 'pack', name });
    await this.#remove(name);
    this.#removedBytes += fileBytes;
    this.#removedCount += garbageCount;
  }

  async #rewrite({ name, fileBytes, garbageCount, garbageBytes }: Found): Promise<void> {
    this.#options.onEvent?.({ kind: 'rewritten-pack', name });
    this.#removedCount += garbageCount;
    if (this.#options.dryRun) {
      this.#removedBytes += garbageBytes;
      return;
    }
    const pack = new OpenedPack(`${this.#folder}/${name}`);
    try {
      const newBytes = await this.#copyLive(pack);
      await this.#remove(name);
      this.#removedBytes += fileBytes - newBytes;
    } finally {
      pack.close();
    }
  }

  /** @returns bytes of the new packs */
  async #copyLive(pack: OpenedPack): Promise<number> {
    const digest: DigestName = decodePackHeader(pack.bytes(0, PACK_HEADER_LENGTH));
    const { folder: store, sync } = this.#store;
    const writer = new PackWriter({ store, digest, sync });
    const breathe = createBreather();
    try {
      for (const entry of this.#liveInOrder(pack)) {
        throwIfAborted(this.#options.signal);
        const pause = breathe();
        if (pause !== undefined) await pause;
        await writer.add(entry.id, 0, pack.stored(entry), entry.plainLength);
      }
      return (await writer.finish()).bytes;
    } finally {
      writer.discard();
    }
  }

  /** The chunks that stay, as they lie in the file: neighbours of the image stay neighbours. */
  *#liveInOrder(pack: OpenedPack): Generator<PackEntry & { readonly id: Uint8Array }> {
    const { count } = pack.reader.layout;
    const ids = new Uint8Array(count * CHUNK_ID_LENGTH);
    const [offsets, storedLengths] = [new Float64Array(count), new Uint32Array(count)];
    const plainLengths = new Uint32Array(count);
    let liveCount = 0;
    for (const { id, offset, storedLength, plainLength } of pack.reader.chunks()) {
      if (!this.#live.has(id)) continue;
      ids.set(id, liveCount * CHUNK_ID_LENGTH);
      offsets[liveCount] = offset;
      storedLengths[liveCount] = storedLength;
      plainLengths[liveCount] = plainLength;
      liveCount += 1;
    }
    const order = Uint32Array.from({ length: liveCount }, (_, i) => i);
    for (const i of order.sort((x, y) => offsets[x] - offsets[y])) {
      const id = ids.subarray(i * CHUNK_ID_LENGTH, (i + 1) * CHUNK_ID_LENGTH);
      const [storedLength, plainLength] = [storedLengths[i], plainLengths[i]];
      yield { id, offset: offsets[i], storedLength, plainLength };
    }
  }

  #sizeOf(name: string): number {
    const path = `${this.#folder}/${name}`;
    return attempt(path, 'look up', () => lstatSync(path).size);
  }

  async #removeOld(name: string): Promise<void> {
    const path = `${this.#folder}/${name}`;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    const oldestMs = (this.#options.now ?? Date.now)() - OLD_TEMPORARY_MS;
    if (!stats?.isFile() || stats.mtimeMs > oldestMs) return;
    this.#options.onEvent?.({ kind: 'temporary', name });
    await this.#remove(name);
    this.#removedBytes += stats.size;
    this.#temporaryCount += 1;
  }

  async #remove(name: string): Promise<void> {
    throwIfAborted(this.#options.signal);
    if (this.#options.dryRun) return;
    await this.#options.confirm();
    const path = `${this.#folder}/${name}`;
    attempt(path, 'remove', () => rmSync(path, { force: true }));
    if (this.#store.sync === 'group') await syncFolder(this.#folder);
  }
}

function isWorthRewriting({ fileBytes, liveBytes, liveCount, garbageBytes }: Found): boolean {
  if (liveCount === 0 || garbageBytes === 0) return false;
  return fileBytes <= SMALL_PACK || garbageBytes >= GARBAGE_SHARE * (liveBytes + garbageBytes);
}

/** Of packs, if there are none any more. */
function removeFolder(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // There are some.
  }
}
