import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ConfinedDir } from '../../../lib/extract/confined-dir.node.ts';
import { temporaryName } from '../../../lib/extract/entry-name.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { canaryTree } from '../../helpers/tree-snapshot.ts';

const NAME = Buffer.from('name');
const PRIVATE = { permissions: 0o700 };

function confined(t: ExecutionContext, path: string): ConfinedDir {
  const directory = ConfinedDir.open(path);
  t.teardown(() => directory.close());
  return directory;
}

for (const [what, name] of [
  ['empty', ''],
  ['.', '.'],
  ['..', '..'],
  ['a path', 'a/b'],
  ['an absolute path', '/etc'],
  ['a name with NUL', 'a\0b'],
  ['256 bytes', 'x'.repeat(256)],
] as const) {
  test(`no operation takes ${what} as a name`, (t) => {
    const directory = confined(t, temporaryFolder(t));
    const bytes = Buffer.from(name);
    const operations = [
      () => directory.openDirectory(bytes, PRIVATE),
      () => directory.createFile(bytes, 0o600),
      () => directory.createSymlink(bytes, NAME),
      () => directory.createSpecial(bytes, { type: 'fifo' }, 0o600),
      () => directory.openForAttributes(bytes),
      () => directory.replace(bytes, NAME),
      () => directory.replace(NAME, bytes),
      () => directory.remove(bytes),
      () => directory.lstat(bytes),
    ];
    for (const operation of operations) t.like(t.throws(operation), { code: 'UNSAFE_NAME' });
  });
}

test('names of 255 bytes and of any bytes are names like others', (t) => {
  const folder = temporaryFolder(t);
  const directory = confined(t, folder);
  const names = [Buffer.alloc(255, 'x'), Buffer.from([0xff, 0x0a, 0x5c]), Buffer.from('...')];
  for (const name of names) directory.openDirectory(name, PRIVATE).directory.close();
  t.deepEqual(
    readdirSync(folder, { encoding: 'buffer' }).sort(Buffer.compare),
    names.sort(Buffer.compare),
  );
});

test('a temporary name is as long as a name may be, and never the same', (t) => {
  const long = Buffer.alloc(255, 'x');
  t.is(temporaryName(long).length, 255);
  t.regex(Buffer.from(temporaryName(NAME)).toString(), /^\.#name[0-9a-f]{16}$/);
  const names = Array.from({ length: 2000 }, () => Buffer.from(temporaryName(NAME)).toString());
  t.is(new Set(names).size, names.length);
});

test('a link in the place of a directory is replaced, not followed', (t) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  symlinkSync(canary.path, join(folder, 'name'));
  const { directory, created } = confined(t, folder).openDirectory(NAME, PRIVATE);
  directory.close();
  t.true(created);
  t.true(lstatSync(join(folder, 'name')).isDirectory());
  canary.assertUntouched();
});

test('a held directory stays the same one, whatever gets its name', (t) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  const { directory } = confined(t, folder).openDirectory(NAME, PRIVATE);
  t.teardown(() => directory.close());
  renameSync(join(folder, 'name'), join(folder, 'moved'));
  symlinkSync(canary.path, join(folder, 'name'));
  directory.createSymlink(Buffer.from('inside'), NAME);
  directory.remove(Buffer.from('secret'));
  t.is(readlinkSync(join(folder, 'moved', 'inside')), 'name');
  canary.assertUntouched();
});

test('a new file is never one that is there', (t) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  symlinkSync(join(canary.path, 'secret'), join(folder, 'name'));
  const error = t.throws(() => confined(t, folder).createFile(NAME, 0o600));
  t.regex(String(error?.message), /create file: .*exist/i);
  canary.assertUntouched();
});

for (const kind of ['file', 'link', 'empty directory', 'full directory'] as const) {
  test(`replacing a ${kind} leaves the new entry only`, (t) => {
    const canary = canaryTree(t);
    const folder = temporaryFolder(t);
    const path = join(folder, 'name');
    if (kind === 'file') writeFileSync(path, 'old');
    if (kind === 'link') symlinkSync(canary.path, path);
    if (kind.endsWith('directory')) mkdirSync(path);
    if (kind === 'full directory') fill(path, canary.path);
    writeFileSync(join(folder, 'temporary'), 'new');
    confined(t, folder).replace(Buffer.from('temporary'), NAME);
    t.deepEqual(readdirSync(folder), ['name']);
    t.is(readFileSync(path, 'utf8'), 'new');
    canary.assertUntouched();
  });
}

/** Files, folders and links in three levels. */
function fill(path: string, linkTarget: string): void {
  mkdirSync(join(path, 'a/b/c'), { recursive: true });
  mkdirSync(join(path, 'd'));
  writeFileSync(join(path, 'a/b/file'), 'x');
  writeFileSync(join(path, 'd/file'), 'x');
  symlinkSync(linkTarget, join(path, 'a/b/c/link'));
  symlinkSync(linkTarget, join(path, 'link'));
}

test('removing does not follow links', (t) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'name'));
  fill(join(folder, 'name'), canary.path);
  symlinkSync(canary.path, join(folder, 'link'));
  const directory = confined(t, folder);
  directory.remove(NAME);
  directory.remove(Buffer.from('link'));
  directory.remove(Buffer.from('not there'));
  t.deepEqual(readdirSync(folder), []);
  canary.assertUntouched();
});

test('a tree deeper than there are descriptors is removed', (t) => {
  const folder = temporaryFolder(t);
  const root = confined(t, folder);
  let directory = root;
  for (let depth = 0; depth < 3000; depth++) {
    const below = directory.openDirectory(NAME, PRIVATE).directory;
    directory.createSymlink(Buffer.from('link'), NAME);
    if (directory !== root) directory.close();
    directory = below;
  }
  directory.close();
  root.remove(NAME);
  t.deepEqual(readdirSync(folder), ['link']);
});

test('all descriptors are given back', (t) => {
  const folder = temporaryFolder(t);
  const before = descriptorCount(folder);
  const root = ConfinedDir.open(folder);
  mkdirSync(join(folder, 'name'));
  fill(join(folder, 'name'), '/nonexistent');
  root.remove(NAME);
  writeFileSync(join(folder, 'file'), '');
  root.lstat(Buffer.from('file'));
  root.close();
  t.is(descriptorCount(folder), before);
});

test('attributes are those of the entry itself', (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('/etc/passwd', join(folder, 'name'));
  const directory = confined(t, folder);
  t.is((directory.lstat(NAME)?.mode ?? 0) & 0o170000, 0o120000);
  t.is(directory.lstat(Buffer.from('other')), undefined);
  rmSync(join(folder, 'name'));
  t.false(existsSync(join(folder, 'name')));
});
