/**
 * Requests from their arrival to their one answer: results that are there at once are answered at
 * once, the others when they come, unless the kernel takes its question back. Used by the FUSE server.
 */
import { Errno, FuseOpcode } from '../../../formats/fuse-protocol.ts';
import {
  copyOfFuseRequest,
  type FuseRequest,
  type FuseUnique,
  isSameUnique,
  parseRead,
} from '../../../formats/fuse-requests.ts';
import { abortedError } from '../../errors.ts';
import { type Admission, createAdmission } from './admission.ts';
import { errnoOfFailure } from './failures.ts';
import type { AnswerOutcome } from './fuse-device.ts';
import { FUSE_OPERATIONS } from './fuse-operations.ts';
import type { FuseOperation, FuseService } from './fuse-service.ts';

/** Of reads that wait, together; more than the kernel asks for without a program that waits. */
const READ_BYTES = 96 * 1024 * 1024;
/** Of all other requests that wait. */
const REQUESTS = 256;

/** A request whose result is not there yet. */
interface Waiting {
  readonly request: FuseRequest;
  readonly controller: AbortController;
  /** Nobody wants the result any more. */
  isOver: boolean;
}

export class RequestRunner {
  readonly #service: FuseService;
  readonly #report: (error: unknown) => void;
  readonly #reads: Admission<FuseRequest> = createAdmission(READ_BYTES);
  readonly #others: Admission<FuseRequest> = createAdmission(REQUESTS);
  readonly #waiting = new Set<Waiting>();
  /** Most requests never wait, so that the next one can have the signal of the last. */
  #controller = new AbortController();
  #isClosed = false;

  constructor(service: FuseService, report: (error: unknown) => void) {
    this.#service = service;
    this.#report = report;
  }

  /** Takes a request that wants an answer. @param request valid during the call */
  run(request: FuseRequest): void {
    const operation = FUSE_OPERATIONS[request.opcode];
    const admission = this.#admissionOf(request);
    const weight = weightOf(request);
    if (operation === undefined) this.#fail(request, Errno.ENOSYS);
    else if (request.inode === Number.POSITIVE_INFINITY) this.#fail(request, Errno.ESTALE);
    else if (admission.hasRoom(weight)) this.#begin(request, operation);
    else if (!admission.stand(copyOfFuseRequest(request), weight)) {
      this.#fail(request, Errno.ENOMEM);
    }
  }

  /** The kernel does not want to wait any more. A request that was answered meanwhile is no matter. */
  interrupt(unique: FuseUnique): void {
    const isIt = (request: FuseRequest): boolean => isSameUnique(request.unique, unique);
    for (const waiting of this.#waiting) {
      if (waiting.isOver || !isIt(waiting.request)) continue;
      this.#giveUp(waiting, Errno.EINTR);
      return;
    }
    const inLine = this.#reads.remove(isIt) ?? this.#others.remove(isIt);
    if (inLine !== undefined) this.#fail(inLine, Errno.EINTR);
  }

  /** Ends all that waits. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of this.#waiting) if (!waiting.isOver) this.#giveUp(waiting, Errno.EIO);
    for (const admission of [this.#reads, this.#others]) {
      for (;;) {
        const inLine = admission.remove(() => true);
        if (inLine === undefined) break;
        this.#fail(inLine, Errno.EIO);
      }
    }
  }

  #admissionOf({ opcode }: FuseRequest): Admission<FuseRequest> {
    return opcode === FuseOpcode.READ ? this.#reads : this.#others;
  }

  #fail(request: FuseRequest, errno: number): void {
    this.#service.answers.fail(request, errno);
  }

  #giveUp(waiting: Waiting, errno: number): void {
    waiting.isOver = true;
    this.#fail(waiting.request, errno);
    waiting.controller.abort(abortedError());
  }

  #begin(request: FuseRequest, operation: FuseOperation<unknown>): void {
    const controller = this.#controller;
    let value: unknown;
    try {
      value = operation.ask(this.#service, request, controller);
    } catch (error) {
      this.#failed(request, error);
      return;
    }
    if (value instanceof Promise) this.#wait(request, operation, value, controller);
    else this.#answer(request, operation, value);
  }

  #wait(
    request: FuseRequest,
    operation: FuseOperation<unknown>,
    result: Promise<unknown>,
    controller: AbortController,
  ): void {
    this.#controller = new AbortController();
    const waiting = { request: copyOfFuseRequest(request), controller, isOver: false };
    const admission = this.#admissionOf(request);
    const weight = weightOf(request);
    this.#waiting.add(waiting);
    admission.enter(weight);
    const settled = (): boolean => {
      this.#waiting.delete(waiting);
      admission.leave(weight);
      return !waiting.isOver;
    };
    result.then(
      (value) => {
        if (settled()) this.#answer(waiting.request, operation, value);
        else this.#drop(operation, value);
        this.#goOn(admission);
      },
      (error) => {
        if (settled()) this.#failed(waiting.request, error);
        this.#goOn(admission);
      },
    );
  }

  /** Begins what stands in line, as far as there is room now. */
  #goOn(admission: Admission<FuseRequest>): void {
    while (!this.#isClosed) {
      const request = admission.next();
      const operation = request === undefined ? undefined : FUSE_OPERATIONS[request.opcode];
      if (request === undefined || operation === undefined) return;
      this.#begin(request, operation);
    }
  }

  #answer(request: FuseRequest, operation: FuseOperation<unknown>, value: unknown): void {
    if (typeof value === 'number') {
      this.#fail(request, value);
      return;
    }
    const { answers } = this.#service;
    const before = answers.count;
    let outcome: AnswerOutcome = 'refused';
    try {
      outcome = operation.answer(this.#service, request, value);
      if (outcome === 'refused')
        throw new Error(`the kernel refused an answer to ${request.opcode}`);
    } catch (error) {
      this.#report(error);
      if (answers.count === before || outcome === 'refused') this.#fail(request, Errno.EIO);
    } finally {
      this.#finish(operation, value, outcome);
    }
  }

  #drop(operation: FuseOperation<unknown>, value: unknown): void {
    if (typeof value !== 'number') this.#finish(operation, value, 'unwanted');
  }

  #finish(operation: FuseOperation<unknown>, value: unknown, outcome: AnswerOutcome): void {
    try {
      operation.finish?.(this.#service, value, outcome);
    } catch (error) {
      this.#report(error);
    }
  }

  #failed(request: FuseRequest, error: unknown): void {
    this.#report(error);
    this.#fail(request, errnoOfFailure(error));
  }
}

function weightOf(request: FuseRequest): number {
  return request.opcode === FuseOpcode.READ ? (parseRead(request)?.size ?? 0) : 1;
}
