/**
 * Mounting and unmounting for ordinary users through fusermount3, a program with the rights to do so. It
 * opens /dev/fuse, mounts, and sends the open descriptor through a socket.
 */
import { type SpawnOptions, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { PipelineError } from '../errors.ts';
import { lastErrno, libc } from './libc.node.ts';
import { errnoOf, systemFailure } from './system-error.node.ts';

/** The older one has the same words. */
const PROGRAMS = ['fusermount3', 'fusermount'] as const;

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0x80001;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SCM_RIGHTS = 1;
/** Of a message beside the bytes: length, level, type. */
const CONTROL_HEADER = 16;
const CONTROL_LENGTH = CONTROL_HEADER + 8;
/** Where a child process finds the socket. */
const SOCKET_IN_CHILD = 3;
const LONGEST_MESSAGE = 4096;
/** The program does nothing that takes time. */
const LONGEST_RUN_MS = 30_000;

export interface HelperMountOptions {
  /** What the mount is called in the table of mounts. */
  readonly source: string;
  /** The part of the type behind `fuse.`. */
  readonly subtype: string;
  /** Further options, as in mount(8). */
  readonly options: readonly string[];
}

/**
 * Mounts at `path`.
 * @returns the open FUSE device
 * @throws PipelineError without subject; `UNSUPPORTED` if there is no such program
 */
export async function mountWithHelper(
  path: string,
  { source, subtype, options }: HelperMountOptions,
): Promise<number> {
  const [ours, theirs] = socketPair();
  try {
    const words = [...options, `fsname=${escapeOption(source)}`, `subtype=${subtype}`];
    try {
      await runHelper(['-o', words.join(','), '--', path], {
        stdio: ['ignore', 'ignore', 'pipe', theirs],
        env: { ...process.env, _FUSE_COMMFD: String(SOCKET_IN_CHILD) },
      });
    } finally {
      closeSync(theirs);
    }
    return receiveDescriptor(ours);
  } finally {
    closeSync(ours);
  }
}

/** Unmounts at once, also what is in use. @throws PipelineError without subject */
export async function unmountWithHelper(path: string): Promise<void> {
  await runHelper(['-u', '-z', '--', path], { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Commas divide options. */
function escapeOption(text: string): string {
  return text.replace(/[\\,]/g, '\\$&');
}

async function runHelper(words: readonly string[], options: SpawnOptions): Promise<void> {
  for (const program of PROGRAMS) {
    const message = await run(program, words, options);
    if (message === undefined) continue;
    if (message === '') return;
    throw new PipelineError('DENIED', { reason: message });
  }
  throw new PipelineError('UNSUPPORTED', { reason: 'the program fusermount3 is not installed' });
}

/** @returns what the program complained of, empty if it succeeded; undefined if there is none */
function run(
  program: string,
  words: readonly string[],
  options: SpawnOptions,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { ...options, timeout: LONGEST_RUN_MS });
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      if (text.length < LONGEST_MESSAGE) text += piece;
    });
    child.on('error', (error) => {
      if (errnoOf(error) === 'ENOENT') resolve(undefined);
      else reject(systemFailure('', error));
    });
    child.on('close', (status) => {
      if (status === 0) resolve('');
      else resolve(reasonIn(text) || `${program} has failed`);
    });
  });
}

/** The first line without the name of the program in front. */
function reasonIn(text: string): string {
  const [line = ''] = text.trim().split('\n');
  return line.replace(/^\S*fusermount3?: (mount failed: )?/, '');
}

function socketPair(): readonly [number, number] {
  const pair = Buffer.alloc(8);
  const c = libc();
  if (c === undefined) {
    throw new PipelineError('UNSUPPORTED', { reason: 'the package koffi is not available' });
  }
  if (c.socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair) < 0) {
    throw systemFailure('', lastErrno());
  }
  return [pair.readInt32LE(0), pair.readInt32LE(4)];
}

/** The descriptor that was sent through a socket. */
function receiveDescriptor(socket: number): number {
  const byte = Buffer.alloc(1);
  const control = Buffer.alloc(CONTROL_LENGTH);
  const received = libc()?.recvmsg(
    socket,
    {
      ...{ name: null, nameLength: 0, parts: [{ base: byte, length: 1 }], partCount: 1 },
      ...{ control, controlLength: CONTROL_LENGTH, flags: 0 },
    },
    MSG_DONTWAIT | MSG_CMSG_CLOEXEC,
  );
  const isThere = control.readInt32LE(12) === SCM_RIGHTS;
  if (received !== 1 || !isThere) {
    throw new PipelineError('UNAVAILABLE', { reason: 'fusermount3 has sent no descriptor' });
  }
  return control.readInt32LE(CONTROL_HEADER);
}
