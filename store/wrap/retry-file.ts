/**
 * Retries for one file: what is read in order goes on where it was cut off, if the file is still the
 * same (spec/remote.md, "Wrappers").
 */
import { isCasError } from '../../formats/errors.ts';
import type { ObjectRange, SignalOption } from '../backend.ts';
import { StorageError } from '../errors.ts';
import type { FileWriter, RemoteFile, RemoteFileInfo } from '../remote-file.ts';
import { Retrier, type RetryOptions } from './retry.ts';

/** Largest part that is asked for at a time when a transfer is resumed, in bytes. */
const RESUMED_PART = 4 * 1024 * 1024;

/** What tells later whether the file is still the same. */
interface Version {
  readonly size: number;
  readonly version: string;
}

/** @param file belongs to the result from now on */
export function openRetryingFile(file: RemoteFile, options: RetryOptions): RemoteFile {
  return new RetryingFile(file, new Retrier(file.label, options));
}

class RetryingFile implements RemoteFile {
  readonly #file: RemoteFile;
  readonly #retrier: Retrier;
  #info: RemoteFileInfo | undefined;

  constructor(file: RemoteFile, retrier: Retrier) {
    this.#file = file;
    this.#retrier = retrier;
  }

  get label(): string {
    return this.#file.label;
  }

  async stat(options?: SignalOption): Promise<RemoteFileInfo> {
    this.#info = await this.#retrier.run(() => this.#file.stat(options), options?.signal);
    return this.#info;
  }

  async *read(options?: SignalOption): AsyncGenerator<Uint8Array> {
    const attempts = { failed: 0 };
    let before: Version | undefined;
    let offset = 0;
    for (;;) {
      try {
        if (offset === 0) before = await this.#resumable(options);
        const pieces =
          offset === 0 ? this.#file.read(options) : this.#rest(before, offset, options);
        for await (const piece of pieces) {
          offset += piece.length;
          attempts.failed = 0;
          yield piece;
        }
        return;
      } catch (error) {
        if (offset > 0 && before === undefined) throw error;
        await this.#retrier.pause(error, attempts, options?.signal);
      }
    }
  }

  readRange(range: ObjectRange, options?: SignalOption): Promise<Uint8Array> {
    return this.#retrier.run(() => this.#file.readRange(range, options), options?.signal);
  }

  /** What is written comes only once: nothing behind the beginning can be repeated. */
  openWriter(options?: SignalOption): Promise<FileWriter> {
    return this.#retrier.run(() => this.#file.openWriter(options), options?.signal);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  /** Undefined if what is cut off cannot be resumed. */
  async #resumable(options: SignalOption | undefined): Promise<Version | undefined> {
    try {
      const { hasRanges, size, version } = this.#info ?? (await this.#file.stat(options));
      const isKnown = hasRanges && size !== undefined && version !== undefined;
      return isKnown ? { size, version } : undefined;
    } catch (error) {
      // Some places answer reading only.
      if (isCasError(error) && error.retry === 'never') return undefined;
      throw error;
    }
  }

  async *#rest(
    before: Version | undefined,
    from: number,
    options: SignalOption | undefined,
  ): AsyncGenerator<Uint8Array> {
    if (before === undefined) return;
    await this.#refuseOther(before, options);
    let offset = from;
    while (offset < before.size) {
      const length = Math.min(RESUMED_PART, before.size - offset);
      const piece = await this.#file.readRange({ offset, length }, options);
      if (piece.length < length) throw this.#changed();
      offset += length;
      yield piece;
    }
    await this.#refuseOther(before, options);
  }

  async #refuseOther(before: Version, options: SignalOption | undefined): Promise<void> {
    const { size, version } = await this.#file.stat(options);
    if (size !== before.size || version !== before.version) throw this.#changed();
  }

  #changed(): StorageError {
    const reason = 'changed while it was read';
    return new StorageError('IO', { subject: this.label, step: 'read', reason });
  }
}
