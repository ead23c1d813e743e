import { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../../lib/os/xattr.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const O_PATH = 0o10000000;

function file(t: Parameters<typeof temporaryFolder>[0]) {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, '');
  const open = (flags: number) => {
    const fd = openSync(path, flags);
    t.teardown(() => closeSync(fd));
    return fd;
  };
  return { path: Buffer.from(path), fd: open(0), pathOnly: open(O_PATH) };
}

test('a value set by descriptor, by path or by O_PATH descriptor is read by all', (t) => {
  const { path, fd, pathOnly } = file(t);
  for (const target of [fd, path, pathOnly]) {
    const value = Buffer.from([0, 255, 10, typeof target === 'number' ? target : 1]);
    setXattr(target, 'user.note', value);
    for (const reader of [fd, path, pathOnly]) {
      t.deepEqual(getXattr(reader, 'user.note'), value);
      t.deepEqual(listXattrs(reader).map(String), ['user.note']);
    }
    removeXattr(target, 'user.note');
    t.deepEqual(listXattrs(path), []);
  }
});

test('names are bytes and values may be empty', (t) => {
  const { path } = file(t);
  const name = Buffer.from([...Buffer.from('user.'), 0xff, 0x20]);
  setXattr(path, name, new Uint8Array(0));
  t.deepEqual(listXattrs(path), [name]);
  t.deepEqual(getXattr(path, name), Buffer.alloc(0));
});

test('large values and many names are complete', (t) => {
  const { path, fd } = file(t);
  const value = Buffer.alloc(2000, 7);
  setXattr(path, 'user.large', value);
  const names = Array.from({ length: 20 }, (_, i) => `user.${String(i).padStart(30, 'n')}`);
  for (const name of names) setXattr(path, name, new Uint8Array(0));
  t.deepEqual(getXattr(fd, 'user.large'), value);
  t.deepEqual(listXattrs(fd).map(String).toSorted(), ['user.large', ...names].toSorted());
});

test('an absent attribute is undefined, and removing it succeeds', (t) => {
  const { path } = file(t);
  t.is(getXattr(path, 'user.none'), undefined);
  t.notThrows(() => removeXattr(path, 'user.none'));
});

test('a file system without attributes has none', (t) => {
  t.deepEqual(listXattrs(Buffer.from('/proc/version')), []);
  t.is(getXattr(Buffer.from('/proc/version'), 'user.x'), undefined);
  const set = () => setXattr(Buffer.from('/proc/version'), 'user.x', new Uint8Array(1));
  t.throws(set, { message: /^set extended attribute: / });
});

test('a link itself is meant, not what it leads to', (t) => {
  if (!requirement(t, { root: true })) return;
  const { path } = file(t);
  const link = Buffer.concat([path, Buffer.from('-link')]);
  symlinkSync('file', link);
  setXattr(link, 'trusted.here', Buffer.from('x'));
  t.deepEqual(listXattrs(path), []);
  t.deepEqual(listXattrs(link).map(String), ['trusted.here']);
  const fd = openSync(link, O_PATH | 0o400000);
  t.teardown(() => closeSync(fd));
  t.deepEqual(listXattrs(fd).map(String), ['trusted.here']);
});
