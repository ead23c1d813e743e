/**
 * Collects simple entries into batches that other threads restore, while the archive is read on
 * (spec/decisions/0013). Used by tree.node.ts, where there are threads.
 */

import { about } from '../../formats/errors.ts';
import { errorFromMessage } from '../work/error-message.ts';
import type {
  RestoreFailure,
  RestoreInput,
  RestoreOutput,
} from '../work/jobs/restore-entries.node.ts';
import { BatchWriter, batchedLength } from './entry-batch.node.ts';
import { type EntrySink, wrongLength } from './entry-sink.node.ts';
import type { SimpleEntry } from './simple-entry.node.ts';
import { addTally, type Tally } from './tally.ts';
import type { OpenDirectory } from './tree-directories.node.ts';

/** Runs the job `restoreEntries`, here or in another thread. */
export type RunRestore = (input: RestoreInput) => Promise<RestoreOutput>;

export interface BatchSinkOptions {
  readonly run: RunRestore;
  readonly punchHoles: boolean;
  readonly undoImmutable: boolean;
  /** Features to restore. */
  readonly replayFlags: bigint;
  /** Counts what is done. */
  readonly tally: Tally;
  /** Nothing of this directory may be finished before `release` was called as often as `hold`. */
  readonly hold: (place: OpenDirectory) => void;
  readonly release: (place: OpenDirectory) => void;
  /** How an entry is named in messages. */
  readonly nameEntry: (place: OpenDirectory, name: Uint8Array) => string;
}

/** Memory for batches: each has a region of its own until its thread has answered. */
const REGION_SIZE = 512 * 1024;
const REGION_COUNT = 16;
/** A batch is sent when it is this long, or has this many entries: about two milliseconds' work. */
const FULL_LENGTH = 384 * 1024;
const FULL_COUNT = 128;
/** Each directory of a batch is held open. */
const MAX_DIRECTORIES = 16;

interface Batch {
  readonly region: Uint8Array;
  readonly writer: BatchWriter;
  readonly places: OpenDirectory[];
  /** Of its first entry. */
  readonly order: number;
  count: number;
}

interface Failure {
  readonly order: number;
  readonly error: unknown;
}

export class BatchSink implements EntrySink {
  readonly #options: BatchSinkOptions;
  readonly #regions: Uint8Array[];
  readonly #waiting: (() => void)[] = [];
  #batch: Batch | undefined;
  /** Bytes of the current entry that are still to come. */
  #missing = 0;
  #inFlight = 0;
  #failure: Failure | undefined;

  constructor(options: BatchSinkOptions) {
    this.#options = options;
    const memory = new SharedArrayBuffer(REGION_COUNT * REGION_SIZE);
    this.#regions = Array.from({ length: REGION_COUNT }, (_, i) => {
      return new Uint8Array(memory, i * REGION_SIZE, REGION_SIZE);
    });
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined;
  }

  get isBusy(): boolean {
    return this.#inFlight > 0 || this.#batch !== undefined || this.hasFailed;
  }

  room(nameLength: number, size: number): Promise<void> | undefined {
    if (this.#regions.length > 0 || this.#fits(nameLength, size)) return undefined;
    return this.#change();
  }

  begin(place: OpenDirectory, entry: SimpleEntry, size: number, order: number): void {
    if (this.#batch !== undefined && !this.#fits(entry.name.length, size)) this.#send();
    this.#batch ??= this.#newBatch(order);
    const { places, writer } = this.#batch;
    let directory = places.lastIndexOf(place);
    if (directory < 0) {
      this.#options.hold(place);
      directory = places.push(place) - 1;
    }
    writer.begin(entry, directory, order, size);
    this.#batch.count += 1;
    this.#missing = size;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > this.#missing) throw wrongLength();
    this.#missing -= bytes.length;
    this.#batch?.writer.write(bytes);
  }

  end(): void {
    if (this.#missing > 0) throw wrongLength();
    if (this.#batch !== undefined && isFull(this.#batch)) this.#send();
  }

  async settle(): Promise<void> {
    if (this.#missing > 0) this.#batch?.writer.undo();
    this.#missing = 0;
    if (this.#batch !== undefined) this.#send();
    while (this.#inFlight > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async abandon(): Promise<void> {
    this.#batch = undefined;
    while (this.#inFlight > 0) await this.#change();
  }

  fail(order: number, error: unknown): void {
    if (this.#failure !== undefined && this.#failure.order <= order) return;
    this.#failure = { order, error };
  }

  #newBatch(order: number): Batch {
    const region = this.#regions.pop();
    if (region === undefined) throw new TypeError('there is no room for an entry');
    return { region, writer: new BatchWriter(region), places: [], order, count: 0 };
  }

  /** Whether the batch that is being filled can take one more entry. */
  #fits(nameLength: number, size: number): boolean {
    if (this.#batch === undefined) return false;
    return this.#batch.writer.length + batchedLength(nameLength, size) <= REGION_SIZE;
  }

  #send(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    this.#inFlight += 1;
    const { run, punchHoles, undoImmutable, replayFlags } = this.#options;
    const directories = batch.places.map(({ directory, isPrivate, isNew }) => {
      return { descriptor: directory.fd, isPrivate, isNew };
    });
    const entries = batch.region.subarray(0, batch.writer.length);
    run({ batch: entries, directories, punchHoles, undoImmutable, replayFlags }).then(
      ({ failure, statistics }) => {
        addTally(this.#options.tally, statistics);
        this.#answered(batch, failure);
      },
      (error: unknown) => {
        this.fail(batch.order, error);
        this.#answered(batch, undefined);
      },
    );
  }

  #answered(batch: Batch, failure: RestoreFailure | undefined): void {
    this.#inFlight -= 1;
    this.#regions.push(batch.region);
    if (failure !== undefined) {
      const subject = this.#options.nameEntry(batch.places[failure.directory], failure.name);
      this.fail(failure.order, about(subject, errorFromMessage(failure.error)));
    }
    // After a failure no directory is finished: its other entries may be missing.
    if (!this.hasFailed) for (const place of batch.places) this.#options.release(place);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when the next batch is answered. */
  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}

function isFull({ writer, count, places }: Batch): boolean {
  if (writer.length >= FULL_LENGTH || count >= FULL_COUNT) return true;
  return places.length === MAX_DIRECTORIES;
}
