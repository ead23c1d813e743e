/**
 * A destination with its map on a machine that can be stopped before every call: killed, or without
 * power, when each sector written since the last sync is there or not. For tests of what survives.
 */
import { BlockTable } from '../../formats/block-table.ts';
import { CasError } from '../../formats/errors.ts';
import type { JournalBytes } from '../../formats/map-journal.ts';
import type { MapBinding, MapHeader } from '../../formats/map-state.ts';
import { createBlockDigest } from '../../lib/digest/block-digest.node.ts';
import type { SinkResult } from '../../lib/images/block-sink.ts';
import type { FsyncPolicy } from '../../lib/images/destination/image-update.ts';
import { ImageUpdater } from '../../lib/images/destination/image-updater.ts';
import type { MapFile } from '../../lib/images/destination/map-file.node.ts';
import { encodeHeader, SHA256 } from '../../lib/images/destination/map-header.node.ts';
import {
  type MapStart,
  type MapStorage,
  MapWriter,
} from '../../lib/images/destination/map-writer.ts';
import { type MapReader, openMap } from '../../lib/images/destination/open-map.node.ts';
import type {
  DestinationTraces,
  OpenedDestination,
} from '../../lib/images/destination/opened-destination.ts';
import type { Random } from './simulated-disk.ts';

export const BLOCK = 1024;
const SECTOR = 512;
const ROOM = 40 * 1024;
const BLOCKS_AT_ONCE = 3;
const digest = createBlockDigest('sha256');

/** How the machine ends. */
export type Ending = 'kill' | 'power cut';

/** A file in memory that remembers what is not on disk yet. */
class SimulatedFile {
  content = new Uint8Array(ROOM);
  size = 0;
  #versions = new Map<number, Uint8Array[]>();
  #sizes: number[] = [];

  write(bytes: Uint8Array, offset: number): void {
    const [first, last] = [offset, offset + bytes.length - 1].map((at) => Math.floor(at / SECTOR));
    for (let sector = first; sector <= last; sector++) this.#remember(sector);
    this.content.set(bytes, offset);
    if (offset + bytes.length > this.size) this.#resizeTo(offset + bytes.length);
  }

  resize(size: number): void {
    if (size < this.size) {
      for (let sector = Math.floor(size / SECTOR); sector * SECTOR < this.size; sector++) {
        this.#remember(sector);
      }
      this.content.fill(0, size, this.size);
    }
    this.#resizeTo(size);
  }

  sync(): void {
    this.#versions.clear();
    this.#sizes = [];
  }

  /** Everything else is as it was at some time since the last sync. */
  cutPower(random: Random): void {
    const kind = random(3);
    for (const [sector, older] of this.#versions) {
      const isOld = kind === 0 || (kind === 1 && random(2) === 0);
      if (isOld) this.content.set(older[random(older.length)], sector * SECTOR);
    }
    const sizes = [...this.#sizes, this.size];
    const size = kind === 0 ? sizes[0] : sizes[random(sizes.length)];
    this.content.fill(0, size);
    this.size = size;
    this.sync();
  }

  clone(): SimulatedFile {
    const copy = new SimulatedFile();
    copy.content = this.content.slice();
    copy.size = this.size;
    copy.#versions = new Map([...this.#versions].map(([key, all]) => [key, [...all]]));
    copy.#sizes = [...this.#sizes];
    return copy;
  }

  get bytes(): Uint8Array {
    return this.content.subarray(0, this.size);
  }

  #resizeTo(size: number): void {
    this.#sizes.push(this.size);
    this.size = size;
  }

  #remember(sector: number): void {
    const version = this.content.slice(sector * SECTOR, (sector + 1) * SECTOR);
    this.#versions.set(sector, [...(this.#versions.get(sector) ?? []), version]);
  }
}

export interface MachineOptions {
  readonly fsync?: FsyncPolicy;
  readonly batch?: number;
  readonly isStream?: boolean;
  /** Whether blocks are written while others are still to be read. */
  readonly isLazy?: boolean;
}

/** What an update has done. */
export interface UpdateRun {
  readonly result: SinkResult;
  readonly readBytes: number;
  readonly warnings: readonly string[];
}

