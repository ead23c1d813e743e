/**
 * Connections to one FTP server. Each does one thing at a time, so there are several; as many as are
 * needed and the server lets in. Used by ftp-objects.node.ts and ftp-file.node.ts.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import type { Client } from 'basic-ftp';
import { StorageError } from '../errors.ts';
import type { LocationSettings } from '../location-settings.ts';
import { toStorageError } from '../system-error.node.ts';
import { replyCode, toFtpError } from './ftp-failure.node.ts';
import type { FtpLocation } from './ftp-location.ts';
import { orAborted } from './or-aborted.ts';

const TIMEOUT_MS = 60_000;
/** Many servers let in no more from one machine. */
const MOST_CONNECTIONS = 8;
/** Too many connections; some servers say it with the number of a wrong password. */
const CROWDED = new Set([421, 425, 530]);

export class FtpPool {
  readonly location: FtpLocation;
  readonly #settings: LocationSettings;
  readonly #idle: Client[] = [];
  readonly #busy = new Set<Client>();
  readonly #waiting: (() => void)[] = [];
  #count = 0;
  #mostCount: number;
  #isClosed = false;

  constructor(location: FtpLocation, settings: LocationSettings) {
    this.location = location;
    this.#settings = settings;
    this.#mostCount = Math.max(1, Math.min(settings.concurrency ?? MOST_CONNECTIONS, 64));
  }

  /**
   * Does something with a connection of its own. When the signal fires, the connection is cut.
   * @param subject for messages
   * @throws StorageError, or what `operation` throws, if that is an error of ours
   */
  async run<T>(step: FtpStep, operation: (client: Client) => Promise<T>): Promise<T> {
    step.signal?.throwIfAborted();
    return orAborted(step.signal, this.#run(step, operation));
  }

  /** A connection that is the caller's until it is given back. @throws StorageError */
  async take(signal: AbortSignal | undefined): Promise<Client> {
    for (;;) {
      signal?.throwIfAborted();
      if (this.#isClosed) {
        throw new StorageError('IO', { subject: this.location.label, reason: 'closed' });
      }
      const known = this.#idle.pop();
      if (known?.closed) this.#count--;
      else if (known !== undefined) {
        this.#busy.add(known);
        return known;
      } else if (this.#count < this.#mostCount) {
        const client = await this.#connect();
        if (client === undefined) continue;
        if (!signal?.aborted) return client;
        this.giveBack(client);
      } else await this.#turn(signal);
    }
  }

  /** One that was closed is replaced when it is needed. */
  giveBack(client: Client): void {
    this.#busy.delete(client);
    if (client.closed || this.#isClosed) this.#drop(client);
    else this.#idle.push(client);
    this.#waiting.shift()?.();
  }

  close(): void {
    this.#isClosed = true;
    for (const client of [...this.#idle.splice(0), ...this.#busy]) client.close();
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #run<T>(
    { subject, step, signal }: FtpStep,
    operation: (client: Client) => Promise<T>,
  ): Promise<T> {
    const client = await this.take(signal);
    const stop = (): void => client.close();
    signal?.addEventListener('abort', stop, { once: true });
    try {
      return await operation(client);
    } catch (error) {
      signal?.throwIfAborted();
      throw toFtpError(error, subject, step);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.giveBack(client);
    }
  }

  #drop(client: Client): void {
    client.close();
    this.#count--;
  }

  /** Waits until a connection may be free, or the signal fires. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        const index = this.#waiting.indexOf(wake);
        if (index >= 0) this.#waiting.splice(index, 1);
        resolve();
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(wake);
    });
  }

  /** @returns undefined if the server has let in as many as it wants to */
  async #connect(): Promise<Client | undefined> {
    this.#count++;
    try {
      const client = await openClient(this.location, this.#settings);
      this.#busy.add(client);
      return client;
    } catch (error) {
      this.#count--;
      if (this.#count > 0 && CROWDED.has(replyCode(error) ?? 0)) {
        this.#mostCount = this.#count;
        return undefined;
      }
      this.#waiting.shift()?.();
      throw toFtpError(error, this.location.label, 'connect');
    }
  }
}

export interface FtpStep {
  /** The file concerned, as shown to the user. */
  readonly subject: string;
  readonly step: string;
  readonly signal?: AbortSignal | undefined;
}

async function openClient(location: FtpLocation, settings: LocationSettings): Promise<Client> {
  const { Client } = await import('basic-ftp');
  const { host, port, user = settings.user } = location;
  const { certificateAuthorities, timeoutMs = TIMEOUT_MS } = settings;
  const password = location.user === undefined ? settings.password : location.password;
  const authorities =
    certificateAuthorities === undefined
      ? undefined
      : [...rootCertificates, await certificatesIn(certificateAuthorities)];
  const client = new Client(timeoutMs);
  try {
    await client.access({
      host,
      user: user ?? 'anonymous',
      password: password ?? 'anonymous@',
      ...(port === undefined ? {} : { port }),
      ...(authorities === undefined
        ? {}
        : {
            secure: true,
            secureOptions: { ca: authorities, ...(isIP(host) ? {} : { servername: host }) },
          }),
    });
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

async function certificatesIn(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw toStorageError(error, path, 'read');
  }
}
