/**
 * SftpSession over an ssh process with a subsystem at its other end. All waits end when the process
 * ends. Used by sftp.node.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { FormatError } from '../../formats/errors.ts';
import { StorageError } from '../errors.ts';
import { systemErrorCode, systemErrorText } from '../system-error.node.ts';
import { encodePacket, type Field, PACKET, PacketFields } from './sftp-packets.ts';
import { type Destination, PacketReader } from './sftp-reader.ts';
import type { SftpLimits, SftpReply, SftpSession } from './sftp-session.ts';

const VERSION = 3;
const MAX_STDERR_LENGTH = 8192;
/** How long an ended process's last words are waited for: its standard error may live on. */
const LAST_WORDS_MS = 500;
const ENDING_MS = 1000;
const TERMINATION_MS = 2000;
/** What every server must take, and the length that all of them serve at once. */
const SAFE_LENGTH = 32768;
const MOST_LENGTH = 255 * 1024;
const MOST_HANDLES = 128;

export interface SftpProcess {
  /** For messages. */
  readonly label: string;
  readonly program: string;
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long nothing may come while something is awaited, in milliseconds. */
  readonly timeoutMs: number;
}

interface Pending {
  readonly resolve: (reply: number | SftpReply) => void;
  readonly reject: (error: unknown) => void;
  readonly destination: Destination | undefined;
}

/** Starts the process and agrees on the version. @throws StorageError */
export async function openSftpSession(
  process: SftpProcess,
  closed: AbortSignal,
): Promise<SftpSession> {
  const connection = new Connection(process);
  const giveUp = (): void => void connection.close();
  closed.addEventListener('abort', giveUp);
  try {
    const extensions = await connection.greet();
    const limits = extensions.has('limits@openssh.com')
      ? await askLimits(connection)
      : { readLength: SAFE_LENGTH, writeLength: SAFE_LENGTH, openHandles: MOST_HANDLES };
    return {
      limits,
      extensions,
      get isOpen() {
        return connection.isOpen;
      },
      request: (type, fields, data) => connection.request(type, fields, data),
      read: (handle, offset, destination) => connection.read(handle, offset, destination),
      close: () => connection.close(),
    };
  } catch (error) {
    await connection.close();
    throw error;
  } finally {
    closed.removeEventListener('abort', giveUp);
  }
}

async function askLimits(connection: Connection): Promise<SftpLimits> {
  const { type, fields } = await connection.request(PACKET.EXTENDED, ['limits@openssh.com']);
  if (type !== PACKET.EXTENDED_REPLY) {
    return { readLength: SAFE_LENGTH, writeLength: SAFE_LENGTH, openHandles: MOST_HANDLES };
  }
  const [, readLength, writeLength, handles] = Array.from({ length: 4 }, () => fields.takeUint64());
  const within = (length: number): number =>
    length === 0 ? SAFE_LENGTH : Math.max(1024, Math.min(length, MOST_LENGTH));
  return {
    readLength: within(readLength),
    writeLength: within(writeLength),
    // Zero says that there is no limit. A few are left for folders and what is being closed.
    openHandles: handles === 0 ? MOST_HANDLES : Math.max(4, Math.min(MOST_HANDLES, handles - 16)),
  };
}

class Connection {
  readonly #process: SftpProcess;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #ended: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #greeting: { resolve(names: Set<string>): void; reject(error: unknown): void } | undefined;
  #id = 0;
  #stderr = '';
  #failure: StorageError | undefined;
  #isCorked = false;

