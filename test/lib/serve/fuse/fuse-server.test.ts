import test from 'ava';
import { FuseFlag } from '../../../../formats/fuse-protocol.ts';
import { PipelineError } from '../../../../lib/errors.ts';
import { serveFuseDevice } from '../../../../lib/serve/fuse/fuse-server.ts';
import {
  fields,
  initRequest,
  readRequest,
  request,
  text,
  u32,
  u64,
} from '../../../helpers/fuse-bytes.ts';
import { createScriptedKernel, serveToScript } from '../../../helpers/scripted-kernel.ts';
import {
  createToyFileSystem,
  PATTERN_BYTES,
  patternByte,
  SPARSE_BYTES,
  type ToyFileSystem,
} from '../../../helpers/toy-file-system.ts';

const E = { NOENT: 2, IO: 5, NXIO: 6, INVAL: 22, NOTTY: 25, ROFS: 30 } as const;
const VALID = 0x7fff_ffff;
const toy = createToyFileSystem();

function inodeOf(name: string, fileSystem: ToyFileSystem = toy): number {
  const found = fileSystem.lookup(1, Buffer.from(name));
  if (found === undefined || found instanceof Promise) throw new Error(`no ${name}`);
  return found.inode;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const HELLO = fields(
  ...[u64(inodeOf('hello')), u64(6), u64(1), u64(-2), u64(-2), u64(-2)],
  ...[u32(765_432_109), u32(765_432_109), u32(765_432_109), u32(0o100644), u32(1)],
  ...[u32(12), u32(34), u32(0), u32(4096), u32(0)],
);

/** Lets everything happen that is under way. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

test('INIT is answered with what we can do, and the mount has started', async (t) => {
  const kernel = createScriptedKernel();
  const server = serveFuseDevice(kernel.device, toy);
  const { unique, errno, body } = kernel.answerTo(initRequest({ unique: 2n ** 64n - 1n }));
  await server.started;
  t.deepEqual({ unique, errno }, { unique: 2n ** 64n - 1n, errno: 0 });
  t.is(body.length, 64);
  t.is(body.readUInt32LE(0), 7);
  t.is(body.readUInt16LE(28), 256, 'requests of 1 MiB');
});

test('a kernel of a later generation is told ours, and may ask again', async (t) => {
  const kernel = createScriptedKernel();
  const server = serveFuseDevice(kernel.device, toy);
  t.is(kernel.answerTo(initRequest({ major: 8 })).body.readUInt32LE(0), 7);
  t.is(kernel.answerTo(request({ opcode: 3 })).errno, E.IO);
  kernel.ask(initRequest());
  await server.started;
  t.is(kernel.answerTo(request({ opcode: 3 })).errno, 0);
});

test('a kernel that is too old is refused in words', async (t) => {
  const kernel = createScriptedKernel();
  const server = serveFuseDevice(kernel.device, toy);
  t.is(kernel.answerTo(initRequest({ minor: 22 })).errno, 71);
  const error = await t.throwsAsync(server.started);
  t.is(error?.message, 'mount: the kernel speaks FUSE 7.22, at least 7.23 is needed');
});

test('a mount that ends before it was used has not started', async (t) => {
  const kernel = createScriptedKernel();
  const server = serveFuseDevice(kernel.device, toy);
  kernel.end();
  await t.throwsAsync(server.started, { message: 'mount: unmounted before it was used' });
  t.is(await server.ended, 'unmounted');
});

test('LOOKUP gives the entry, and for unknown names none', (t) => {
  const { kernel } = serveToScript(toy);
  const found = kernel.answerTo(request({ opcode: 1, unique: 7 }, text('hello\0')));
  const head = [u64(inodeOf('hello')), u64(0), u64(VALID), u64(VALID), u64(0)];
  t.is(hex(found.body), hex(fields(...head, HELLO)));
  t.is(found.unique, 7n);
  const { errno, body } = kernel.answerTo(request({ opcode: 1 }, text('nobody\0')));
  t.deepEqual(
    { errno, inode: body.readBigUInt64LE(0), size: body.length },
    { errno: 0, inode: 0n, size: 128 },
  );
});

test('LOOKUP of a name that is too long for any folder is ENAMETOOLONG', (t) => {
  const { kernel } = serveToScript(toy);
  const lookup = (length: number) =>
    kernel.answerTo(request({ opcode: 1 }, text(`${'n'.repeat(length)}\0`))).errno;
  t.deepEqual([lookup(255), lookup(256)], [0, 36]);
});

test('GETATTR gives the attributes', (t) => {
  const { kernel } = serveToScript(toy);
  const body = [u32(0), u32(0), u64(0)];
  const answer = kernel.answerTo(request({ opcode: 3, inode: inodeOf('hello') }, ...body));
  t.is(hex(answer.body), hex(fields(u64(VALID), u64(0), HELLO)));
});

test('an inode that is not there is ENOENT and no news; one that cannot be ours is ESTALE', (t) => {
  const { kernel, failures } = serveToScript(toy);
  t.is(kernel.answerTo(request({ opcode: 3, inode: 5 })).errno, E.NOENT);
  t.is(kernel.answerTo(request({ opcode: 3, inode: 2n ** 60n })).errno, 116);
  t.deepEqual(failures, []);
});

test('READLINK gives the target as it is', (t) => {
  const { kernel } = serveToScript(toy);
  const answer = kernel.answerTo(request({ opcode: 5, inode: inodeOf('link') }));
  t.is(answer.body.toString(), 'hello');
});

test('a target that no page holds is ENAMETOOLONG', (t) => {
  const { kernel } = serveToScript({ ...toy, readLink: () => new Uint8Array(4096) });
  t.is(kernel.answerTo(request({ opcode: 5, inode: inodeOf('link') })).errno, 36);
});

test('a kernel that can do without opening is told ENOSYS, another one gets a file', (t) => {
  const able = serveToScript(toy).kernel;
  const unable = serveToScript(toy, FuseFlag.ASYNC_READ).kernel;
  for (const opcode of [14, 27]) {
    t.is(able.answerTo(request({ opcode }, u32(0), u32(0))).errno, 38);
    const opened = unable.answerTo(request({ opcode }, u32(0), u32(0)));
    t.is(hex(opened.body), hex(fields(u64(0), u32(2 | 8), u32(0))));
  }
});

test('READ gives exactly the bytes that were asked for, fewer only at the end', (t) => {
  const { kernel } = serveToScript(toy);
  const inode = inodeOf('pattern');
  const read = (offset: number, size: number): Buffer =>
    kernel.answerTo(readRequest({ opcode: 15, inode }, offset, size)).body;
  const expected = Uint8Array.from({ length: 100_000 }, (_, i) => patternByte(77 + i));
  t.is(hex(read(77, 100_000)), hex(expected));
  t.is(read(PATTERN_BYTES - 10, 4096).length, 10);
  t.is(read(PATTERN_BYTES, 4096).length, 0);
  t.is(read(PATTERN_BYTES + 1e6, 4096).length, 0);
});

test('STATFS tells blocks, rounded up', (t) => {
  const { kernel } = serveToScript(toy);
  const { body } = kernel.answerTo(request({ opcode: 17 }));
  t.is(body.readBigUInt64LE(0), 262_145n);
  t.is(body.length, 80);
});

test('attributes are measured, given, or refused where there is no room for them', (t) => {
  const { kernel } = serveToScript(toy);
  const inode = inodeOf('hello');
  const get = (room: number, name: string): ReturnType<typeof kernel.answerTo> =>
    kernel.answerTo(request({ opcode: 22, inode }, u32(room), u32(0), text(`${name}\0`)));
  t.is(hex(get(0, 'user.colour').body), hex(fields(u32(4), u32(0))));
  t.is(get(4, 'user.colour').body.toString(), 'blue');
  t.is(get(3, 'user.colour').errno, 34);
  t.is(get(10, 'user.other').errno, 61);
  t.is(get(10, 'user.empty').body.length, 0);
  const list = (room: number): ReturnType<typeof kernel.answerTo> =>
    kernel.answerTo(request({ opcode: 23, inode }, u32(room), u32(0)));
  t.is(hex(list(0).body), hex(fields(u32(23), u32(0))));
  t.is(list(23).body.toString(), 'user.colour\0user.empty\0');
  t.is(list(22).errno, 34);
});

test('a value that Linux has no room for is E2BIG', (t) => {
  const { kernel } = serveToScript({ ...toy, extendedAttribute: () => new Uint8Array(65537) });
  const asked = request({ opcode: 22, inode: 100 }, u32(0), u32(0), text('user.a\0'));
  t.is(kernel.answerTo(asked).errno, 7);
});

test('ioctl tells flags of files, and knows no other questions', (t) => {
  const { kernel } = serveToScript(toy);
  const ask = (command: number, size: number): ReturnType<typeof kernel.answerTo> =>
    kernel.answerTo(
      request(
        { opcode: 39, inode: inodeOf('hello') },
        ...[u64(0), u32(0), u32(command), u64(0), u32(0), u32(size)],
      ),
    );
  const nothing = fields(u64(0), u64(0));
  t.is(hex(ask(0x8008_6601, 8).body), hex(fields(nothing, u64(0x50))));
  t.is(hex(ask(0x8008_6601, 4).body), hex(fields(nothing, u32(0x50))));
  t.is(hex(ask(0x8004_7210, 4).body), hex(fields(nothing, u32(0x22))));
  const extended = fields(u32(0x88), u32(0), u32(0), u32(77), new Uint8Array(12));
  t.is(hex(ask(0x801c_581f, 28).body), hex(fields(nothing, extended)));
  for (const [command, size] of [
    [0x801c_581f, 27],
    [0x8008_6601, 0xffff_ffff],
    [0x5401, 60],
  ]) {
    t.is(ask(command, size).errno, E.NOTTY);
  }
});

test('LSEEK finds data and holes', async (t) => {
  const { kernel } = serveToScript(toy);
  const seek = async (offset: number, whence: number): Promise<number> => {
    const asked = [u64(0), u64(offset), u32(whence), u32(0)];
    kernel.ask(request({ opcode: 46, inode: inodeOf('sparse') }, ...asked));
    await turn();
    const { errno, body } = kernel.answers[kernel.answers.length - 1];
    return errno === 0 ? Number(body.readBigUInt64LE(0)) : -errno;
  };
  const MIB = 2 ** 20;
  t.is(await seek(5, 3), 5);
  t.is(await seek(5, 4), MIB);
  t.is(await seek(2 * MIB, 3), 5 * MIB);
  t.is(await seek(2 * MIB, 4), 2 * MIB);
  t.is(await seek(5 * MIB, 4), 6 * MIB);
  t.is(await seek(7 * MIB, 3), -E.NXIO);
  t.is(await seek(SPARSE_BYTES, 4), -E.NXIO);
  t.is(await seek(0, 0), -E.INVAL);
});

test('whatever would change something is EROFS, what is not known ENOSYS', (t) => {
  const { kernel } = serveToScript(toy);
  for (const opcode of [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51]) {
    t.is(kernel.answerTo(request({ opcode })).errno, E.ROFS, String(opcode));
  }
  for (const opcode of [0, 7, 20, 25, 30, 31, 34, 37, 40, 50, 52, 63, 64, 4096, 0xffff_ffff]) {
    t.is(kernel.answerTo(request({ opcode })).errno, 38, String(opcode));
  }
  for (const opcode of [18, 29, 38]) t.is(kernel.answerTo(request({ opcode })).errno, 0);
});

/** Names, inodes, cookies, and which inode an entry with attributes names. */
function linesOf(body: Buffer, isPlus: boolean): (readonly [string, number, number, number])[] {
  const lines: (readonly [string, number, number, number])[] = [];
  for (let at = 0; at < body.length; ) {
    const line = isPlus ? at + 128 : at;
    const size = body.readUInt32LE(line + 16);
    const name = body.toString('latin1', line + 24, line + 24 + size);
    const number = (from: number): number => Number(body.readBigUInt64LE(from));
    lines.push([name, number(line), number(line + 8), isPlus ? number(at) : 0]);
    at = line + Math.ceil((24 + size) / 8) * 8;
  }
  return lines;
}

test('a folder is listed with itself and its parent, from any place on', (t) => {
  const { kernel } = serveToScript(toy);
  const inode = inodeOf('folder');
  const list = (offset: number, size = 4096): (readonly [string, number, number, number])[] =>
    linesOf(kernel.answerTo(readRequest({ opcode: 28, inode }, offset, size)).body, false);
  const inner = inode + 1;
  const all = [
    ['.', inode, 1, 0],
    ['..', 1, 2, 0],
    ['inner', inner, 3, 0],
  ] as const;
  t.deepEqual(list(0), [...all]);
  t.deepEqual(list(1), all.slice(1));
  t.deepEqual(list(2), all.slice(2));
  t.deepEqual(list(3), []);
  t.deepEqual(list(0, 64), all.slice(0, 2));
  t.is(kernel.answerTo(readRequest({ opcode: 28, inode }, 0, 31)).errno, E.INVAL);
});

test('READDIRPLUS names the inodes whose attributes are known, and only those', (t) => {
  const { kernel } = serveToScript(toy);
  const { body } = kernel.answerTo(readRequest({ opcode: 44, inode: 1 }, 0, 16384));
  const named = new Map(linesOf(body, true).map(([name, inode, , node]) => [name, [inode, node]]));
  t.deepEqual(named.get('.'), [1, 0]);
  t.deepEqual(named.get('..'), [1, 0]);
  t.deepEqual(named.get('hello'), [inodeOf('hello'), inodeOf('hello')]);
  t.deepEqual(named.get('folder'), [inodeOf('folder'), 0]);
});

test('a long listing comes in parts that miss nothing', (t) => {
  const { kernel } = serveToScript(toy);
  const inode = inodeOf('many');
  const names: string[] = [];
  for (let offset = 0; ; ) {
    const lines = linesOf(
      kernel.answerTo(readRequest({ opcode: 44, inode }, offset, 2 ** 20)).body,
      true,
    );
    if (lines.length === 0) break;
    names.push(...lines.map(([name]) => name));
    offset = lines[lines.length - 1][2];
  }
  t.is(names.length, 2002);
  t.is(new Set(names).size, 2002);
});

test('of a listing that fails midway the beginning is told, and the rest fails', (t) => {
  const broken: ToyFileSystem = {
    ...toy,
    list(_, from, take) {
      if (from === 0) take({ name: text('first'), inode: 9, mode: 0o100644, next: 3 });
      throw new PipelineError('IO', { reason: 'cut off' });
    },
  };
  const { kernel, failures } = serveToScript(broken);
  const first = kernel.answerTo(readRequest({ opcode: 28 }, 0, 4096));
  t.deepEqual(
    linesOf(first.body, false).map(([name]) => name),
    ['.', '..', 'first'],
  );
  t.is(kernel.answerTo(readRequest({ opcode: 28 }, 3, 4096)).errno, E.IO);
  t.is(failures.length, 1);
});
