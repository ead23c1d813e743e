/** What storage can say. "Missing" is said only when the storage said missing. */
import { CasError, type ErrorParts } from '../formats/errors.ts';

export type StorageErrorCode = 'DENIED' | 'UNAVAILABLE' | 'TARGET_FULL' | 'IO';

export interface StorageErrorParts extends ErrorParts {
  /** How long the storage wants to be left alone. */
  readonly retryAfterMs?: number;
  /** Whether the storage said that it has too much to do: fewer requests at a time help. */
  readonly isBusy?: boolean;
}

/** Storage refused, failed or could not be reached; nothing is known about the object. */
export class StorageError extends CasError {
  readonly retryAfterMs: number | undefined;
  readonly isBusy: boolean;

  constructor(code: StorageErrorCode, parts: StorageErrorParts) {
    super(code, parts);
    this.name = 'StorageError';
    this.retryAfterMs = parts.retryAfterMs;
    this.isBusy = parts.isBusy ?? false;
  }
}

/** The storage says that there is no such object. */
export class ObjectMissing extends CasError {
  constructor(parts: ErrorParts) {
    super('OBJECT_MISSING', parts);
    this.name = 'ObjectMissing';
  }
}

/** No source has the chunk. */
export class ChunkMissing extends CasError {
  constructor(parts: ErrorParts) {
    super('CHUNK_MISSING', parts);
    this.name = 'ChunkMissing';
  }
}

/** A chunk is there, but its bytes are not what its name says. */
export class ChunkDamaged extends CasError {
  constructor(parts: ErrorParts) {
    super('CHUNK_DAMAGED', parts);
    this.name = 'ChunkDamaged';
  }
}