  constructor(process: SftpProcess) {
    this.#process = process;
    const { program, words, environment, timeoutMs } = process;
    this.#child = spawn(program, words, { stdio: 'pipe', env: { ...environment } });
    this.#ended = this.#watch(this.#child);
    this.#timer = setTimeout(() => this.#onTimeout(), timeoutMs).unref();
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  greet(): Promise<Set<string>> {
    return new Promise((resolve, reject) => {
      this.#greeting = { resolve, reject };
      if (this.#failure !== undefined) reject(this.#failure);
      else this.#send(encodePacket(PACKET.INIT, undefined, [VERSION]));
    });
  }

  request(type: number, fields: readonly Field[], data?: Uint8Array): Promise<SftpReply> {
    return new Promise<number | SftpReply>((resolve, reject) => {
      const id = this.#register({ resolve, reject, destination: undefined });
      if (id === undefined) return;
      this.#send(encodePacket(type, id, fields, data?.length));
      if (data !== undefined) this.#child.stdin?.write(data);
    }) as Promise<SftpReply>;
  }

  read(handle: string, offset: number, destination: Destination): Promise<number | SftpReply> {
    return new Promise((resolve, reject) => {
      const id = this.#register({ resolve, reject, destination });
      if (id === undefined) return;
      this.#send(encodePacket(PACKET.READ, id, [handle, BigInt(offset), destination.asked]));
    });
  }

  async close(): Promise<void> {
    this.#fail('CLOSED', 'closed');
    const child = this.#child;
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), TERMINATION_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #register(pending: Pending): number | undefined {
    if (this.#failure !== undefined) {
      pending.reject(this.#failure);
      return undefined;
    }
    if (this.#pending.size === 0) this.#timer.refresh();
    do this.#id = (this.#id + 1) >>> 0;
    while (this.#pending.has(this.#id));
    this.#pending.set(this.#id, pending);
    return this.#id;
  }

  /** What is sent in one turn of the event loop goes out with one system call. */
  #send(packet: Uint8Array): void {
    const { stdin } = this.#child;
    if (stdin === null) return;
    if (!this.#isCorked) {
      this.#isCorked = true;
      stdin.cork();
      setImmediate(() => {
        this.#isCorked = false;
        stdin.uncork();
      });
    }
    stdin.write(packet);
  }

  /** @returns when the process has ended, whatever it has done */
  #watch(child: ChildProcess): Promise<void> {
    const reader = new PacketReader({
      destination: (id) => this.#pending.get(id)?.destination,
      onData: (id, length) => this.#settle(id, length),
      onPacket: (type, id, body) => this.#onPacket(type, id, body),
    });
    child.stdout?.on('data', (bytes: Uint8Array) => {
      this.#timer.refresh();
      if (this.#failure === undefined) this.#guard(() => reader.push(bytes));
    });
    // It has little to do after that; its own status says more than that of a signal.
    child.stdout?.on('end', () => setTimeout(() => child.kill('SIGTERM'), ENDING_MS).unref());
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR_LENGTH);
    });
    // A process that does not read any more has ended or will be ended.
    for (const stream of child.stdio) stream?.on('error', () => {});
    return new Promise((resolve) => {
      child.on('error', (error) => {
        if (child.pid !== undefined) return;
        const reason = `cannot run ${this.#process.program}: ${systemErrorText(error)}`;
        this.#fail(systemErrorCode(error) === 'EAGAIN' ? 'UNAVAILABLE' : 'IO', reason);
        clearTimeout(this.#timer);
        resolve();
      });
      child.on('exit', (status, signal) => {
        void this.#lastWords().then(() => {
          this.#onExit(status, signal);
          for (const stream of child.stdio) stream?.destroy();
          clearTimeout(this.#timer);
          resolve();
        });
      });
    });
  }

  #lastWords(): Promise<void> {
    return new Promise((resolve) => {
      const { stderr } = this.#child;
      if (this.#failure !== undefined || stderr === null || stderr.destroyed) return resolve();
      // What has come until now is read before the next turn.
      const timer = setTimeout(() => setImmediate(resolve), LAST_WORDS_MS);
      stderr.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #onExit(status: number | null, signal: NodeJS.Signals | null): void {
    const how = signal === null ? `status ${status}` : signal;
    const said = lastLine(this.#stderr);
    const reason = `ssh has ended with ${how}${said === '' ? '' : `: ${said}`}`;
    if (/permission denied|host key verification failed|too many authentication/i.test(said)) {
      this.#fail('DENIED', reason);
    } else if (/subsystem request failed/i.test(said) || status === 127) this.#fail('IO', reason);
    else this.#fail('UNAVAILABLE', reason);
  }

  #onTimeout(): void {
    if (this.#pending.size === 0 && this.#greeting === undefined) return;
    this.#fail('UNAVAILABLE', `no answer within ${this.#process.timeoutMs} ms`);
    void this.close();
  }

  /** What breaks the rules of the protocol ends the connection. */
  #guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      const hint = this.#greeting === undefined ? '' : ' (does a start-up file there print text?)';
      this.#fail('IO', `the answer is no SFTP: ${error.message}${hint}`, error);
      void this.close();
    }
  }

  #onPacket(type: number, id: number, body: Uint8Array): void {
    if (type === PACKET.VERSION) {
      this.#onVersion(id, new PacketFields(body, 'VERSION'));
      return;
    }
    this.#settle(id, { type, fields: new PacketFields(body, `packet of type ${type}`) });
  }

  #onVersion(version: number, fields: PacketFields): void {
    if (this.#greeting === undefined || version < VERSION) {
      throw new FormatError('SFTP', 'VERSION', 0, `version ${version} is offered`);
    }
    const names = new Set<string>();
    while (!fields.isAtEnd) {
      names.add(fields.takeText());
      fields.takeBytes();
    }
    this.#greeting.resolve(names);
    this.#greeting = undefined;
  }

  #settle(id: number, reply: number | SftpReply): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) throw new FormatError('SFTP', 'reply', 0, `no request has id ${id}`);
    this.#pending.delete(id);
    pending.resolve(reply);
  }

  #fail(kind: 'CLOSED' | 'DENIED' | 'IO' | 'UNAVAILABLE', reason: string, cause?: unknown): void {
    if (this.#failure !== undefined) return;
    const code = kind === 'CLOSED' ? 'UNAVAILABLE' : kind;
    const retry = kind === 'UNAVAILABLE' ? 'later' : 'never';
    this.#failure = new StorageError(code, { subject: this.#process.label, reason, retry, cause });
    this.#greeting?.reject(this.#failure);
    this.#greeting = undefined;
    for (const { reject, destination } of this.#pending.values()) {
      if (destination !== undefined) destination.target = undefined;
      reject(this.#failure);
    }
    this.#pending.clear();
  }
}

/** The last line that says something, without what could steer a terminal. */
function lastLine(text: string): string {
  const lines = text.split(/[\r\n]+/).filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? '')
    .replace(/[^\x20-\x7e\u00a0-\uffff]/g, '')
    .trim()
    .slice(0, 300);
}
