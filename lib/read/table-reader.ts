/**
 * Goodbye tables of an archive, searched where they lie: nothing of them is kept, however many entries
 * a folder has (spec/formats/catar.md, "GOODBYE"). Used by the tree reader.
 */
import { GOODBYE_TAIL_SIZE } from '../../formats/catar-records.ts';
import { FormatError } from '../../formats/errors.ts';
import {
  checkGoodbyeHeader,
  decodeGoodbyeItem,
  decodeGoodbyeTail,
  GOODBYE_ITEM_SIZE,
  type GoodbyeItem,
  type GoodbyeTable,
  goodbyeItemOffset,
} from '../../formats/goodbye-reader.ts';
import { RECORD_HEADER_SIZE } from '../../formats/record-types.ts';
import type { Hash64 } from '../../formats/siphash.ts';
import type { SignalOption } from '../../store/backend.ts';
import { awaited, type Steps } from '../work/soon.ts';
import type { BlobRange } from './blob-reader.ts';
import type { BlobWindow } from './blob-window.ts';
import type { FolderPlace } from './tree-node.ts';

/** Names with equal hashes that are tried. They do not collide by chance. */
const MOST_COLLISIONS = 16;

/** A folder whose table is looked for, in archive offsets. */
interface FolderEnds {
  readonly start: number;
  readonly childrenStart: number;
  readonly end: number;
}

export class TableReader {
  readonly #window: BlobWindow;

  constructor(window: BlobWindow) {
    this.#window = window;
  }

  /** The table that ends a folder. @throws FormatError if it is not the table of that folder */
  *tableOf({ start, childrenStart, end }: FolderEnds, options: SignalOption): Steps<GoodbyeTable> {
    const tailOffset = end - GOODBYE_TAIL_SIZE;
    if (!(tailOffset >= childrenStart)) throw damagedArchive('GOODBYE', childrenStart, 'a table');
    const tail = yield* this.#exactly(tailOffset, GOODBYE_TAIL_SIZE, options);
    const table = decodeGoodbyeTail(tail, end);
    if (table.entryOffset !== start || table.offset < childrenStart) {
      throw damagedArchive('GOODBYE', table.offset, 'the table of this folder');
    }
    const header = yield* this.#exactly(table.offset, RECORD_HEADER_SIZE, options);
    checkGoodbyeHeader(header, table, end);
    return table;
  }

  /**
   * What a table has for a hash, in archive order. Names may collide.
   * @throws FormatError if that cannot be a child of the folder
   */
  *itemsWith(
    { childrenStart, table }: FolderPlace,
    hash: Hash64,
    options: SignalOption,
  ): Steps<readonly GoodbyeItem[]> {
    const items: GoodbyeItem[] = [];
    const places = [0];
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      if (place >= table.itemCount) continue;
      const offset = goodbyeItemOffset(table, place);
      const bytes = yield* this.#exactly(offset, GOODBYE_ITEM_SIZE, options);
      const item = decodeGoodbyeItem(table, bytes);
      const order = hash.high - item.hash.high || hash.low - item.hash.low;
      if (order <= 0) places.push(2 * place + 1);
      if (order >= 0) places.push(2 * place + 2);
      if (order !== 0) continue;
      const isWithin = item.offset >= childrenStart && item.end <= table.offset;
      if (!isWithin || items.push(item) > MOST_COLLISIONS) {
        throw damagedArchive('GOODBYE', offset, 'an item that leads to a child');
      }
    }
    return items.sort((a, b) => a.offset - b.offset);
  }

  /**
   * Archive offset behind a child, if the table leads to it.
   * @param hash of its name
   * @param offset archive offset of its FILENAME
   */
  *endOf(
    folder: FolderPlace,
    hash: Hash64,
    offset: number,
    options: SignalOption,
  ): Steps<number | undefined> {
    try {
      const items = yield* this.itemsWith(folder, hash, options);
      return items.find((item) => item.offset === offset)?.end;
    } catch (error) {
      if (error instanceof FormatError) return undefined;
      throw error;
    }
  }

  #exactly(offset: number, length: number, options: SignalOption): Steps<Uint8Array> {
    return recordBytes(this.#window, { record: 'GOODBYE', offset, length }, options);
  }
}

/** At least the bytes of a record or of a part of one. @throws FormatError if the archive ends before */
export function* recordBytes(
  window: BlobWindow,
  { record, offset, length }: BlobRange & { readonly record: string },
  options: SignalOption,
): Steps<Uint8Array> {
  const bytes = yield* awaited(window.at(offset, length, options));
  if (bytes.length >= length) return bytes;
  throw damagedArchive(record, offset, 'more bytes');
}

export function damagedArchive(record: string, offset: number, expectation: string): FormatError {
  return new FormatError('catar', record, offset, `expected ${expectation}`);
}

/** Archive offset behind a table, which is the end of its folder. */
export function endOf({ offset, itemCount }: GoodbyeTable): number {
  return offset + RECORD_HEADER_SIZE + GOODBYE_ITEM_SIZE * itemCount + GOODBYE_TAIL_SIZE;
}
