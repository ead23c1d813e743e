/**
 * A program that speaks the casync protocol for a place elsewhere, as a child process: started, spoken
 * to, and ended in any case. Used by pulls and pushes. Rules: spec/remote.md, "ssh and helpers".
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Agreement } from '../../formats/protocol-flags.ts';
import type { Message } from '../../formats/remote-protocol.ts';
import { StorageError, type StorageErrorCode } from '../errors.ts';
import { storageErrorCodeOf, systemErrorText, toStorageError } from '../system-error.node.ts';
import { MessageStream, RECEIVE } from './message-stream.node.ts';
import type { Command } from './ssh-command.node.ts';

export interface PeerProcessOptions {
  /** The place, for messages; never contains credentials. */
  readonly label: string;
  /** Flags of our hello. */
  readonly flags: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** How long nothing may come while something is awaited. */
  readonly timeoutMs?: number | undefined;
  /** Whether what it writes to standard error is for the user at once; else kept for errors. */
  readonly isQuiet?: boolean;
}

/** How long a program may take to end by itself, and again after SIGTERM. */
const END_GRACE_MS = 3000;
/** How long to wait for the rest of its output once it has ended: others may hold the pipe open. */
const REST_GRACE_MS = 2000;
/** How long to wait for the rest of its standard error, likewise. */
const LOG_GRACE_MS = 500;
/** Bytes of standard error that are kept. */
const KEPT_LOG_SIZE = 4096;

export class PeerProcess {
  readonly label: string;
  readonly #child: ChildProcess;
  readonly #stream: MessageStream;
  readonly #timeoutMs: number | undefined;
  readonly #exited: Promise<void>;
  /** In words, once it has ended. */
  #ending: string | undefined;
  #startError: unknown;
  #log = '';
  /** Resolves when nothing more is written to standard error. */
  readonly #logged: Promise<void>;

  /** @throws StorageError if the program cannot be started, now or from the first `receive` */
  constructor({ program, words }: Command, options: PeerProcessOptions) {
    const { label, flags, environment, timeoutMs, isQuiet = false } = options;
    this.label = label;
    this.#timeoutMs = timeoutMs;
    const child = started(label, () =>
      spawn(program, words, {
        stdio: ['pipe', 'pipe', isQuiet ? 'pipe' : 'inherit'],
        env: { ...environment },
      }),
    );
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => {
        // Also if it cannot be killed; then the end is still to come.
        if (child.pid !== undefined) return;
        const reason = `Failed to execute ${program}: ${systemErrorText(error)}`;
        this.#startError = new StorageError('IO', { subject: label, reason, cause: error });
        resolve();
      });
      child.on('exit', (code, signal) => {
        this.#ending = signal === null ? endedWith(code ?? 0) : `by ${signal}`;
        this.#stream.setPatience(REST_GRACE_MS);
        resolve();
      });
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-KEPT_LOG_SIZE);
    });
    this.#logged = new Promise((resolve) => {
      if (child.stderr === null) resolve();
      else child.stderr.on('close', resolve);
    });
    if (child.stdin === null || child.stdout === null) throw new TypeError('no pipes');
    this.#stream = new MessageStream(child.stdout, child.stdin, { flags, label });
  }

  get hasAgreed(): boolean {
    return this.#stream.agreement !== undefined;
  }

  /** Process id; undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Waits for the other side's hello. @throws StorageError | FormatError as {@link receive}
   */
  async hello(): Promise<Agreement> {
    await this.receive();
    const { agreement } = this.#stream;
    if (agreement === undefined) throw new TypeError('the first message is a hello');
    return agreement;
  }

  /**
   * The next message; valid until the next call.
   * @throws StorageError if the program ends, with its status, or has been silent for too long, or
   * says that it gives up; FormatError for what the rules do not allow
   */
  async receive(): Promise<Message> {
    const message = await this.#received();
    if (message === undefined) throw await this.endedEarly();
    if (message.kind === 'abort') throw this.#aborted(message.errorNumber, message.reason);
    return message;
  }

  async #received(): Promise<Message | undefined> {
    try {
      return await this.#stream.receive();
    } catch (error) {
      // A connection that is gone is told of by the program that had it.
      const isGone = error instanceof StorageError && error.step === RECEIVE;
      if (isGone || this.#ending !== undefined) throw await this.endedEarly();
      throw error;
    }
  }

  /** @throws StorageError if the program has ended or does not read any more */
  send(message: Message): Promise<void> {
    return this.#stream.send(message);
  }

  /** Whether something is awaited now: only then may the other side's silence be too long. */
  expect(isExpecting: boolean): void {
    if (this.#ending !== undefined) return;
    this.#stream.setPatience(isExpecting ? this.#timeoutMs : undefined);
  }

  /** The error for a program that has ended, or does so soon, before everything was done. */
  async endedEarly(): Promise<StorageError> {
    if (!(await resolvesWithin(this.#exited, END_GRACE_MS))) this.kill();
    await this.#exited;
    await resolvesWithin(this.#logged, LOG_GRACE_MS);
    if (this.#startError instanceof StorageError) return this.#startError;
    const isLost = this.hasAgreed || this.#child.exitCode === 255;
    const said = this.#log.trim().replaceAll(/[^\x20-\x7e]+/g, ' ');
    return new StorageError(isLost ? 'UNAVAILABLE' : 'IO', {
      subject: this.label,
      reason: `The other side has ended early, ${this.#ending ?? ''}${said === '' ? '' : `: ${said}`}`,
      retry: this.hasAgreed ? 'later' : 'never',
    });
  }

  #aborted(errorNumber: number, reason: string): StorageError {
    const name = nameOfError(errorNumber === 0 ? constants.errno.ECONNABORTED : errorNumber);
    const code: StorageErrorCode = name === undefined ? 'IO' : storageErrorCodeOf(name);
    const text = name === undefined ? `error ${errorNumber}` : systemErrorText({ code: name });
    return new StorageError(code, {
      subject: this.label,
      step: 'the other side gives up',
      reason: reason === '' ? text : `${reason} (${text})`,
    });
  }

  /**
   * Ends the conversation after its last message: closes the pipe and lets the program end.
   * @returns its status in words, `with status 0` if all is well
   */
  async finish(): Promise<string> {
    await Promise.race([this.#stream.end(), this.#exited]);
    if (!(await resolvesWithin(this.#exited, END_GRACE_MS))) this.kill();
    await this.#exited;
    this.#stream.destroy();
    if (this.#startError instanceof StorageError) throw this.#startError;
    return this.#ending ?? '';
  }

  /** Ends the program at once; resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#ending === undefined && this.#startError === undefined) this.kill();
    await this.#exited;
    this.#stream.destroy();
  }

  /** SIGTERM, and SIGKILL if that is not enough. */
  kill(): void {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_GRACE_MS);
    void this.#exited.then(() => clearTimeout(timer));
  }
}

/** Whether the promise resolves in time. */
export async function resolvesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Words that are too long fail at once. */
function started(label: string, start: () => ChildProcess): ChildProcess {
  try {
    return start();
  } catch (error) {
    throw toStorageError(error, label, 'start');
  }
}

/** The end of a program, in words. */
export function endedWith(status: number): string {
  const hints: Readonly<Record<number, string>> = {
    126: ' (the program there cannot be run)',
    127: ' (there is no such program there)',
    255: ' (the connection failed)',
  };
  return `with status ${status}${hints[status] ?? ''}`;
}

function nameOfError(errorNumber: number): string | undefined {
  return Object.entries(constants.errno).find(([, value]) => value === errorNumber)?.[0];
}
