/**
 * What each request of a kernel asks of a mounted file system, and how the result becomes an answer.
 * Used by the FUSE server, which does the waiting. Spec: spec/mount.md, "The FUSE server".
 */
import { Errno, FuseFlag, FuseOpcode, FuseOpenFlag } from '../../../formats/fuse-protocol.ts';
import {
  FUSE_ENTRY_SIZE,
  FUSE_GETATTR_SIZE,
  FUSE_IOCTL_SIZE,
  FUSE_OPEN_SIZE,
  FUSE_SEEK_SIZE,
  FUSE_STATFS_SIZE,
  FUSE_XATTR_SIZE,
  LONGEST_NAME,
  writeEntry,
  writeGetattr,
  writeIoctl,
  writeOpen,
  writeSeek,
  writeStatfs,
  writeXattrSize,
} from '../../../formats/fuse-replies.ts';
import {
  type FuseRequest,
  parseAttributeName,
  parseAttributeRoom,
  parseIoctl,
  parseName,
  parseRead,
  parseSeek,
} from '../../../formats/fuse-requests.ts';
import type { BlobBytes } from '../../read/blob-reader.ts';
import type { FileAttributes, InodeFlagValues } from './file-system.ts';
import { BODY } from './fuse-answers.ts';
import type { AnswerOutcome } from './fuse-device.ts';
import { LISTING, LISTING_PLUS } from './fuse-listings.ts';
import type { FuseOperation, FuseService } from './fuse-service.ts';
import { isFlagQuestion, writeInodeFlags } from './inode-ioctls.ts';
import { seekExtent } from './seek-extent.ts';

const { EINVAL, ENAMETOOLONG, ENOSYS } = Errno;
/** Longer targets do not fit into the page that the kernel has for them. */
const LONGEST_TARGET = 4095;
/** Longer values and lists are more than Linux has room for. */
const LONGEST_XATTR = 65536;

const lookup: FuseOperation<FileAttributes | undefined> = {
  ask({ fileSystem }, request, options) {
    const name = parseName(request);
    if (name === undefined) return EINVAL;
    if (name.length > LONGEST_NAME) return ENAMETOOLONG;
    return fileSystem.lookup(request.inode, name, options);
  },
  answer({ answers }, request, found) {
    writeEntry(answers.memory, BODY, found);
    return answers.filled(request, FUSE_ENTRY_SIZE);
  },
  finish({ fileSystem }, found, outcome) {
    if (outcome !== 'sent' && found !== undefined) fileSystem.forget(found.inode, 1);
  },
};

const getattr: FuseOperation<FileAttributes> = {
  ask: ({ fileSystem }, request, options) => fileSystem.attributes(request.inode, options),
  answer({ answers }, request, attributes) {
    writeGetattr(answers.memory, BODY, attributes);
    return answers.filled(request, FUSE_GETATTR_SIZE);
  },
};

const readlink: FuseOperation<Uint8Array> = {
  ask: ({ fileSystem }, request, options) => fileSystem.readLink(request.inode, options),
  answer({ answers }, request, target) {
    if (target.length > LONGEST_TARGET) return answers.fail(request, Errno.ENAMETOOLONG);
    return answers.pieces(request, [target], target.length);
  },
};

const read: FuseOperation<BlobBytes> = {
  ask({ fileSystem }, request, options) {
    const asked = parseRead(request);
    if (asked === undefined) return EINVAL;
    const range = { offset: asked.offset, length: asked.size };
    return fileSystem.read(request.inode, range, options);
  },
  answer: ({ answers }, request, { pieces, length }) => answers.pieces(request, pieces, length),
  finish: (_, bytes) => bytes.release(),
};

const statfs: FuseOperation<undefined> = {
  ask: () => undefined,
  answer({ answers, fileSystem }, request) {
    writeStatfs(answers.memory, BODY, fileSystem.size);
    return answers.filled(request, FUSE_STATFS_SIZE);
  },
};

/** Bytes where there is room for them, their number where it was asked for. */
function answerXattr(
  { answers }: FuseService,
  request: FuseRequest,
  pieces: readonly Uint8Array[],
): AnswerOutcome {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const room = parseAttributeRoom(request);
  if (size > LONGEST_XATTR) return answers.fail(request, Errno.E2BIG);
  if (room === 0) {
    writeXattrSize(answers.memory, BODY, size);
    return answers.filled(request, FUSE_XATTR_SIZE);
  }
  if (room === undefined || size > room) return answers.fail(request, Errno.ERANGE);
  return answers.pieces(request, pieces, size);
}

const getxattr: FuseOperation<Uint8Array | undefined> = {
  ask({ fileSystem }, request, options) {
    const name = parseAttributeName(request);
    return name === undefined ? EINVAL : fileSystem.extendedAttribute(request.inode, name, options);
  },
  answer(service, request, value) {
    if (value === undefined) return service.answers.fail(request, Errno.ENODATA);
    return answerXattr(service, request, [value]);
  },
};

