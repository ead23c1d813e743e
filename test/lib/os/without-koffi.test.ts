// Every function of lib/os where koffi is not there. Each test file is a process of its own.
import { closeSync, fstatSync, lstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { listDirectory } from '../../../lib/os/directory.node.ts';
import { createFileCalls } from '../../../lib/os/file-calls.node.ts';
import { statDescriptor, statEntry, statPath } from '../../../lib/os/file-stat.node.ts';
import { syncFileSystem } from '../../../lib/os/file-system.node.ts';
import { punchHole } from '../../../lib/os/holes.node.ts';
import {
  createSubvolume,
  getFatAttributes,
  getInodeFlags,
  getProjectId,
  setInodeFlags,
  setProjectId,
} from '../../../lib/os/inode-flags.node.ts';
import { nativeAvailable } from '../../../lib/os/libc.node.ts';
import { makeFifo, makeNode, makeSocket } from '../../../lib/os/nodes.node.ts';
import { notify } from '../../../lib/os/notify.node.ts';
import { openEntry } from '../../../lib/os/open.node.ts';
import { exchange } from '../../../lib/os/rename.node.ts';
import { fileTime, setModificationTime } from '../../../lib/os/times.node.ts';
import { groupId, groupName, userId, userName } from '../../../lib/os/users.node.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../../lib/os/xattr.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

process.env.CASYNC_NATIVE = 'off';

function file(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = temporaryFolder(t);
  const path = Buffer.from(join(folder, 'file'));
  writeFileSync(path, '0123456789');
  const fd = openSync(path, 'r+');
  t.teardown(() => closeSync(fd));
  return { folder, path, fd };
}

test('the C library is not used', (t) => {
  t.false(nativeAvailable());
});

test('local stores make do with the calls of Node', (t) => {
  t.is(createFileCalls(), undefined);
});

test('attributes come from Node', (t) => {
  const { folder, path, fd } = file(t);
  const directory = openSync(folder, 'r');
  t.teardown(() => closeSync(directory));
  const node = lstatSync(path, { bigint: true });
  t.like(statPath(path), {
    mode: Number(node.mode),
    size: 10,
    mtimeNs: node.mtimeNs,
    inode: node.ino,
  });
  t.deepEqual(statDescriptor(fd), statPath(path));
  t.deepEqual(statEntry(directory, Buffer.from('file')), statPath(path));
  t.like(statPath(Buffer.from('/dev/null')), { rdevMajor: 1, rdevMinor: 3 });
  t.throws(() => statPath(Buffer.from('/nonexistent/x')), { message: /No such file or directory/ });
});

test('times are set to the microsecond', (t) => {
  const { folder, path, fd } = file(t);
  const link = Buffer.from(join(folder, 'link'));
  symlinkSync('nowhere', link);
  for (const target of [fd, path, link]) {
    const before = lstatSync(target === link ? link : path, { bigint: true });
    setModificationTime(target, fileTime(1234567890_123456789n));
    const { mtimeNs, atimeNs } = lstatSync(target === link ? link : path, { bigint: true });
    const distance = mtimeNs - 1234567890_123456789n;
    t.true(distance <= 1000n && distance >= -1000n, String(distance));
    const moved = atimeNs - before.atimeNs;
    t.true(moved <= 2000n && moved >= -2000n, String(moved));
  }
});

test('attributes beyond the mode read as absent', (t) => {
  const { path, fd } = file(t);
  t.deepEqual(listXattrs(path), []);
  t.is(getXattr(fd, 'user.x'), undefined);
  t.is(getInodeFlags(fd), undefined);
  t.is(getFatAttributes(fd), undefined);
  t.is(getProjectId(fd), undefined);
});

test('what cannot be done says that koffi is needed', (t) => {
  const { folder, path, fd } = file(t);
  const free = Buffer.from(join(folder, 'free'));
  const attempts = [
    () => setXattr(path, 'user.x', new Uint8Array(0)),
    () => removeXattr(path, 'user.x'),
    () => setInodeFlags(fd, 1, 1),
    () => setProjectId(fd, 1),
    () => createSubvolume(fd, Buffer.from('x')),
    () => makeNode(free, 0o020600, 1, 3),
    () => makeFifo(free, 0o600),
    () => makeSocket(free, 0o600),
  ];
  for (const attempt of attempts) t.throws(attempt, { code: 'UNSUPPORTED', message: /koffi/ });
});

test('what has another way says so', (t) => {
  const { path, fd } = file(t);
  t.false(exchange(path, path));
  t.false(punchHole(fd, 0, 5));
  t.is(syncFileSystem(fd), undefined);
  t.notThrows(() => notify('READY=1'));
});

test('users and groups come from the files', (t) => {
  t.is(userId(Buffer.from('daemon')), 1);
  t.is(groupId(Buffer.from('daemon')), 1);
  t.deepEqual(Buffer.from(userName(0) ?? []), Buffer.from('root'));
  t.deepEqual(Buffer.from(groupName(0) ?? []), Buffer.from('root'));
  t.is(userName(0x7ffffff0), undefined);
  t.is(groupId(Buffer.from('no such group')), undefined);
});

test('entries are opened without following links', (t) => {
  const { folder, fd } = file(t);
  symlinkSync('file', join(folder, 'link'));
  const directory = openSync(folder, 'r');
  t.teardown(() => closeSync(directory));
  const opened = openEntry(directory, Buffer.from('file'));
  t.teardown(() => closeSync(opened));
  t.is(fstatSync(opened).ino, fstatSync(fd).ino);
  t.throws(() => openEntry(directory, Buffer.from('link')), { message: /symbolic link/ });
});

test('a directory gives names without types', (t) => {
  const { folder } = file(t);
  const directory = openSync(folder, 'r');
  t.teardown(() => closeSync(directory));
  t.deepEqual(listDirectory(directory), { names: ['file'], types: new Uint8Array(1) });
});
