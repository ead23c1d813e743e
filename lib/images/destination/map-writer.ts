/**
 * What is written of a map while its destination is updated, and in which order (spec/formats/map.md,
 * "Order"). The steps of the destination in between are those of the update (image-updater.ts).
 */
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import type { BlockTable } from '../../../formats/block-table.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import {
  encodeMapRecord,
  type IntentRecord,
  type MapRecord,
} from '../../../formats/map-journal.ts';
import type { MapBinding, MapHeader } from '../../../formats/map-state.ts';
import type { FsyncPolicy } from './image-update.ts';
import type { OpenedDestination } from './opened-destination.ts';
import { isComplete } from './unknown-runs.ts';

/** The files of a map. */
export interface MapStorage {
  readonly mapPath: string;
  /** Puts another map in place of what is there, at once and durable. */
  replaceMap(map: {
    readonly table: BlockTable;
    readonly digest: BlockDigest['name'];
  }): Promise<void>;
  /** Puts another header in place of the state with its journal, at once and durable. */
  replaceState(header: MapHeader): Promise<void>;
  /** Adds to the journal. */
  append(bytes: Uint8Array): void;
  /** Takes away what is behind `length`. @returns whether there was anything */
  truncate(length: number): boolean;
  /** Resolves when the journal is on disk. */
  sync(): Promise<void>;
  removeRemains(): void;
  close(): void;
}

/** What the files of a map say at the beginning. */
export interface MapStart {
  /** What is known; belongs to the update. */
  readonly table: BlockTable;
  /**
   * `good`: the map is complete and holds. `cut off`: there is a journal to go on with. `void`: the
   * files say nothing, or no longer what is known.
   */
  readonly kind: 'good' | 'cut off' | 'void';
  /** Of `table`, if nothing is unknown. */
  readonly root: Uint8Array | undefined;
  /** Where the next record belongs, and its number. */
  readonly journalEnd: number;
  readonly recordNumber: number;
}

export interface MapWriterParts {
  readonly storage: MapStorage;
  readonly destination: OpenedDestination;
  readonly start: MapStart;
  readonly digest: BlockDigest;
  /** For the checksums of the journal. */
  readonly sha256: BlockDigest;
  /** Asked when a state is written; may leave a mark on the destination. */
  readonly binding: () => MapBinding;
  readonly bootId: bigint | undefined;
  readonly nonce: Uint8Array;
  readonly batch: number;
  readonly fsync: FsyncPolicy;
}

const NO_ROOT = new Uint8Array(DIGEST_LENGTH);
const NO_DIGESTS = new Uint8Array(0);

export class MapWriter {
  readonly #parts: MapWriterParts;
  /** Bytes of the image that the files speak of. */
  readonly #startSize: number;
  #kind: MapStart['kind'];
  #recordNumber: number;
  #hasBegun = false;
  /** Of the last intent whose blocks are not known to be on disk. */
  #openIntent: number | undefined;

  constructor(parts: MapWriterParts) {
    const { table, kind, recordNumber } = parts.start;
    this.#parts = parts;
    this.#startSize = table.size;
    this.#kind = kind;
    this.#recordNumber = recordNumber;
  }

  get #isUnsynced(): boolean {
    return this.#parts.fsync === 'none';
  }

  /**
   * Before `known` changes for the first time: what has been read is kept as a map, so that it need not
   * be read again if this run is cut off.
   */
  async keep(known: BlockTable): Promise<void> {
    const { destination, storage, digest } = this.#parts;
    if (this.#kind !== 'void' || this.#isUnsynced) return;
    if (known.size === 0 || !isComplete(known)) return;
    await destination.sync();
    await this.#writeState(NO_ROOT, this.#startSize);
    await storage.replaceMap({ table: known, digest: digest.name });
    await this.#writeState(rootOfTable(digest, known), known.size);
    this.#kind = 'good';
  }

  /** Before the first change of the destination, which is there now. Further calls do nothing. */
  async begin(): Promise<void> {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { destination, storage, start, batch, bootId, nonce } = this.#parts;
    storage.removeRemains();
    if (this.#kind === 'void') await this.#writeState(NO_ROOT, this.#startSize);
    else if (start.kind !== 'void' && storage.truncate(start.journalEnd)) {
      // What is cut off must not come back in between what follows.
      await storage.sync();
    }
    this.#append({
      kind: 'begin',
      nonce,
      oldSize: destination.size,
      newSize: destination.imageSize,
      batch,
      isUnsynced: this.#isUnsynced,
      bootId: bootId ?? 0n,
    });
    // Without further syncs: this one says that there are none.
    if (this.#isUnsynced) await storage.sync();
  }

  /** Before the blocks are written. */
  async announce(intent: IntentRecord): Promise<void> {
    this.#openIntent = this.#append(intent);
    if (!this.#isUnsynced) await this.#parts.storage.sync();
  }

  /** Before the image gets this size. */
  announceSize(imageSize: number): void {
    this.#append({ kind: 'intent', imageSize, runs: [], digests: NO_DIGESTS });
  }

  /** When all announced blocks are on disk. */
  committed(): void {
    if (this.#openIntent === undefined) return;
    const { nonce } = this.#parts;
    this.#append({ kind: 'committed', intent: this.#openIntent, nonce });
    this.#openIntent = undefined;
  }

  async sync(): Promise<void> {
    if (this.#hasBegun) await this.#parts.storage.sync();
  }

  /** When everything is on disk. */
  async complete(known: BlockTable, root: Uint8Array): Promise<void> {
    const { storage, digest } = this.#parts;
    // Also if nothing was written: between the two files below somebody may pull the plug.
    await this.begin();
    const header = this.#header(root, known.size);
    this.#append({ kind: 'finish', condition: header.condition });
    await storage.sync();
    await storage.replaceMap({ table: known, digest: digest.name });
    await storage.replaceState(header);
  }

  close(): void {
    this.#parts.storage.close();
  }

  /** @returns number of the record */
  #append(record: MapRecord): number {
    const number = this.#recordNumber++;
    this.#parts.storage.append(encodeMapRecord(record, number, this.#parts.sha256));
    return number;
  }

  /** A state without journal. @param root of the map file; {@link NO_ROOT} if there is none */
  async #writeState(root: Uint8Array, imageSize: number): Promise<void> {
    await this.#parts.storage.replaceState(this.#header(root, imageSize));
    this.#recordNumber = 0;
  }

  #header(root: Uint8Array, imageSize: number): MapHeader {
    const { start, digest, destination, binding, bootId } = this.#parts;
    const isUnknown = root === NO_ROOT;
    const owner = binding();
    const { destinationSize, mtimeNs, writeCount } = destination.traces();
    return {
      digest: digest.name,
      blockSize: start.table.blockSize,
      condition: {
        root,
        imageSize,
        destinationSize,
        mtimeNs,
        writeCount: this.#isUnsynced ? undefined : writeCount,
        bootId: bootId ?? 0n,
      },
      binding: owner,
      isUnknown,
      isUnsynced: this.#isUnsynced && !isUnknown,
    };
  }
}