const NUL = new Uint8Array(1);

const listxattr: FuseOperation<readonly Uint8Array[]> = {
  ask({ fileSystem }, request, options) {
    if (parseAttributeRoom(request) === undefined) return EINVAL;
    return fileSystem.extendedAttributeNames(request.inode, options);
  },
  answer: (service, request, names) =>
    answerXattr(
      service,
      request,
      names.flatMap((name) => [name, NUL]),
    ),
};

const ioctl: FuseOperation<InodeFlagValues> = {
  ask({ fileSystem }, request, options) {
    const asked = parseIoctl(request);
    if (asked === undefined) return EINVAL;
    if (!isFlagQuestion(asked)) return Errno.ENOTTY;
    return fileSystem.inodeFlags(request.inode, options);
  },
  answer({ answers }, request, flags) {
    const asked = parseIoctl(request);
    if (asked === undefined) return answers.fail(request, EINVAL);
    writeIoctl(answers.memory, BODY);
    writeInodeFlags(answers.memory, BODY + FUSE_IOCTL_SIZE, asked, flags);
    return answers.filled(request, FUSE_IOCTL_SIZE + asked.outSize);
  },
};

const lseek: FuseOperation<{ readonly offset: number }> = {
  ask({ fileSystem }, request, options) {
    const asked = parseSeek(request);
    return asked === undefined ? EINVAL : seekExtent(fileSystem, request.inode, asked, options);
  },
  answer({ answers }, request, { offset }) {
    writeSeek(answers.memory, BODY, offset);
    return answers.filled(request, FUSE_SEEK_SIZE);
  },
};

/** A kernel that can do without opening is told so once, and never asks again. */
function opening(withoutRequests: number): FuseOperation<undefined> {
  return {
    ask: ({ kernelFlags }) => ((kernelFlags & withoutRequests) === 0 ? undefined : ENOSYS),
    answer({ answers }, request) {
      writeOpen(answers.memory, BODY, FuseOpenFlag.KEEP_CACHE | FuseOpenFlag.CACHE_DIR);
      return answers.filled(request, FUSE_OPEN_SIZE);
    },
  };
}

const nothing: FuseOperation<undefined> = {
  ask: () => undefined,
  answer: ({ answers }, request) => answers.done(request),
};

const refusedWrite: FuseOperation<undefined> = {
  ask: () => Errno.EROFS,
  answer: ({ answers }, request) => answers.done(request),
};

const WRITING: readonly number[] = [
  ...[FuseOpcode.SETATTR, FuseOpcode.SYMLINK, FuseOpcode.MKNOD, FuseOpcode.MKDIR],
  ...[FuseOpcode.UNLINK, FuseOpcode.RMDIR, FuseOpcode.RENAME, FuseOpcode.LINK],
  ...[FuseOpcode.WRITE, FuseOpcode.SETXATTR, FuseOpcode.REMOVEXATTR, FuseOpcode.CREATE],
  ...[FuseOpcode.FALLOCATE, FuseOpcode.RENAME2, FuseOpcode.COPY_FILE_RANGE, FuseOpcode.TMPFILE],
];

/** By opcode. What is not here the kernel does itself, or does without, once it was told ENOSYS. */
export const FUSE_OPERATIONS: readonly (FuseOperation<unknown> | undefined)[] = table();

function table(): readonly (FuseOperation<unknown> | undefined)[] {
  const operations: (FuseOperation<unknown> | undefined)[] = Array(64).fill(undefined);
  const add = <Value>(opcode: number, operation: FuseOperation<Value>): void => {
    // Values go from `ask` to the other functions of the same object only.
    operations[opcode] = operation as FuseOperation<unknown>;
  };
  for (const opcode of WRITING) add(opcode, refusedWrite);
  add(FuseOpcode.LOOKUP, lookup);
  add(FuseOpcode.GETATTR, getattr);
  add(FuseOpcode.READLINK, readlink);
  add(FuseOpcode.OPEN, opening(FuseFlag.NO_OPEN_SUPPORT));
  add(FuseOpcode.READ, read);
  add(FuseOpcode.STATFS, statfs);
  add(FuseOpcode.RELEASE, nothing);
  add(FuseOpcode.GETXATTR, getxattr);
  add(FuseOpcode.LISTXATTR, listxattr);
  add(FuseOpcode.OPENDIR, opening(FuseFlag.NO_OPENDIR_SUPPORT));
  add(FuseOpcode.READDIR, LISTING);
  add(FuseOpcode.RELEASEDIR, nothing);
  add(FuseOpcode.DESTROY, nothing);
  add(FuseOpcode.IOCTL, ioctl);
  add(FuseOpcode.READDIRPLUS, LISTING_PLUS);
  add(FuseOpcode.LSEEK, lseek);
  return operations;
}
