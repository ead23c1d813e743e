/**
 * A read-only file system for the kernel, over the FUSE protocol: negotiation, and what becomes of each
 * request. Spec: spec/mount.md, "The FUSE server".
 */
import {
  FUSE_INIT_ANSWER_SIZE,
  type FuseOffer,
  type FuseTerms,
  parseInit,
  writeInit,
} from '../../../formats/fuse-init.ts';
import {
  Errno,
  FUSE_MAJOR,
  FUSE_OLDEST_MINOR,
  FuseFlag,
  FuseOpcode,
} from '../../../formats/fuse-protocol.ts';
import {
  type FuseRequest,
  parseForgotten,
  parseFuseRequest,
  parseInterrupt,
} from '../../../formats/fuse-requests.ts';
import { PipelineError } from '../../errors.ts';
import { deferred } from '../../work/deferred.ts';
import { unattended } from '../../work/unattended.ts';
import { createFailureReports } from '../failure-reports.ts';
import { isNoFailure } from './failures.ts';
import type { MountedFileSystem } from './file-system.ts';
import { BODY, createFuseAnswers, type FuseAnswers } from './fuse-answers.ts';
import type { FuseDevice, FuseEnd } from './fuse-device.ts';
import { RequestRunner } from './request-runner.ts';

export interface FuseServerOptions {
  /**
   * Told of failures behind errors that readers get, not of each in a flood: CasErrors, and mistakes
   * of the program, which are survived.
   */
  readonly onFailure?: (error: unknown) => void;
}

export interface FuseServer {
  /** Resolves when the kernel has been answered for the first time: the mount can be used. */
  readonly started: Promise<void>;
  /** Resolves when no more requests come; the descriptor is closed then. Never rejects. */
  readonly ended: Promise<FuseEnd>;
  /** Ends all that waits with an error, and gives up the connection. Does not unmount. */
  close(): void;
}

// Without ASYNC_DIO: direct reads that wait under it cannot be killed.
const TERMS = {
  flags:
    FuseFlag.ASYNC_READ |
    FuseFlag.DO_READDIRPLUS |
    FuseFlag.READDIRPLUS_AUTO |
    FuseFlag.NO_OPEN_SUPPORT |
    FuseFlag.PARALLEL_DIROPS |
    FuseFlag.ABORT_ERROR |
    FuseFlag.MAX_PAGES |
    FuseFlag.CACHE_SYMLINKS |
    FuseFlag.NO_OPENDIR_SUPPORT,
  backgroundRequests: 64,
  busyRequests: 48,
  readBytes: 1024 * 1024,
} as const;

/** With ACLs the kernel asks for those of the root at every walk along a path. */
function termsFor({ hasAcls }: MountedFileSystem): FuseTerms {
  return hasAcls ? { ...TERMS, flags: TERMS.flags | FuseFlag.POSIX_ACL } : TERMS;
}

/** @param device not started yet; it is closed in the end */
export function serveFuseDevice(
  device: FuseDevice,
  fileSystem: MountedFileSystem,
  { onFailure = () => {} }: FuseServerOptions = {},
): FuseServer {
  const tell = createFailureReports({ tell: onFailure });
  const report = (error: unknown): void => {
    if (!isNoFailure(error)) tell(error);
  };
  const answers = createFuseAnswers(device);
  let runner: RequestRunner | undefined;
  const started = deferred<void>();
  const ended = deferred<FuseEnd>();
  unattended(started.promise);
  const begin = (offer: FuseOffer): void => {
    const service = { fileSystem, answers, kernelFlags: offer.flags, listingMemory: [] };
    runner ??= new RequestRunner(service, report);
    started.resolve();
  };
  const receive = (request: FuseRequest): void => {
    switch (request.opcode) {
      case FuseOpcode.INIT:
        negotiate(request, answers, termsFor(fileSystem), { begin, refuse: started.reject });
        break;
      case FuseOpcode.FORGET:
      case FuseOpcode.BATCH_FORGET:
        forget(request, fileSystem);
        break;
      case FuseOpcode.INTERRUPT:
        interrupt(request, runner);
        break;
      case FuseOpcode.NOTIFY_REPLY:
        break;
      default:
        if (runner === undefined) answers.fail(request, Errno.EIO);
        else runner.run(request);
    }
  };
  device.start({
    request(bytes, length) {
      try {
        const request = parseFuseRequest(bytes, length);
        if (request !== undefined) receive(request);
      } catch (error) {
        report(error);
      }
    },
    ended(end, failure) {
      runner?.close();
      if (failure !== undefined) report(failure);
      started.reject(
        new PipelineError('IO', { step: 'mount', reason: `${end} before it was used` }),
      );
      ended.resolve(end);
    },
  });
  return {
    started: started.promise,
    ended: ended.promise,
    close() {
      runner?.close();
      device.close();
    },
  };
}

interface Negotiated {
  readonly begin: (offer: FuseOffer) => void;
  readonly refuse: (error: unknown) => void;
}

function negotiate(
  request: FuseRequest,
  answers: FuseAnswers,
  terms: FuseTerms,
  then: Negotiated,
): void {
  const offer = parseInit(request);
  const isTooOld =
    offer === undefined ||
    offer.major < FUSE_MAJOR ||
    (offer.major === FUSE_MAJOR && offer.minor < FUSE_OLDEST_MINOR);
  if (isTooOld) {
    answers.fail(request, Errno.EPROTO);
    const spoken = offer === undefined ? 'something else' : `${offer.major}.${offer.minor}`;
    const reason = `the kernel speaks FUSE ${spoken}, at least ${FUSE_MAJOR}.${FUSE_OLDEST_MINOR} is needed`;
    then.refuse(new PipelineError('UNSUPPORTED', { step: 'mount', reason }));
    return;
  }
  writeInit(answers.memory, BODY, offer, terms);
  answers.filled(request, FUSE_INIT_ANSWER_SIZE);
  // A kernel of a later generation asks again, in ours.
  if (offer.major === FUSE_MAJOR) then.begin(offer);
}

function forget(request: FuseRequest, fileSystem: MountedFileSystem): void {
  for (const { inode, count } of parseForgotten(request)) {
    if (inode !== Number.POSITIVE_INFINITY) fileSystem.forget(inode, count);
  }
}

function interrupt(request: FuseRequest, runner: RequestRunner | undefined): void {
  const unique = parseInterrupt(request);
  if (unique !== undefined) runner?.interrupt(unique);
}
