/**
 * What a map knows after an update that was cut off: its journal is carried out on the table of the map
 * (spec/formats/map.md, "After a crash").
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockTable } from '../../../formats/block-table.ts';
import { FormatError } from '../../../formats/errors.ts';
import {
  type BeginRecord,
  decodeMapJournal,
  decodeMapRecord,
  type IntentRecord,
  type JournalBytes,
  type PlacedRecord,
} from '../../../formats/map-journal.ts';
import type { MapCondition } from '../../../formats/map-state.ts';
import type { ZeroDigests } from '../zero-digests.ts';

export interface RecoverOptions {
  /** Where the journal begins. */
  readonly offset: number;
  readonly sha256: BlockDigest;
  readonly zeros: ZeroDigests;
  /** Of the machine's run; what was not synced in another one is forgotten. */
  readonly bootId: bigint | undefined;
}

export interface RecoveredJournal {
  /** Where the next record belongs; what lies behind was never complete. */
  readonly end: number;
  /** Number of the next record. */
  readonly number: number;
  /** Intents of which nobody knows whether they were carried out. */
  readonly openIntentCount: number;
  /** Blocks in them. */
  readonly openBlockCount: number;
  readonly begin: BeginRecord | undefined;
  /** Whether the journal is worth nothing because the machine was restarted. */
  readonly isLost: boolean;
  /** Set if the update was complete but for the new map file. */
  readonly finish: MapCondition | undefined;
}

/**
 * Makes `table` say what the destination holds.
 * @param table of the map file, or without anything known
 * @throws FormatError for a damaged journal
 */
export function recoverJournal(
  table: BlockTable,
  file: JournalBytes,
  options: RecoverOptions,
): RecoveredJournal {
  const replay = new Replay(table, file, options);
  for (const placed of decodeMapJournal(file, options.offset, options.sha256)) replay.take(placed);
  return replay.end();
}

/** One that has been read and not carried out. */
interface OpenIntent {
  readonly offset: number;
  readonly number: number;
  readonly blocks: number;
}

class Replay {
  readonly #table: BlockTable;
  readonly #file: JournalBytes;
  readonly #options: RecoverOptions;
  readonly #open: OpenIntent[] = [];
  #end: number;
  #number = 0;
  #begin: BeginRecord | undefined;
  #finish: MapCondition | undefined;
  #isLost = false;

  constructor(table: BlockTable, file: JournalBytes, options: RecoverOptions) {
    this.#table = table;
    this.#file = file;
    this.#options = options;
    this.#end = options.offset;
  }

  take({ record, offset, number, end }: PlacedRecord): void {
    if (this.#finish !== undefined) throw damaged(offset, 'nothing may follow the last record');
    if (this.#begin === undefined && record.kind !== 'begin') {
      throw damaged(offset, 'the first record must be a begin');
    }
    switch (record.kind) {
      case 'begin':
        this.#forgetLost();
        this.#open.length = 0;
        this.#isLost = false;
        this.#begin = record;
        this.#cut(record);
        break;
      case 'intent':
        this.#open.push({ offset, number, blocks: announce(this.#table, record, offset) });
        break;
      case 'committed':
        this.#commit(record.intent);
        break;
      case 'finish':
        this.#commit(number);
        this.#table.resize(record.condition.imageSize);
        this.#finish = record.condition;
    }
    this.#end = end;
    this.#number = number + 1;
  }

  end(): RecoveredJournal {
    this.#forgetLost();
    return {
      end: this.#end,
      number: this.#number,
      openIntentCount: this.#open.length,
      openBlockCount: this.#open.reduce((sum, { blocks }) => sum + blocks, 0),
      begin: this.#begin,
      isLost: this.#isLost,
      finish: this.#finish,
    };
  }

  /** What the destination did not have, or what the update takes away, is not known any more. */
  #cut({ oldSize, newSize = oldSize }: BeginRecord): void {
    const size = Math.min(oldSize, newSize);
    if (size < this.#table.size) this.#table.resize(size);
  }

  /** Carries out the announced intents up to this one. */
  #commit(last: number): void {
    for (;;) {
      const place = this.#open[0];
      if (place === undefined || place.number > last) return;
      this.#open.shift();
      const placed = decodeMapRecord(this.#file, place, this.#options.sha256);
      if (placed?.record.kind !== 'intent') throw damaged(place.offset, 'an intent was here');
      applyIntent(this.#table, placed.record, this.#options.zeros);
    }
  }

  /** An update without syncs is worth nothing once the machine was down. */
  #forgetLost(): void {
    const { bootId } = this.#options;
    if (!this.#begin?.isUnsynced) return;
    if (bootId !== undefined && this.#begin.bootId === bootId) return;
    this.#table.forget({ first: 0, count: this.#table.count });
    this.#finish = undefined;
    this.#isLost = true;
  }
}

/** From now on nobody knows what is in the blocks of an intent. @returns how many these are */
function announce(table: BlockTable, intent: IntentRecord, offset: number): number {
  table.resize(intent.imageSize);
  let blocks = 0;
  for (const { first, count } of intent.runs) {
    if (first + count > table.count) throw damaged(offset, 'blocks behind the end of the image');
    table.forget({ first, count });
    blocks += count;
  }
  return blocks;
}

/** The blocks of an intent are what it says, as far as the image still has them. */
function applyIntent(table: BlockTable, intent: IntentRecord, zeros: ZeroDigests): void {
  let offset = 0;
  for (const { first, count, isZeros } of intent.runs) {
    const left = Math.max(0, Math.min(count, table.count - first));
    if (isZeros) {
      zeros.set(table, { first, count: left });
      continue;
    }
    if (left > 0) {
      table.set(first, intent.digests.subarray(offset, offset + left * DIGEST_LENGTH));
    }
    offset += count * DIGEST_LENGTH;
  }
}

function damaged(offset: number, expectation: string): FormatError {
  return new FormatError('map state', 'RECORD', offset, expectation);
}
