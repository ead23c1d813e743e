/** Sends answers, built in memory that all of them share. Used by the operations of the FUSE server. */
import {
  FUSE_ANSWER_HEADER_SIZE,
  FUSE_ENTRY_SIZE,
  writeAnswerHeader,
} from '../../../formats/fuse-replies.ts';
import type { FuseRequest } from '../../../formats/fuse-requests.ts';
import type { AnswerOutcome, FuseDevice } from './fuse-device.ts';

/** Where what follows the header begins. */
export const BODY = FUSE_ANSWER_HEADER_SIZE;

export interface FuseAnswers {
  /** Room for a header and the longest body of fixed size, to be filled from {@link BODY} on. */
  readonly memory: Uint8Array;
  /** How many answers were given. */
  readonly count: number;
  /** @param errno of Linux, positive */
  fail(request: FuseRequest, errno: number): AnswerOutcome;
  /** Success without a body. */
  done(request: FuseRequest): AnswerOutcome;
  /** What was put into `memory`. @param size of the body in bytes */
  filled(request: FuseRequest, size: number): AnswerOutcome;
  /** What was put into other memory, from {@link BODY} on. @param end of the body */
  built(request: FuseRequest, memory: Uint8Array, end: number): AnswerOutcome;
  /** @param size of all pieces in bytes */
  pieces(request: FuseRequest, pieces: readonly Uint8Array[], size: number): AnswerOutcome;
}

export function createFuseAnswers(device: FuseDevice): FuseAnswers {
  const memory = new Uint8Array(BODY + FUSE_ENTRY_SIZE);
  const header = new Uint8Array(BODY);
  let count = 0;
  const built = (request: FuseRequest, out: Uint8Array, end: number, errno = 0): AnswerOutcome => {
    writeAnswerHeader(out, request.unique, end, errno);
    count++;
    return device.send(out, end);
  };
  return {
    memory,
    get count() {
      return count;
    },
    fail: (request, errno) => built(request, header, BODY, errno),
    done: (request) => built(request, header, BODY),
    filled: (request, size) => built(request, memory, BODY + size),
    built: (request, out, end) => built(request, out, end),
    pieces(request, pieces, size) {
      writeAnswerHeader(header, request.unique, BODY + size);
      count++;
      return device.sendPieces(header, pieces);
    },
  };
}
