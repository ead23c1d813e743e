/**
 * A place on an SFTP server: one connection, opened when it is needed and again after it was lost, and a
 * bounded number of operations that hold files open there. Used by sftp-objects.ts and sftp-file.ts.
 */
import { StorageError } from '../errors.ts';
import { orAborted } from './or-aborted.ts';
import { SftpCalls } from './sftp-calls.ts';
import type { SftpLocation } from './sftp-location.ts';
import type { SftpSession } from './sftp-session.ts';

export class SftpPlace {
  readonly location: SftpLocation;
  readonly #open: (closed: AbortSignal) => Promise<SftpSession>;
  readonly #closing = new AbortController();
  #current: Promise<SftpCalls> | undefined;
  #isClosed = false;
  #runningCount = 0;
  readonly #waiting: (() => void)[] = [];

  /** @param open makes a new connection; gives up when the signal fires */
  constructor(location: SftpLocation, open: (closed: AbortSignal) => Promise<SftpSession>) {
    this.location = location;
    this.#open = open;
  }

  /** A connection that works, as far as one can know. @throws StorageError */
  async calls(): Promise<SftpCalls> {
    const { label, path } = this.location;
    const known = this.#current;
    if (known !== undefined) {
      const calls = await known;
      if (calls.session.isOpen) return calls;
      if (this.#current === known) this.#current = undefined;
      return this.calls();
    }
    if (this.#isClosed) throw new StorageError('IO', { subject: label, reason: 'closed' });
    const opening = this.#open(this.#closing.signal).then(
      (session) => new SftpCalls(session, label, path),
    );
    this.#current = opening;
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined;
    });
    return opening;
  }

  /**
   * Does something that takes one or two files open there. When the signal fires, the result is not
   * waited for any more, but the operation goes on until it has closed what it has opened.
   */
  async run<T>(
    signal: AbortSignal | undefined,
    operation: (calls: SftpCalls) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    return orAborted(signal, this.#runInTurn(signal, operation));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.abort();
    const current = this.#current;
    if (current === undefined) return;
    try {
      const calls = await current;
      await calls.session.close();
    } catch {
      // It was never opened.
    }
  }

  async #runInTurn<T>(
    signal: AbortSignal | undefined,
    operation: (calls: SftpCalls) => Promise<T>,
  ): Promise<T> {
    const { limits } = (await this.calls()).session;
    await this.#takeTurn(limits.openHandles);
    try {
      signal?.throwIfAborted();
      return await operation(await this.calls());
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#runningCount--;
      else next();
    }
  }

  async #takeTurn(mostRunning: number): Promise<void> {
    if (this.#runningCount < mostRunning) this.#runningCount++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}
