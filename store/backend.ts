/**
 * ObjectBackend: dumb storage of named byte strings, the only thing a new kind of storage has to
 * implement. It knows nothing of chunks. Every implementation passes test/conformance/backend.ts.
 */

/** Relative name of an object: components of `[A-Za-z0-9._-]`, not starting with `.`, joined by `/`. */
export type ObjectKey = string;

export interface SignalOption {
  readonly signal?: AbortSignal;
}

export interface ObjectInfo {
  /** Bytes. */
  readonly size: number;
  readonly modified: Date;
}

export interface ListedObject extends ObjectInfo {
  readonly key: ObjectKey;
}

/** What a backend can do. Asked before the work, never discovered by failure. */
export interface BackendAbilities {
  readonly write: boolean;
  readonly list: boolean;
  readonly remove: boolean;
  /** Whether keys are listed in the order of their characters. */
  readonly listInOrder?: boolean;
}

/** A part of an object, in bytes. */
export interface ObjectRange {
  readonly offset: number;
  /** At least one. */
  readonly length: number;
}

export interface GetObjectOptions extends SignalOption {
  /** Bytes; unlimited if left out. */
  readonly maxSize?: number;
  /** Only this part; what would lie behind the end of the object is left out. */
  readonly range?: ObjectRange;
  readonly into?: Uint8Array;
}

export interface PutObjectOptions extends SignalOption {
  readonly ifAbsent?: boolean;
}

export interface ObjectBackend {
  /** For messages; never contains credentials. */
  readonly label: string;
  readonly can: BackendAbilities;

  /**
   * The whole object or range, never a part of it: in a new array, or in a view of `into`, if that is given
   * and has room for it. What lies behind the result there, and all of it after a failure, is
   * undefined.
   * @throws ObjectMissing if the storage said so; LimitExceeded above `maxSize` bytes; otherwise a
   * StorageError.
   */
  get(key: ObjectKey, options?: GetObjectOptions): Promise<Uint8Array>;

  /**
   * Whether any of the objects is there, accepted ones included. Asked for every chunk, so it should
   * cost little. @throws StorageError
   */
  has(keys: readonly ObjectKey[], options?: SignalOption): boolean | Promise<boolean>;

  /** Size and time of an object, undefined if the storage said that it is missing. */
  stat(key: ObjectKey, options?: SignalOption): Promise<ObjectInfo | undefined>;

  /**
   * Takes the object over: after this resolves, `bytes` may be reused, and the object becomes
   * durable and then visible, as a whole or not at all, at the latest when {@link flush} resolves.
   * Replaces atomically; with `ifAbsent`, an object that is there (or accepted before) stays.
   */
  put(key: ObjectKey, bytes: Uint8Array, options?: PutObjectOptions): Promise<'stored' | 'present'>;

  /**
   * Barrier: resolves when everything accepted before is durable and visible under its name, also
   * after a power cut.
   * @throws StorageError if any of it could not be stored
   */
  flush(options?: SignalOption): Promise<void>;

  /** Removing what is not there succeeds. */
  remove(key: ObjectKey, options?: SignalOption): Promise<void>;

  /**
   * The same for many objects, where the storage can do that at once. All are tried.
   * @throws StorageError about the first one that could not be removed
   */
  removeMany?(keys: readonly ObjectKey[], options?: SignalOption): Promise<void>;

  /** All visible objects whose key begins with `prefix`, in no particular order. */
  list(prefix: string, options?: SignalOption): AsyncIterable<ListedObject>;

  /** Gives up what was accepted but not flushed, and frees all resources. */
  close(): Promise<void>;
}
