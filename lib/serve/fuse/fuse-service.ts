/** What the operations of the FUSE server work with, and what they are to it. */
import type { FuseRequest } from '../../../formats/fuse-requests.ts';
import type { SignalOption } from '../../../store/backend.ts';
import type { MountedFileSystem, Soon } from './file-system.ts';
import type { FuseAnswers } from './fuse-answers.ts';
import type { AnswerOutcome } from './fuse-device.ts';

/** What operations work with. */
export interface FuseService {
  readonly fileSystem: MountedFileSystem;
  readonly answers: FuseAnswers;
  /** What the kernel can do: bits of FuseFlag. */
  readonly kernelFlags: number;
  /** Memory for listings that is not in use. */
  readonly listingMemory: Uint8Array[];
}

/**
 * A kind of request. Its parts are called in turn, the second after the first has resolved. The request
 * is valid in each of them.
 */
export interface FuseOperation<Value> {
  /** @returns an error number, or what `answer` needs */
  ask(service: FuseService, request: FuseRequest, options: SignalOption): Soon<Value | number>;
  answer(service: FuseService, request: FuseRequest, value: Value): AnswerOutcome;
  /** Gives back what a value holds after it was answered, or instead. */
  finish?(service: FuseService, value: Value, outcome: AnswerOutcome): void;
}
