/**
 * /dev/fuse, watched by the event loop without a thread: Node takes it for a pipe. A pipe is opened
 * for reading, and before the loop looks at it for the first time, the device takes its place under
 * the same number. Each read of the loop is then one request; see spec/mount.md. Used by `mount`.
 */
import { closeSync, writevSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import { FUSE_LONGEST_REQUEST } from '../../../formats/fuse-requests.ts';
import { PipelineError } from '../../errors.ts';
import { check, type Libc, lastErrno, libc } from '../../os/libc.node.ts';
import { errnoOf, systemFailure } from '../../os/system-error.node.ts';
import type { AnswerOutcome, FuseDevice, FuseEnd, FuseReceiver } from './fuse-device.ts';

const { errno } = constants;
const SET_DESCRIPTOR_FLAGS = 2;
const GET_STATUS_FLAGS = 3;
const SET_STATUS_FLAGS = 4;
const CLOSE_ON_EXEC = 1;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** How often a write is tried again that a signal has cut off. */
const MOST_ATTEMPTS = 100;
/** The kernel takes 1024; one of them is the header. */
const MOST_PIECES = 1000;

/** Errors of reading that are ends. The last is what a request gives that is aborted as it is read. */
const ENDS: Readonly<Record<string, FuseEnd>> = {
  ENODEV: 'unmounted',
  ECONNABORTED: 'aborted',
  ENOENT: 'aborted',
};

/**
 * @param descriptor of /dev/fuse, mounted or about to be. It belongs to the device from now on.
 * @throws PipelineError where the C library cannot be called
 */
export function openFuseDevice(descriptor: number): FuseDevice {
  const c = libc();
  if (c === undefined) {
    throw new PipelineError('UNSUPPORTED', { step: 'mount', reason: 'koffi is not available' });
  }
  let socket: Socket | undefined;
  let isOpen = true;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    socket?.destroy();
    closeSync(descriptor);
  };
  return {
    start(receiver) {
      socket = watch(c, descriptor, receiver, close);
    },
    // After the end the number may belong to another file already.
    send: (answer, length) => (isOpen ? send(c, descriptor, answer, length) : 'unwanted'),
    sendPieces: (header, pieces) => (isOpen ? sendPieces(descriptor, header, pieces) : 'unwanted'),
    close,
  };
}

function watch(c: Libc, descriptor: number, receiver: FuseReceiver, close: () => void): Socket {
  const status = check(c.fcntl(descriptor, GET_STATUS_FLAGS, 'int', 0), 'use /dev/fuse');
  c.fcntl(descriptor, SET_STATUS_FLAGS, 'int', status | O_NONBLOCK);
  // A program that inherited it would keep the mount alive, without anybody to answer.
  c.fcntl(descriptor, SET_DESCRIPTOR_FLAGS, 'int', CLOSE_ON_EXEC);
  const ends = Buffer.alloc(8);
  check(c.pipe2(ends, O_NONBLOCK | O_CLOEXEC), 'open pipe');
  const watched = ends.readInt32LE(0);
  const memory = new Uint8Array(FUSE_LONGEST_REQUEST);
  const options: SocketConstructorOpts & ConnectOpts = {
    fd: watched,
    readable: true,
    writable: false,
    onread: {
      buffer: memory,
      callback(length) {
        receiver.request(memory, length);
        return true;
      },
    },
  };
  const socket = new Socket(options);
  let end: FuseEnd = 'closed';
  let failure: unknown;
  socket.on('error', (error) => {
    end = ENDS[errnoOf(error) ?? ''] ?? 'failed';
    if (end === 'failed') failure = systemFailure('read /dev/fuse', error);
  });
  socket.on('close', () => {
    close();
    receiver.ended(end, failure);
  });
  const replaced = c.dup3(descriptor, watched, O_CLOEXEC);
  const problem = lastErrno();
  c.close(ends.readInt32LE(4));
  if (replaced < 0) {
    socket.destroy();
    throw systemFailure('watch /dev/fuse', problem);
  }
  return socket;
}

function send(c: Libc, descriptor: number, answer: Uint8Array, length: number): AnswerOutcome {
  for (let attempt = 1; ; attempt++) {
    if (c.write(descriptor, answer, length) >= 0) return 'sent';
    const failure = lastErrno();
    const isPassing = failure === errno.EINTR || failure === errno.EAGAIN;
    if (!isPassing || attempt >= MOST_ATTEMPTS) return outcomeOf(failure);
  }
}

function sendPieces(
  descriptor: number,
  header: Uint8Array,
  pieces: readonly Uint8Array[],
): AnswerOutcome {
  const parts = pieces.length > MOST_PIECES ? [Buffer.concat(pieces)] : pieces;
  for (let attempt = 1; ; attempt++) {
    try {
      writevSync(descriptor, [header, ...parts]);
      return 'sent';
    } catch (error) {
      const name = errnoOf(error);
      const isPassing = name === 'EINTR' || name === 'EAGAIN';
      if (!isPassing || attempt >= MOST_ATTEMPTS) return outcomeOf(numberOf(name));
    }
  }
}

function numberOf(name: string | undefined): number {
  return (errno as Readonly<Record<string, number>>)[name ?? ''] ?? 0;
}

/** The request is gone because its sender was interrupted, or with the whole connection. */
function outcomeOf(failure: number): AnswerOutcome {
  const isGone =
    failure === errno.ENOENT ||
    failure === errno.ENODEV ||
    failure === errno.EPERM ||
    failure === errno.ECONNABORTED;
  return isGone ? 'unwanted' : 'refused';
}
