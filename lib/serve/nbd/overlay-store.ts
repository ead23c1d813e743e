/**
 * The map of an overlay on its way to the disk and back (spec/formats/overlay.md, "Order of writes"):
 * data, sync, journal, sync, map. Whatever is cut off leaves a map that was true at some flush.
 */
import {
  BLOCK_LENGTH,
  type Crc32,
  decodeJournal,
  decodeMapPage,
  encodeJournal,
  encodeMapPage,
  JOURNAL_CAPACITY,
  type JournalPage,
  type OverlayLayout,
} from '../../../formats/overlay.ts';
import type { OverlayFile } from './overlay-file.ts';
import { BlockMap } from './overlay-map.ts';

/** Pages of the map that are read at once. */
const PAGES_AT_ONCE = 256;

export interface OverlayPlace {
  readonly file: OverlayFile;
  readonly layout: OverlayLayout;
  /** Of the overlay, from its header. */
  readonly id: Uint8Array;
  readonly crc32: Crc32;
}

/** Reads the map, after what a cut off flush has left is dealt with. @throws CasError if it is damaged */
export async function loadMap(place: OverlayPlace): Promise<BlockMap> {
  const { file, layout, id, crc32 } = place;
  await recover(place);
  const map = new BlockMap(layout.blockCount);
  const buffer = new Uint8Array(PAGES_AT_ONCE * BLOCK_LENGTH);
  for (let number = 0; number < layout.pageCount; ) {
    const data = file.nextData(layout.mapOffset + number * BLOCK_LENGTH);
    if (data === undefined || data >= layout.dataOffset) break;
    number = Math.floor((data - layout.mapOffset) / BLOCK_LENGTH);
    const count = Math.min(PAGES_AT_ONCE, layout.pageCount - number);
    await file.read(pageOffset(place, number), buffer.subarray(0, count * BLOCK_LENGTH));
    for (let i = 0; i < count; i++, number++) {
      const page = buffer.subarray(i * BLOCK_LENGTH, (i + 1) * BLOCK_LENGTH);
      const states = decodeMapPage(page, number, id, crc32);
      if (states !== undefined) map.load(number, states);
    }
  }
  return map;
}

async function recover(place: OverlayPlace): Promise<void> {
  const { file, layout, id, crc32 } = place;
  const journal = new Uint8Array((1 + JOURNAL_CAPACITY) * BLOCK_LENGTH);
  await file.read(layout.journalOffset, journal);
  const pages = decodeJournal(journal, layout, id, crc32);
  if (pages.length === 0) return;
  // It may have come from the memory of the system: before the map changes, it must be on the disk.
  await file.sync();
  await writeHome(place, pages);
}

function pageOffset({ layout }: OverlayPlace, number: number): number {
  return layout.mapOffset + number * BLOCK_LENGTH;
}

async function writeHome(place: OverlayPlace, pages: readonly JournalPage[]): Promise<void> {
  for (const { number, bytes } of pages) await place.file.write(pageOffset(place, number), bytes);
}

/** Makes room for pages of the map before blocks of theirs are written, so that a full disk shows in time. */
export class PageReserve {
  readonly #place: OverlayPlace;
  readonly #map: BlockMap;
  readonly #pending = new Map<number, Promise<void>>();

  constructor(place: OverlayPlace, map: BlockMap) {
    this.#place = place;
    this.#map = map;
  }

  /** @param first number of a page. @param last of another one. @throws CasError `TARGET_FULL` */
  async reserve(first: number, last: number): Promise<void> {
    for (let page = first; page <= last; page++) {
      if (!this.#map.has(page)) await (this.#pending.get(page) ?? this.#begin(page));
    }
  }

  async #begin(page: number): Promise<void> {
    const reserved = this.#place.file
      .reserve(pageOffset(this.#place, page), BLOCK_LENGTH)
      .then(() => this.#map.load(page))
      .finally(() => this.#pending.delete(page));
    this.#pending.set(page, reserved);
    await reserved;
  }
}

/** Makes durable what was written. One call at a time. */
export class MapCommit {
  readonly #place: OverlayPlace;
  readonly #map: BlockMap;
  /** In the journal, and perhaps not in their places yet. */
  #unplaced: readonly JournalPage[] = [];
  #failure: unknown;

  constructor(place: OverlayPlace, map: BlockMap) {
    this.#place = place;
    this.#map = map;
  }

  /**
   * @throws CasError if a sync has failed, now or before: the system may have forgotten what it could
   * not write, so that nothing can be promised any more
   */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** @throws CasError; what is not durable now is tried again by the next call, but for {@link check} */
  async run(): Promise<void> {
    this.check();
    const pages = this.#map.dirtyPages;
    let start = 0;
    do {
      await this.#round(pages.slice(start, start + JOURNAL_CAPACITY));
      start += JOURNAL_CAPACITY;
    } while (start < pages.length);
  }

  /** After it nothing is left to be repeated from the journal. */
  async finish(): Promise<void> {
    await this.run();
    await this.#putInPlace();
    await this.#sync();
  }

  async #round(numbers: readonly number[]): Promise<void> {
    const { id, crc32, file, layout } = this.#place;
    // Taken before the sync: all data that these pages speak of are written by now.
    const pages = numbers.map((number) => {
      this.#map.take(number);
      return { number, bytes: encodeMapPage(number, this.#map.states(number), id, crc32) };
    });
    try {
      await this.#putInPlace();
      await this.#sync();
      if (pages.length === 0) return;
      await file.write(layout.journalOffset, encodeJournal(pages, id, crc32));
      await this.#sync();
    } catch (error) {
      for (const number of numbers) this.#map.giveBack(number);
      throw error;
    }
    this.#unplaced = pages;
    // They are durable in the journal; if this fails, the next round begins with it.
    await this.#putInPlace().catch(() => {});
  }

  async #putInPlace(): Promise<void> {
    await writeHome(this.#place, this.#unplaced);
    this.#unplaced = [];
  }

  async #sync(): Promise<void> {
    try {
      await this.#place.file.sync();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}
