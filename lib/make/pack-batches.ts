/**
 * Entries of directories on their way through packing jobs: collected into batches, a few of them
 * under way at a time, and taken back in order. Used by `packTree`.
 */
import { PACKED_COLUMNS } from '../../formats/catar-serializer.ts';
import type { MetadataOptions } from './owner-rules.ts';
import {
  type PackEntries,
  type PackEntriesOutput,
  type PackedContents,
  packedLength,
} from './packing.ts';

/** A directory as far as jobs need it. */
export interface PackedFolder {
  readonly fd: number;
  readonly mountId: number | undefined;
  readonly names: readonly string[];
  readonly types: Uint8Array;
}

/** Entries that follow one another in a directory. */
interface Span {
  readonly folder: PackedFolder;
  /** Number of the first of them that has not been taken back. */
  first: number;
  count: number;
}

/** Entries that one job packs. */
export interface PackBatch {
  readonly region: SharedArrayBuffer;
  readonly spans: Span[];
  /** Entries that can still be added. */
  room: number;
  /** What the job gives; undefined until it is sent. */
  output: Promise<PackEntriesOutput> | undefined;
  /** How much of that has been taken back: table cells and bytes of the region. */
  cell: number;
  offset: number;
}

/** Entries taken back: packed ones, or a single one that is left to us. */
export interface TakenEntries {
  /** Number of the first of them in its directory. */
  readonly first: number;
  readonly count: number;
  readonly isLeft: boolean;
  /** As `PackedChildren` has it. */
  readonly table: Uint32Array;
  /** As `PackEntriesOutput` has it. */
  readonly referred: Uint32Array;
  /** Valid until the batch is released. */
  readonly bytes: Uint8Array;
}

const REGION_COUNT = 6;
const REGION_LENGTH = 1024 * 1024;
/** A job should take long against the cost of sending it, and short against the work ahead. */
const MOST_ENTRIES = 128;
const LEAST_ENTRIES = 8;
/** Assumed before anything is known. */
const USUAL_ENTRY_LENGTH = 8192;
const NO_ROWS = new Uint32Array(0);
const NOTHING: PackEntriesOutput = { table: NO_ROWS };

export class PackBatches {
  readonly #options: MetadataOptions;
  readonly #pack: PackEntries;
  readonly #contents: PackedContents;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #regionCount = 0;
  #collecting: PackBatch | undefined;
  #meanLength = USUAL_ENTRY_LENGTH;

  /** @param pack where the jobs run */
  constructor(
    { featureFlags, uidShift }: MetadataOptions,
    contents: PackedContents,
    pack: PackEntries,
  ) {
    this.#contents = contents;
    this.#options = uidShift === undefined ? { featureFlags } : { featureFlags, uidShift };
    this.#pack = pack;
  }

  /** The batch that takes entries now, with room for at least one; undefined if there is none. */
  collecting(): PackBatch | undefined {
    this.#collecting ??= this.#newBatch();
    return this.#collecting;
  }

  /** Adds entries to the batch of `collecting`, at most as many as it has room for. */
  add(batch: PackBatch, folder: PackedFolder, first: number, count: number): void {
    batch.spans.push({ folder, first, count });
    batch.room -= count;
    if (batch.room === 0) this.finish();
  }

  /** Says that nothing is to be added for now. */
  finish(): void {
    if (this.#collecting !== undefined) this.#send(this.#collecting);
  }

  /**
   * Takes back the next entries of the oldest span that was added to a batch.
   * @throws what the job throws
   */
  async take(batch: PackBatch): Promise<TakenEntries> {
    for (;;) {
      if (batch.output === undefined) this.#send(batch);
      const output = (await batch.output) ?? NOTHING;
      if (batch.cell < output.table.length) return takeFrom(batch, output);
      // The region was full: the rest begins anew in it.
      batch.output = undefined;
    }
  }

  /** Says that what was taken of the batch is no longer needed; frees it if nothing is left. */
  release(batch: PackBatch): void {
    if (batch.spans.length === 0) this.#free.push(batch.region);
  }

  /** Waits for all jobs, whatever becomes of them. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  #newBatch(): PackBatch | undefined {
    let region = this.#free.pop();
    if (region === undefined) {
      if (this.#regionCount === REGION_COUNT) return undefined;
      this.#regionCount += 1;
      region = new SharedArrayBuffer(REGION_LENGTH);
    }
    // Half full on average, so that few batches have to be sent twice.
    const fitting = Math.floor(REGION_LENGTH / 2 / this.#meanLength);
    const room = Math.max(LEAST_ENTRIES, Math.min(MOST_ENTRIES, fitting));
    return { region, spans: [], room, output: undefined, cell: 0, offset: 0 };
  }

  #send(batch: PackBatch): void {
    if (batch === this.#collecting) this.#collecting = undefined;
    batch.cell = 0;
    batch.offset = 0;
    const runs = batch.spans.map(({ folder, first, count }) => ({
      directory: folder.fd,
      mountId: folder.mountId,
      names: folder.names.slice(first, first + count).join('\0'),
      // A copy, because sending a part of an array sends all of its memory.
      types: folder.types.slice(first, first + count),
    }));
    const input = { options: this.#options, contents: this.#contents, runs };
    const output = this.#pack({ ...input, region: batch.region });
    batch.output = output;
    const settled = output
      .then((packed) => this.#learn(packed))
      .catch(() => {})
      .finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
  }

  /** How long entries are decides how many go into a batch. */
  #learn({ table, referred = NO_ROWS }: PackEntriesOutput): void {
    const count = table.length / PACKED_COLUMNS;
    if (count === 0) return;
    let length = 0;
    for (let i = 0; i < count; i++)
      length += packedLength(table[i * PACKED_COLUMNS], referred[i] ?? 0);
    const mean = length / count;
    this.#meanLength = 0.75 * this.#meanLength + 0.25 * mean;
  }
}

function takeFrom(batch: PackBatch, output: PackEntriesOutput): TakenEntries {
  const { table, referred = NO_ROWS } = output;
  const [span] = batch.spans;
  const begin = batch.cell;
  let end = begin;
  let length = 0;
  for (let count = 0; count < span.count && table[end] > 0; count++) {
    length += packedLength(table[end], referred[end / PACKED_COLUMNS] ?? 0);
    end += PACKED_COLUMNS;
  }
  const isLeft = end === begin;
  if (isLeft) end += PACKED_COLUMNS;
  const bytes = new Uint8Array(batch.region, batch.offset, length);
  const count = (end - begin) / PACKED_COLUMNS;
  const { first } = span;
  batch.cell = end;
  batch.offset += length;
  span.first += count;
  span.count -= count;
  if (span.count === 0) batch.spans.shift();
  return {
    first,
    count,
    isLeft,
    table: table.subarray(begin, end),
    referred: referred.subarray(begin / PACKED_COLUMNS, end / PACKED_COLUMNS),
    bytes,
  };
}
