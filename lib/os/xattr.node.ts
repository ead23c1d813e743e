/**
 * Extended attributes of files, directories and links. Reading yields nothing where koffi or the
 * file system lacks them; writing then says so. Used by the folder walk and by extraction.
 */
import { constants } from 'node:os';
import { PipelineError } from '../errors.ts';
import { type Libc, lastErrno, libc, terminated } from './libc.node.ts';
import { systemFailure } from './system-error.node.ts';
import { descriptorPath, type Target } from './target.node.ts';

/** The kernel's own ceiling of a value and of a list of names. */
const LARGEST = 65536;
/** Tried first, because the kernel clears as much memory as it is offered. */
const USUAL = 512;
const value = Buffer.alloc(LARGEST);
const { errno } = constants;
const ABSENT = new Set<number>([errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS]);
const STEP_LIST = 'list extended attributes';
const STEP_READ = 'read extended attribute';

const NONE: readonly Buffer[] = [];

/** Names of all attributes, in the order of the file system. @throws PipelineError */
export function listXattrs(target: Target): readonly Buffer[] {
  const c = libc();
  if (c === undefined) return NONE;
  // Most files have none, and then this call is all there is to do.
  if (typeof target === 'number' && c.flistxattr(target, value, USUAL) === 0) return NONE;
  const length = sizedLengthOf(STEP_LIST, (size) =>
    onTarget(target, {
      byDescriptor: (fd) => c.flistxattr(fd, value, size),
      byPath: (path) => c.llistxattr(path, value, size),
      followed: (path) => c.listxattr(path, value, size),
    }),
  );
  return length === undefined ? NONE : textsIn(value, length);
}

/** The NUL-terminated texts in the first `length` bytes, copied. */
function textsIn(bytes: Buffer, length: number): readonly Buffer[] {
  const texts: Buffer[] = [];
  for (let start = 0; start < length; ) {
    const end = bytes.indexOf(0, start);
    texts.push(Buffer.from(bytes.subarray(start, end)));
    start = end + 1;
  }
  return texts;
}

/** Value of an attribute, or undefined if there is none of that name. @throws PipelineError */
export function getXattr(target: Target, name: string | Uint8Array): Buffer | undefined {
  const c = libc();
  if (c === undefined) return undefined;
  const text = terminated(bytesOf(name), 1);
  const length = sizedLengthOf(STEP_READ, (size) =>
    onTarget(target, {
      byDescriptor: (fd) => c.fgetxattr(fd, text, value, size),
      byPath: (path) => c.lgetxattr(path, text, value, size),
      followed: (path) => c.getxattr(path, text, value, size),
    }),
  );
  return length === undefined ? undefined : Buffer.from(value.subarray(0, length));
}

/** Creates or replaces an attribute. @throws PipelineError `UNSUPPORTED` without koffi or support */
export function setXattr(target: Target, name: string | Uint8Array, content: Uint8Array): void {
  const step = 'set extended attribute';
  const c = needed(step);
  const text = terminated(bytesOf(name), 1);
  const size = content.length;
  const result = onTarget(target, {
    byDescriptor: (fd) => c.fsetxattr(fd, text, content, size, 0),
    byPath: (path) => c.lsetxattr(path, text, content, size, 0),
    followed: (path) => c.setxattr(path, text, content, size, 0),
  });
  if (result < 0) throw systemFailure(step, -result);
}

/** Removes an attribute; succeeds if it is not there. @throws PipelineError as `setXattr` */
export function removeXattr(target: Target, name: string | Uint8Array): void {
  const step = 'remove extended attribute';
  const c = needed(step);
  const text = terminated(bytesOf(name), 1);
  lengthOf(step, () =>
    onTarget(target, {
      byDescriptor: (fd) => c.fremovexattr(fd, text),
      byPath: (path) => c.lremovexattr(path, text),
      followed: (path) => c.removexattr(path, text),
    }),
  );
}

interface Variants {
  readonly byDescriptor: (fd: number) => number;
  readonly byPath: (path: Buffer) => number;
  readonly followed: (path: Buffer) => number;
}

/** Result of the fitting variant, or a negative error number. */
function onTarget(target: Target, variants: Variants): number {
  if (typeof target !== 'number') return outcome(variants.byPath(terminated(target)));
  const result = outcome(variants.byDescriptor(target));
  // A descriptor opened with O_PATH: only its path in /proc is accepted.
  if (result !== -errno.EBADF) return result;
  return outcome(variants.followed(terminated(descriptorPath(target))));
}

function outcome(result: number): number {
  return result < 0 ? -lastErrno() : result;
}

function sizedLengthOf(step: string, read: (size: number) => number): number | undefined {
  return lengthOf(step, () => {
    const result = read(USUAL);
    return result === -errno.ERANGE ? read(LARGEST) : result;
  });
}

function lengthOf(step: string, read: () => number): number | undefined {
  const result = read();
  if (result >= 0) return result;
  if (ABSENT.has(-result)) return undefined;
  throw systemFailure(step, -result);
}

function needed(step: string): Libc {
  const c = libc();
  if (c !== undefined) return c;
  throw new PipelineError('UNSUPPORTED', { step, reason: 'extended attributes need koffi' });
}

function bytesOf(name: string | Uint8Array): Uint8Array {
  return typeof name === 'string' ? Buffer.from(name) : name;
}
