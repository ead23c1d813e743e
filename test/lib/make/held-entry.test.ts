// Other programs replace entries between listing and opening: done here from the callback in between.
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type HeldEntry, holdEntry } from '../../../lib/make/held-entry.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const NAME = Buffer.from('entry');

function folderWithFile(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = temporaryFolder(t);
  const path = join(folder, 'entry');
  writeFileSync(path, 'old');
  const directory = openSync(folder, 'r');
  t.teardown(() => closeSync(directory));
  return { folder, path, directory };
}

/** Does `act` the first time it is asked. */
function once(act: () => void): () => boolean {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
    return true;
  };
}

function held(t: Parameters<typeof temporaryFolder>[0], entry: unknown): HeldEntry {
  t.is(typeof entry, 'object', String(entry));
  const { fd } = entry as HeldEntry;
  if (fd !== undefined) t.teardown(() => closeSync(fd));
  return entry as HeldEntry;
}

test('a file that is replaced is taken in its new form, attributes and content alike', (t) => {
  const { folder, path, directory } = folderWithFile(t);
  writeFileSync(join(folder, 'new'), 'newer');
  const entry = holdEntry(
    directory,
    NAME,
    once(() => renameSync(join(folder, 'new'), path)),
  );
  const { fd, stat } = held(t, entry);
  t.is(stat.size, 5);
  t.is(readFileSync(fd ?? -1, 'utf8'), 'newer');
});

test('a file that becomes a link, a folder or nothing is noticed', (t) => {
  const changes = {
    symlink: (path: string) => symlinkSync('/etc/passwd', path),
    directory: (path: string) => mkdirSync(path),
  };
  for (const [type, make] of Object.entries(changes)) {
    const { path, directory } = folderWithFile(t);
    const change = once(() => {
      rmSync(path);
      make(path);
    });
    t.true(held(t, holdEntry(directory, NAME, change)).type === type);
  }
  const { path, directory } = folderWithFile(t);
  t.is(
    holdEntry(
      directory,
      NAME,
      once(() => rmSync(path)),
    ),
    'vanished',
  );
});

test('an entry that never keeps still is given up', (t) => {
  const { folder, path, directory } = folderWithFile(t);
  const replace = () => {
    writeFileSync(join(folder, 'new'), 'x');
    renameSync(join(folder, 'new'), path);
    return true;
  };
  t.is(holdEntry(directory, NAME, replace), 'replaced again and again');
});

test('what is not wanted is not opened', (t) => {
  const { directory } = folderWithFile(t);
  t.is(
    holdEntry(directory, NAME, () => false),
    'left out',
  );
});

test('a link is described by its target', (t) => {
  const { folder, directory } = folderWithFile(t);
  symlinkSync(Buffer.from([0xff, 0x2f]), join(folder, 'link'));
  const entry = held(
    t,
    holdEntry(directory, Buffer.from('link'), () => true),
  );
  t.deepEqual(Buffer.from(entry.linkTarget ?? []), Buffer.from([0xff, 0x2f]));
});

test('a wrong word of the directory about the type does no harm', (t) => {
  const { folder, directory } = folderWithFile(t);
  symlinkSync('/etc/passwd', join(folder, 'link'));
  mkdirSync(join(folder, 'directory'));
  const type = (name: string, listed: 'file' | 'directory') =>
    held(
      t,
      holdEntry(directory, Buffer.from(name), () => true, listed),
    ).type;
  t.is(type('link', 'file'), 'symlink');
  t.is(type('directory', 'file'), 'directory');
  t.is(type('entry', 'directory'), 'file');
  t.is(
    holdEntry(directory, Buffer.from('gone'), () => true, 'file'),
    'vanished',
  );
});
