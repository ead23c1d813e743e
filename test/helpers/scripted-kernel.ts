/** The device of a FUSE server without a kernel: a test asks, and sees each answer. */

import type { MountedFileSystem } from '../../lib/serve/fuse/file-system.ts';
import type { AnswerOutcome, FuseDevice, FuseReceiver } from '../../lib/serve/fuse/fuse-device.ts';
import { type FuseServer, serveFuseDevice } from '../../lib/serve/fuse/fuse-server.ts';
import { initRequest } from './fuse-bytes.ts';

export interface Answer {
  readonly unique: bigint;
  /** Positive. */
  readonly errno: number;
  readonly body: Buffer;
}

export interface ScriptedKernel {
  readonly device: FuseDevice;
  readonly answers: Answer[];
  /** What becomes of the next answers; `sent` when there is nothing left. */
  readonly outcomes: AnswerOutcome[];
  /** Hands over a request in memory that is overwritten at once, as the real one is. */
  ask(request: Uint8Array): void;
  /** The same, when the answer must be there at once. */
  answerTo(request: Uint8Array): Answer;
  end(): void;
}

export function createScriptedKernel(): ScriptedKernel {
  let receiver: FuseReceiver | undefined;
  let isClosed = false;
  const answers: Answer[] = [];
  const outcomes: AnswerOutcome[] = [];
  const memory = Buffer.alloc(64 * 1024);
  const take = (bytes: Buffer): AnswerOutcome => {
    if (bytes.readUInt32LE(0) !== bytes.length) throw new Error('an answer of another length');
    const body = Buffer.from(bytes.subarray(16));
    answers.push({ unique: bytes.readBigUInt64LE(8), errno: Math.abs(bytes.readInt32LE(4)), body });
    return outcomes.shift() ?? 'sent';
  };
  const ask = (request: Uint8Array): void => {
    memory.set(request);
    receiver?.request(memory, request.length);
    memory.fill(0xee, 0, request.length);
  };
  const end = (reason: 'unmounted' | 'closed'): void => {
    if (isClosed) return;
    isClosed = true;
    receiver?.ended(reason);
  };
  return {
    answers,
    outcomes,
    ask,
    answerTo(request) {
      const before = answers.length;
      ask(request);
      if (answers.length !== before + 1) throw new Error(`${answers.length - before} answers`);
      return answers[before];
    },
    end: () => end('unmounted'),
    device: {
      start(given) {
        receiver = given;
      },
      send: (answer, length) => take(Buffer.from(answer.subarray(0, length))),
      sendPieces: (header, pieces) => take(Buffer.concat([header, ...pieces])),
      close: () => end('closed'),
    },
  };
}

export interface Served {
  readonly kernel: ScriptedKernel;
  readonly server: FuseServer;
  /** What was told to the user. */
  readonly failures: unknown[];
}

/** A server that a kernel has greeted already. @param flags what the kernel says it can do */
export function serveToScript(fileSystem: MountedFileSystem, flags?: number): Served {
  const kernel = createScriptedKernel();
  const failures: unknown[] = [];
  const server = serveFuseDevice(kernel.device, fileSystem, {
    onFailure: (error) => failures.push(error),
  });
  kernel.ask(initRequest(flags === undefined ? {} : { flags }));
  kernel.answers.length = 0;
  return { kernel, server, failures };
}
