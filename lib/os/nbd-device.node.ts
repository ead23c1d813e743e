/**
 * The kernel's network block devices (/dev/nbdN) by their system calls, for devices that end with this
 * process (spec/nbd.md, "Kernel devices"). What they are used for is in lib/serve/nbd.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { PipelineError } from '../errors.ts';
import { check, type Libc, lastErrno, libc } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';

/** Devices that the driver can have at most in our eyes. */
export const MOST_DEVICES = 1024;

/** Request numbers of ioctl. */
const REQUESTS = {
  setSocket: 0xab00,
  setBlockSize: 0xab01,
  clearSocket: 0xab04,
  setBlockCount: 0xab07,
  disconnect: 0xab08,
  setFlags: 0xab0a,
} as const;
const DO_IT = 0xab03;
const SET_READ_ONLY = 0x125d;
const GET_SIZE = 0x80081272;

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0x80001;
const BLOCK_SIGNALS = 0;
const NO_NATIVE_CODE = 'this needs the package koffi, which is not available';
/** Of the C library: 1024 bits. */
const SIGNAL_SET_SIZE = 128;

export type NbdRequest = keyof typeof REQUESTS;

/** Two ends of one connection, as descriptors. */
export interface SocketPair {
  readonly ours: number;
  readonly theirs: number;
}

/** What attaching a device needs of the system; tests have another one. */
export interface NbdSystem {
  /** Opens /dev/nbdN for reading and writing. @throws CasError with the error number as cause */
  open(number: number): number;
  close(descriptor: number): void;
  /** Whether somebody serves the device. */
  isConnected(number: number): boolean;
  /** Bytes of an open device. */
  size(device: number): number;
  socketPair(): SocketPair;
  /** @throws CasError with the error number as cause */
  request(device: number, request: NbdRequest, argument?: number): void;
  /** Takes off the mark that a user of the device before us may have left. */
  clearReadOnly(device: number): void;
}

/** Path of a device. */
export function devicePath(number: number): string {
  return `/dev/nbd${number}`;
}

/** @throws CasError `UNSUPPORTED` without the optional package koffi */
export function nbdSystem(): NbdSystem {
  const c = libc();
  if (c === undefined) throw new PipelineError('UNSUPPORTED', { reason: NO_NATIVE_CODE });
  return {
    open: (number) => openDevice(number),
    close: closeSync,
    isConnected: (number) => existsSync(`/sys/block/nbd${number}/pid`),
    size(device) {
      const size = new BigUint64Array(1);
      check(c.ioctl(device, GET_SIZE, 'void *', bytesOf(size)), 'determine size of block device');
      return Number(size[0]);
    },
    socketPair: () => socketPair(c),
    request(device, request, argument = 0) {
      check(c.ioctl(device, REQUESTS[request], 'uint64_t', argument), STEPS[request]);
    },
    clearReadOnly(device) {
      const off = bytesOf(new Int32Array(1));
      check(c.ioctl(device, SET_READ_ONLY, 'void *', off), 'make block device writable');
    },
  };
}

const STEPS: Readonly<Record<NbdRequest, string>> = {
  setSocket: 'connect',
  setBlockSize: 'set block size',
  clearSocket: 'disconnect',
  setBlockCount: 'set size',
  disconnect: 'disconnect',
  setFlags: 'set flags',
};

/**
 * Keeps a device connected; blocks the calling thread until it is disconnected. No signal may end that:
 * the kernel takes any signal to this thread for the end of the device.
 * @param device descriptor of one whose socket and size are set
 * @returns 0, or the error number if the connection broke or the kernel did not want it
 */
export function holdDevice(device: number): number {
  const c = libc();
  if (c === undefined) return constants.errno.ENOSYS;
  c.pthread_sigmask(BLOCK_SIGNALS, new Uint8Array(SIGNAL_SET_SIZE).fill(0xff), null);
  return c.ioctl(device, DO_IT, 'uint64_t', 0) === 0 ? 0 : lastErrno();
}

function openDevice(number: number): number {
  const path = devicePath(number);
  try {
    return openSync(path, 'r+');
  } catch (error) {
    throw systemFailure('open', error, path);
  }
}

function socketPair(c: Libc): SocketPair {
  const pair = new Int32Array(2);
  const failed = c.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, bytesOf(pair)) < 0;
  if (failed) throw systemFailure('make socket', lastErrno());
  const [ours, theirs] = pair;
  return { ours, theirs };
}

function bytesOf(array: BigUint64Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer);
}
