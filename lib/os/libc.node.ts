/**
 * The only file that declares functions of the C library (through koffi). Used by its neighbours in
 * lib/os, which give them safe types; a wrong declaration here is a crash, not an exception. Symbols
 * are looked up in the global scope of the process, so that fakeroot and pseudo are honoured.
 */
import { constants, endianness } from 'node:os';
import { type Koffi, loadKoffi } from './koffi.node.ts';
import { systemFailure } from './system-error.node.ts';

/** Memory of ours that a function reads or fills during the call. */
type Memory = Uint8Array | null;
/** Address in foreign memory, as koffi hands it out; null for none. */
export type Address = unknown;

/** One of several stretches of memory that are filled in order. */
export interface MemoryPart {
  readonly base: Memory;
  readonly length: number;
}

/** A message to receive: bytes, and what comes beside them. */
export interface MessageHeader {
  readonly name: null;
  readonly nameLength: 0;
  readonly parts: readonly MemoryPart[];
  readonly partCount: number;
  readonly control: Memory;
  readonly controlLength: number;
  readonly flags: 0;
}

/** Functions that some C libraries lack. */
interface NewerLibc {
  lseek(fd: number, offset: number, whence: number): number;
  statx(directory: number, path: Memory, flags: number, mask: number, out: Memory): number;
  renameat2(fromDir: number, from: Memory, toDir: number, to: Memory, flags: number): number;
  syncfs(fd: number): number;
  fallocate(fd: number, mode: number, offset: number, length: number): number;
  getdents64(fd: number, out: Memory, size: number): number;
  sync_file_range(fd: number, offset: number, length: number, flags: number): number;
  posix_fadvise(fd: number, offset: number, length: number, advice: number): number;
  preadv2(
    fd: number,
    vector: readonly MemoryPart[],
    count: number,
    offset: number,
    flags: number,
  ): number;
  copy_file_range(
    from: number,
    fromOffset: Memory,
    to: number,
    toOffset: Memory,
    size: number,
    flags: number,
  ): number;
}

