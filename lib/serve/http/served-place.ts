/** What the server needs of the place whose chunks and indexes it gives away. */
import type { ObjectBackend, ObjectRange, SignalOption } from '../../../store/backend.ts';
import type { Awaitable } from '../../../store/transforms.ts';
import type { ChunkRoute, IndexRoute } from './route.ts';

/** A chunk or index, opened: always the same version, until it is closed. */
export interface ServedFile {
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
  /** Tells versions of an index apart, without quotes. */
  readonly version: string;
  /** A part that lies within. @throws StorageError also if the version is gone */
  read(range: ObjectRange, options?: SignalOption): Awaitable<Uint8Array>;
  /** Takes memory back that `read` has given, when it is not needed any more. */
  recycle?(bytes: Uint8Array): void;
  close(): void;
}

export interface OpenFileOptions {
  /** Only what can be known without reading is wanted. */
  readonly isHead: boolean;
  /** Made when it is needed: it costs something for every request. */
  readonly signal: () => AbortSignal;
}

export interface ServedPlace {
  /** For messages; never contains credentials. */
  readonly label: string;
  /** Undefined if it is missing, or not to be given away. @throws StorageError */
  open(route: ChunkRoute | IndexRoute, options: OpenFileOptions): Awaitable<ServedFile | undefined>;
  /**
   * A folder of the place, for writing; it belongs to the caller.
   * @param folder below the place, empty for the place itself
   * @throws StorageError `DENIED` if it does not lie inside
   */
  openFolder(folder: string): Promise<ObjectBackend>;
  close(): Promise<void>;
}

/** What is read at a time; files up to this size are read at once. */
export const PIECE_BYTES = 512 * 1024;