export class SimulatedMachine {
  destination: SimulatedFile | undefined;
  state: SimulatedFile | undefined;
  map: MapFile | undefined;
  bootId = 1n;
  #mtimeNs = 1n;
  #callsLeft = Number.POSITIVE_INFINITY;
  #random: Random;
  callCount = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** As it is now, in another place. */
  fork(random: Random): SimulatedMachine {
    const copy = new SimulatedMachine(random);
    copy.destination = this.destination?.clone();
    copy.state = this.state?.clone();
    copy.map = this.map;
    copy.bootId = this.bootId;
    copy.#mtimeNs = this.#mtimeNs;
    return copy;
  }

  get isOff(): boolean {
    return this.#callsLeft <= 0;
  }

  /** Lets so many calls happen. */
  allow(callCount: number): void {
    this.#callsLeft = callCount;
  }

  /** Starts again. */
  restart(ending: Ending): void {
    this.#callsLeft = Number.POSITIVE_INFINITY;
    if (ending === 'kill') return;
    this.destination?.cutPower(this.#random);
    this.state?.cutPower(this.#random);
    this.bootId += 1n;
  }

  /** Somebody else writes. */
  meddle(offset: number, bytes: Uint8Array): void {
    this.destination?.write(bytes, offset);
    this.#mtimeNs += 1n;
  }

  /** What the map says now, with the journal carried out. */
  known(size: number | undefined): MapStart | undefined {
    return openMap(
      this.#files(),
      this.#opened(size),
      this.#mapOptions(() => undefined),
    )?.start;
  }

  /** Brings the destination to the content of `source`. @param size undefined for a stream */
  async update(
    source: Uint8Array,
    { fsync = 'batch', batch = 4 * BLOCK, isStream = false, isLazy = false }: MachineOptions = {},
  ): Promise<UpdateRun> {
    const warnings: string[] = [];
    const destination = this.#opened(isStream ? undefined : source.length);
    const files = this.#files();
    const opened = openMap(
      files,
      destination,
      this.#mapOptions((text) => warnings.push(text)),
    );
    const known = Math.min(destination.size, isStream ? ROOM : source.length);
    const start = opened?.start ?? coldStart(known);
    const map = new MapWriter({
      ...{ storage: files, destination, start, digest, batch, fsync },
      sha256: SHA256,
      binding: () => BINDING,
      bootId: this.bootId,
      nonce: new Uint8Array(16).fill(7),
    });
    const updater = new ImageUpdater({
      ...{ destination, digest, start, map, mapPath: files.mapPath, batch, fsync },
      readBlocks: async function* (runs, size) {
        for (const run of runs) {
          for (let at = run.first; at < run.first + run.count; at += BLOCKS_AT_ONCE) {
            const end = Math.min(run.first + run.count, at + BLOCKS_AT_ONCE);
            const bytes = new Uint8Array(Math.min(end * BLOCK, size) - at * BLOCK);
            destination.read(bytes, at * BLOCK);
            const digests = digestsOf(bytes);
            yield { first: at, count: end - at, digests, byteCount: bytes.length };
          }
        }
      },
      nowMs: () => 0,
      isDryRun: false,
      signal: undefined,
      onUndo: undefined,
      onRead: undefined,
    });
    const digests = digestsOf(source);
    let next = 0;
    const writeUpTo = async (end: number) => {
      for (; next < end && next * BLOCK < source.length; next++) {
        if (updater.known.has(next, digests, next * 32)) continue;
        const bytes = source.subarray(next * BLOCK, (next + 1) * BLOCK);
        const isZero = bytes.every((byte) => byte === 0);
        const own = digests.subarray(next * 32, (next + 1) * 32);
        await updater.write({ first: next, count: 1 }, own, isZero ? undefined : bytes);
      }
    };
    for await (const { first } of updater.readings()) if (isLazy) await writeUpTo(first);
    await writeUpTo(Number.POSITIVE_INFINITY);
    const result = await updater.finish(source.length);
    return { result, readBytes: updater.readBytes, warnings };
  }

  #mapOptions(onWarning: (text: string) => void) {
    const { bootId } = this;
    const asked = { blockSize: undefined, digest: undefined, check: false, isReadOnly: false };
    return { ...asked, binding: BINDING, bootId, onWarning };
  }

  /** @returns whether the machine stops in the middle of this call */
  #spend(): boolean {
    if (this.isOff) throw this.#stopped();
    this.callCount++;
    this.#callsLeft--;
    return this.isOff;
  }