export interface Libc extends Partial<NewerLibc> {
  openat(directory: number, path: Memory, flags: number, type?: 'uint32_t', mode?: number): number;
  readlinkat(directory: number, path: Memory, out: Memory, size: number): number;
  mkdirat(directory: number, path: Memory, mode: number): number;
  symlinkat(target: Memory, directory: number, path: Memory): number;
  linkat(fromDir: number, from: Memory, toDir: number, to: Memory, flags: number): number;
  renameat(fromDir: number, from: Memory, toDir: number, to: Memory): number;
  unlinkat(directory: number, path: Memory, flags: number): number;
  fchownat(directory: number, path: Memory, uid: number, gid: number, flags: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  lgetxattr(path: Memory, name: Memory, value: Memory, size: number): number;
  getxattr(path: Memory, name: Memory, value: Memory, size: number): number;
  fgetxattr(fd: number, name: Memory, value: Memory, size: number): number;
  llistxattr(path: Memory, list: Memory, size: number): number;
  listxattr(path: Memory, list: Memory, size: number): number;
  flistxattr(fd: number, list: Memory, size: number): number;
  lsetxattr(path: Memory, name: Memory, value: Memory, size: number, flags: number): number;
  setxattr(path: Memory, name: Memory, value: Memory, size: number, flags: number): number;
  fsetxattr(fd: number, name: Memory, value: Memory, size: number, flags: number): number;
  lremovexattr(path: Memory, name: Memory): number;
  removexattr(path: Memory, name: Memory): number;
  fremovexattr(fd: number, name: Memory): number;
  utimensat(directory: number, path: Memory, times: Memory, flags: number): number;
  futimens(fd: number, times: Memory): number;
  ioctl(fd: number, request: number, type: 'void *', argument: Memory): number;
  ioctl(fd: number, request: number, type: 'uint64_t', argument: number): number;
  mknod(path: Memory, mode: number, device: bigint): number;
  getpwuid(uid: number): Address;
  getgrgid(gid: number): Address;
  getpwnam(name: Memory): Address;
  getgrnam(name: Memory): Address;
  memcpy(to: Memory, from: Memory, size: number): void;
  strlen(text: Address): number;
  socket(domain: number, type: number, protocol: number): number;
  socketpair(domain: number, type: number, protocol: number, out: Memory): number;
  pthread_sigmask(how: number, set: Memory, out: Memory): number;
  sendto(fd: number, data: Memory, size: number, flags: number, to: Memory, toSize: number): number;
  read(fd: number, out: Memory, size: number): number;
  write(fd: number, data: Memory, size: number): number;
  pipe2(out: Memory, flags: number): number;
  dup3(from: number, to: number, flags: number): number;
  fcntl(fd: number, command: number, type: 'int', argument: number): number;
  close(fd: number): number;
  _exit(status: number): void;
  recvmsg(fd: number, message: MessageHeader, flags: number): number;
  mount(source: Memory, target: Memory, type: Memory, flags: number, options: Memory): number;
  umount2(target: Memory, flags: number): number;
  flock(fd: number, operation: number): number;
}

const PROTOTYPES: { readonly [Name in keyof Libc]-?: string } = {
  statx: 'int statx(int, const void *, int, uint32_t, void *)',
  lseek: 'int64_t lseek64(int, int64_t, int)',
  openat: 'int openat(int, const void *, int, ...)',
  mkdirat: 'int mkdirat(int, const void *, uint32_t)',
  symlinkat: 'int symlinkat(const void *, int, const void *)',
  linkat: 'int linkat(int, const void *, int, const void *, int)',
  renameat: 'int renameat(int, const void *, int, const void *)',
  unlinkat: 'int unlinkat(int, const void *, int)',
  fchownat: 'int fchownat(int, const void *, uint32_t, uint32_t, int)',
  readlinkat: 'long readlinkat(int, const void *, void *, size_t)',
  getdents64: 'long getdents64(int, void *, size_t)',
  lgetxattr: 'long lgetxattr(const void *, const void *, void *, size_t)',
  getxattr: 'long getxattr(const void *, const void *, void *, size_t)',
  fgetxattr: 'long fgetxattr(int, const void *, void *, size_t)',
  llistxattr: 'long llistxattr(const void *, void *, size_t)',
  listxattr: 'long listxattr(const void *, void *, size_t)',
  flistxattr: 'long flistxattr(int, void *, size_t)',
  lsetxattr: 'int lsetxattr(const void *, const void *, const void *, size_t, int)',
  setxattr: 'int setxattr(const void *, const void *, const void *, size_t, int)',
  fsetxattr: 'int fsetxattr(int, const void *, const void *, size_t, int)',
  lremovexattr: 'int lremovexattr(const void *, const void *)',
  removexattr: 'int removexattr(const void *, const void *)',
  fremovexattr: 'int fremovexattr(int, const void *)',
  utimensat: 'int utimensat(int, const void *, const void *, int)',
  futimens: 'int futimens(int, const void *)',
  ioctl: 'int ioctl(int, ulong, ...)',
  mknod: 'int mknod(const void *, uint32_t, uint64_t)',
  flock: 'int flock(int, int)',
  syncfs: 'int syncfs(int)',
  renameat2: 'int renameat2(int, const void *, int, const void *, uint32_t)',
  fallocate: 'int fallocate64(int, int, int64_t, int64_t)',
  sync_file_range: 'int sync_file_range(int, int64_t, int64_t, uint32_t)',
  posix_fadvise: 'int posix_fadvise64(int, int64_t, int64_t, int)',
  preadv2: 'long preadv2(int, const iovec *, int, int64_t, int)',
  copy_file_range: 'long copy_file_range(int, void *, int, void *, size_t, uint32_t)',
  getpwuid: 'void *getpwuid(uint32_t)',
  getgrgid: 'void *getgrgid(uint32_t)',
  getpwnam: 'void *getpwnam(const void *)',
  getgrnam: 'void *getgrnam(const void *)',
  memcpy: 'void memcpy(void *, const void *, size_t)',
  strlen: 'size_t strlen(const void *)',
  socket: 'int socket(int, int, int)',
  socketpair: 'int socketpair(int, int, int, void *)',
  pthread_sigmask: 'int pthread_sigmask(int, const void *, void *)',
  sendto: 'long sendto(int, const void *, size_t, int, const void *, uint32_t)',
  read: 'long read(int, void *, size_t)',
  write: 'long write(int, const void *, size_t)',
  pipe2: 'int pipe2(void *, int)',
  dup3: 'int dup3(int, int, int)',
  fcntl: 'int fcntl(int, int, ...)',
  close: 'int close(int)',
  _exit: 'void _exit(int)',
  recvmsg: 'long recvmsg(int, msghdr *, int)',
  mount: 'int mount(const void *, const void *, const void *, ulong, const void *)',
  umount2: 'int umount2(const void *, int)',
};

const NEWER: ReadonlySet<string> = new Set<keyof NewerLibc>([
  'lseek',
  'statx',
  'renameat2',
  'syncfs',
  'fallocate',
  'getdents64',
  'sync_file_range',
  'posix_fadvise',
  'preadv2',
  'copy_file_range',
]);

type KoffiFunction = ReturnType<ReturnType<Koffi['load']>['func']>;
type AsyncCall = (...parameters: readonly unknown[]) => void;

let bound: { readonly libc: Libc | undefined } | undefined;

/**
 * The functions of the C library, or undefined without koffi. Functions that an older C library
 * lacks are absent.
 */
export function libc(): Libc | undefined {
  bound ??= { libc: bind() };
  return bound.libc;
}

/** Whether the C library can be called at all. */
export function nativeAvailable(): boolean {
  return libc() !== undefined;
}

function bind(): Libc | undefined {
  const koffi = loadKoffi();
  if (koffi === undefined || process.platform !== 'linux') return undefined;
  // The layouts and request numbers in this folder are those of 64-bit little-endian machines.
  if (koffi.sizeof('void *') !== 8 || endianness() !== 'LE') return undefined;
  const scope = koffi.load(null);
  koffi.struct('iovec', { base: 'void *', length: 'size_t' });
  koffi.struct('msghdr', {
    ...{ name: 'void *', nameLength: 'uint32_t', parts: 'iovec *', partCount: 'size_t' },
    ...{ control: 'void *', controlLength: 'size_t', flags: 'int' },
  });
  const functions: Record<string, unknown> = {};
  for (const [name, prototype] of Object.entries(PROTOTYPES)) {
    try {
      functions[name] = withErrno(koffi, scope.func(prototype));
    } catch {
      if (!NEWER.has(name)) return undefined;
    }
  }
  return functions as unknown as Libc;
}

let errnoOfLastCall = 0;

/**
 * The function, with its error number read as soon as it has failed. Even so V8 may have waited for
 * a lock in between, which can leave EAGAIN behind; a failed call has done nothing, so it is made
 * once more then. Where EAGAIN is the answer it stays the answer.
 */
function withErrno(koffi: Koffi, call: KoffiFunction): KoffiFunction {
  const wrapped = (...words: unknown[]): unknown => {
    const result: unknown = call(...words);
    if (!isFailure(result)) return result;
    errnoOfLastCall = koffi.errno();
    if (errnoOfLastCall !== constants.errno.EAGAIN) return result;
    const again: unknown = call(...words);
    if (isFailure(again)) errnoOfLastCall = koffi.errno();
    return again;
  };
  return Object.assign(wrapped, { async: call.async, info: call.info });
}

function isFailure(result: unknown): boolean {
  return typeof result === 'number' && result < 0;
}

/** The error number of the last call that failed. */
export function lastErrno(): number {
  return errnoOfLastCall;
}

/**
 * Result of a call that returns a negative number on failure.
 * @param step what was attempted, for the message.
 * @throws PipelineError without subject; the caller knows the name.
 */
export function check(result: number, step: string): number {
  if (result >= 0) return result;
  throw systemFailure(step, lastErrno());
}

/** Runs `syncfs` on a thread of koffi; resolves to whether it succeeded. The error number is lost. */
export function syncfsInBackground(call: NewerLibc['syncfs'], fd: number): Promise<boolean> {
  const { async: start } = call as unknown as { readonly async: AsyncCall };
  return new Promise((resolve, reject) => {
    start(fd, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      else resolve(result === 0);
    });
  });
}

