/**
 * Both ends of a session: the near one starts casync on another machine with ssh and speaks with it
 * over its pipes, the far one speaks over its standard streams. Rules: spec/formats/session.md.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { type CasError, isCasError } from '../../../formats/errors.ts';
import { StorageError } from '../../../store/errors.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { openStandardStreams } from '../../../store/peer/message-stream.node.ts';
import { endedWith, resolvesWithin } from '../../../store/peer/peer-process.node.ts';
import { type Command, sessionOverSsh } from '../../../store/peer/ssh-command.node.ts';
import { systemErrorText, toStorageError } from '../../../store/system-error.node.ts';
import { SYSTEM_CLOCK } from '../../../store/wrap/clock.ts';
import { Throttle } from '../../../store/wrap/throttle.ts';
import { createCodecs } from '../../compress/codecs.node.ts';
import { abortedError, throwIfAborted } from '../../errors.ts';
import type { SessionConnection } from './connection.ts';
import { SessionStream, type SessionStreamOptions } from './session-stream.node.ts';

export interface SessionOptions {
  readonly settings: LocationSettings;
  /** Whether what is sent is compressed; default true. */
  readonly compresses?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning: (text: string) => void;
}

/** How long nothing at all may come; a side that works says every ten seconds that it is there. */
const USUAL_TIMEOUT_MS = 120_000;
/** How long a program may take to end by itself, and again after SIGTERM. */
const END_GRACE_MS = 5000;

/**
 * Works in a session with casync on another machine, which is over when the work is.
 * @param host `[USER@]HOST`
 * @throws what the work throws, which the other side is told; StorageError `UNAVAILABLE` | `IO` if
 * the other side cannot be started, is gone or does not end well
 */
export async function withSession<T>(
  host: string,
  options: SessionOptions,
  work: (connection: SessionConnection) => Promise<T>,
): Promise<T> {
  throwIfAborted(options.signal);
  const command = sessionOverSsh(host, options);
  const program = new FarProgram(command, host, options.settings.environment);
  const stream = new SessionStream(program.output, program.input, {
    ...streamOptions(host, options),
    whyGone: () => program.whyGone(),
  });
  return worked(stream, options.signal, async () => {
    try {
      const result = await work(stream);
      await stream.finish();
      await program.finish();
      return result;
    } catch (error) {
      await stream.fail(toCasError(error));
      await program.stop();
      throw error;
    }
  });
}

/**
 * The far end: works over the standard streams, which nobody else may use.
 * @returns what the work has failed with, if the other side knows it
 * @throws what the work throws, if the other side cannot be told
 */
export async function withStandardStreams(
  options: SessionOptions,
  work: (connection: SessionConnection) => Promise<void>,
): Promise<CasError | undefined> {
  const { input, output } = openStandardStreams();
  const stream = new SessionStream(input, output, streamOptions('the other side', options));
  return worked(stream, options.signal, async () => {
    try {
      await work(stream);
      await stream.close();
      return undefined;
    } catch (error) {
      const isTold = await stream.fail(toCasError(error));
      if (isTold && isCasError(error)) return error;
      throw error;
    }
  });
}

/** Ends the stream in any case, and at once if the signal fires. */
async function worked<T>(
  stream: SessionStream,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const stop = (): void => void stream.fail(abortedError());
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await work();
  } finally {
    signal?.removeEventListener('abort', stop);
    stream.destroy();
  }
}

function streamOptions(
  label: string,
  { settings, compresses = true, onWarning }: SessionOptions,
): SessionStreamOptions {
  const { rateLimit, timeoutMs = USUAL_TIMEOUT_MS } = settings;
  return {
    label,
    codec: createCodecs().zstd,
    compresses,
    timeoutMs,
    onWarning,
    ...(rateLimit === undefined ? {} : { throttle: new Throttle(rateLimit, SYSTEM_CLOCK) }),
  };
}

/** A mistake of the program is told without its details. */
function toCasError(error: unknown): CasError {
  if (isCasError(error)) return error;
  return new StorageError('IO', { reason: 'internal error' });
}

/** The program that leads to the other machine. */
class FarProgram {
  readonly #label: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  /** In words, once it has ended. */
  #ending: string | undefined;
  #status: number | undefined;
  #startError: CasError | undefined;

  /** @throws StorageError if it cannot be started */
  constructor(
    { program, words }: Command,
    label: string,
    environment: Readonly<Record<string, string | undefined>>,
  ) {
    this.#label = label;
    try {
      this.#child = spawn(program, words, {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...environment },
      });
    } catch (error) {
      throw toStorageError(error, label, 'start');
    }
    const child = this.#child;
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => {
        // Also if it cannot be killed; then the end is still to come.
        if (child.pid !== undefined) return;
        const reason = `failed to execute ${program}: ${systemErrorText(error)}`;
        this.#startError = new StorageError('IO', { subject: label, reason, cause: error });
        resolve();
      });
      child.on('exit', (code, signal) => {
        this.#status = code ?? undefined;
        this.#ending = signal === null ? endedWith(code ?? 0) : `by ${signal}`;
        resolve();
      });
    });
  }

  get input() {
    return piped(this.#child.stdin);
  }

  get output() {
    return piped(this.#child.stdout);
  }

  /** The error for a connection that has ended before all was done. */
  async whyGone(): Promise<CasError> {
    if (!(await resolvesWithin(this.#exited, END_GRACE_MS))) this.#kill();
    await this.#exited;
    if (this.#startError !== undefined) return this.#startError;
    const isAbsent = this.#status === 126 || this.#status === 127;
    return new StorageError(isAbsent ? 'IO' : 'UNAVAILABLE', {
      subject: this.#label,
      reason: `the other side has ended early, ${this.#ending}; the next run goes on from there`,
      retry: isAbsent ? 'never' : 'later',
    });
  }

  /** Lets it end by itself. @throws StorageError unless it ends well */
  async finish(): Promise<void> {
    if (!(await resolvesWithin(this.#exited, END_GRACE_MS))) this.#kill();
    await this.#exited;
    if (this.#status !== 0) throw await this.whyGone();
  }

  /** Gives it time to hear why, then ends it. */
  async stop(): Promise<void> {
    if (!(await resolvesWithin(this.#exited, END_GRACE_MS))) this.#kill();
    await this.#exited;
  }

  /** SIGTERM, and SIGKILL if that is not enough. */
  #kill(): void {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_GRACE_MS);
    void this.#exited.then(() => clearTimeout(timer));
  }
}

function piped<T>(stream: T | null): T {
  if (stream === null) throw new TypeError('no pipe');
  return stream;
}