  #stopped(): CasError {
    return new CasError('IO', { reason: 'the machine has stopped' });
  }

  #written(file: SimulatedFile, bytes: Uint8Array, offset: number): void {
    const isCut = this.#spend();
    file.write(isCut ? bytes.subarray(0, this.#random(bytes.length + 1)) : bytes, offset);
    if (isCut) throw this.#stopped();
  }

  #synced(file: SimulatedFile): void {
    if (this.#spend()) throw this.#stopped();
    file.sync();
  }

  #opened(imageSize: number | undefined): OpenedDestination {
    const there = () => {
      this.destination ??= new SimulatedFile();
      return this.destination;
    };
    const { destination } = this;
    const size = destination?.size ?? 0;
    const opened = {
      path: '/simulated',
      label: 'simulated',
      kind: 'file' as const,
      isNew: destination === undefined,
      size,
      sectorSize: SECTOR,
      imageSize,
      keepsRest: false,
      descriptor: destination === undefined ? undefined : 3,
      create: () => {
        there();
        opened.descriptor = 3;
        return 3;
      },
      write: async (bytes: Uint8Array, offset: number) => {
        this.#mtimeNs += 1n;
        this.#written(there(), bytes, offset);
      },
      zero: async (offset: number, length: number) => {
        this.#mtimeNs += 1n;
        this.#written(there(), new Uint8Array(length), offset);
        return true;
      },
      read: (into: Uint8Array, offset: number) => {
        into.set(there().content.subarray(offset, offset + into.length));
      },
      resize: (wanted: number) => {
        this.#mtimeNs += 1n;
        if (this.#spend()) throw this.#stopped();
        there().resize(wanted);
      },
      sync: async () => this.#synced(there()),
      traces: (): DestinationTraces => ({
        destinationSize: this.destination?.size ?? 0,
        mtimeNs: this.#mtimeNs,
        writeCount: undefined,
      }),
      close: () => undefined,
    };
    return opened;
  }

  #files(): MapStorage & MapReader {
    const state = () => {
      if (this.state === undefined) throw new Error('no state');
      return this.state;
    };
    return {
      mapPath: '/simulated.caibx',
      statePath: '/simulated.caibx.state',
      openState: (): JournalBytes | undefined => {
        const bytes = this.state?.bytes.slice();
        if (bytes === undefined) return undefined;
        return { length: bytes.length, read: (at, length) => bytes.slice(at, at + length) };
      },
      hasMap: () => this.map !== undefined,
      readMap: () => {
        if (this.map === undefined) return undefined;
        const { table } = this.map;
        const copy = new BlockTable(table.blockSize, table.size, table.digests().slice());
        return { table: copy, digest: this.map.digest };
      },
      replaceMap: async ({ table }) => {
        const digests = table.digests().slice();
        this.#replaced(() => {
          this.map = { table: new BlockTable(BLOCK, table.size, digests), digest: 'sha256' };
        });
      },
      replaceState: async (header: MapHeader) => {
        const file = new SimulatedFile();
        file.write(encodeHeader(header), 0);
        file.sync();
        this.#replaced(() => {
          this.state = file;
        });
      },
      append: (bytes) => this.#written(state(), bytes, state().size),
      truncate: (length) => {
        if (length >= state().size) return false;
        if (this.#spend()) throw this.#stopped();
        state().resize(length);
        return true;
      },
      sync: async () => this.#synced(state()),
      removeRemains: () => undefined,
      close: () => undefined,
    };
  }

  /** A name leads to the old file or to the new one. */
  #replaced(replace: () => void): void {
    const isCut = this.#spend();
    if (!isCut || this.#random(2) === 0) replace();
    if (isCut) throw this.#stopped();
  }
}

const BINDING: MapBinding = {
  kind: 'file',
  tag: undefined,
  inode: 1n,
  birthNs: 1n,
  identity: '/simulated',
};

function coldStart(size: number): MapStart {
  const table = new BlockTable(BLOCK, size);
  return { table, kind: 'void', root: undefined, journalEnd: 0, recordNumber: 0 };
}

/** By the definition. */
export function digestsOf(bytes: Uint8Array): Uint8Array {
  const digests = new Uint8Array(Math.ceil(bytes.length / BLOCK) * 32);
  for (let at = 0, i = 0; at < bytes.length; at += BLOCK, i++) {
    digest.write(bytes.subarray(at, at + BLOCK), digests, i * 32);
  }
  return digests;
}