/** The bytes of a NUL-terminated foreign text, copied; undefined for a null address. */
export function bytesAt(address: Address): Uint8Array | undefined {
  const koffi = loadKoffi();
  const length = address === null ? undefined : libc()?.strlen(address);
  if (koffi === undefined || length === undefined) return undefined;
  return Uint8Array.from(koffi.decode(address, 'uint8_t', length) as Iterable<number>);
}

/** A field of a foreign structure. @param offset in bytes. */
export function fieldAt<Value>(address: Address, offset: number, type: 'void *' | 'uint32_t') {
  return loadKoffi()?.decode(address, offset, type) as Value | undefined;
}

const LONGEST_TEXT = 8192;
const scratch = [Buffer.alloc(LONGEST_TEXT), Buffer.alloc(LONGEST_TEXT)] as const;

/**
 * `bytes` followed by a NUL, in memory that is reused by the next call with the same `slot`.
 * @throws PipelineError if there is a NUL inside or the text is longer than any path can be.
 */
export function terminated(bytes: Uint8Array, slot: 0 | 1 = 0): Buffer {
  if (bytes.length >= LONGEST_TEXT) throw systemFailure('use path', 'ENAMETOOLONG');
  if (bytes.includes(0)) throw systemFailure('use path', 'EINVAL');
  const memory = scratch[slot];
  memory.set(bytes);
  memory[bytes.length] = 0;
  return memory;
}
