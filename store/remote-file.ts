/**
 * RemoteFile: an index or archive that a locator of its own names, somewhere else. What a new kind of
 * storage implements besides ObjectBackend.
 */
import type { ObjectRange, SignalOption } from './backend.ts';
import type { Awaitable } from './transforms.ts';

/** Takes the bytes of a file that appears when it is complete. */
export interface FileWriter {
  /** Takes the next bytes; they may be reused when it returns. */
  write(bytes: Uint8Array): Awaitable<void>;
  /** Makes what was written the file. An older one stays until then. @throws StorageError */
  commit(): Promise<void>;
  /** Gives up; an older file stays. Does nothing after `commit`. */
  discard(): Promise<void>;
}

export interface RemoteFileInfo {
  /** Bytes, where that is known. */
  readonly size?: number;
  /** Whether parts of it can be read. */
  readonly hasRanges: boolean;
  /** Another one whenever the content is another: a tag or time that the storage tells, if it does. */
  readonly version?: string;
}

export interface RemoteFile {
  /** For messages; never contains credentials. */
  readonly label: string;
  /** @throws ObjectMissing | StorageError */
  stat(options?: SignalOption): Promise<RemoteFileInfo>;
  /**
   * All bytes in order, each piece valid until the next is taken. A transfer that was cut off is never
   * taken for a whole one.
   * @throws ObjectMissing | StorageError
   */
  read(options?: SignalOption): AsyncIterable<Uint8Array>;
  /** A part; what would lie behind the end is left out. @throws ObjectMissing | StorageError */
  readRange(range: ObjectRange, options?: SignalOption): Promise<Uint8Array>;
  /** @throws StorageError `DENIED` where nothing can be written */
  openWriter(options?: SignalOption): Promise<FileWriter>;
  close(): Promise<void>;
}
