import { execFileSync } from 'node:child_process';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openBlockTarget } from '../../../lib/extract/open-target.node.ts';
import { noise } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const OLD = 'the old content, which is longer than the new one';

async function put(path: string, content: string): Promise<void> {
  const target = openBlockTarget(path, { size: content.length });
  await target.write(Buffer.from(content), 0);
  await target.commit();
}

test('nothing has the name before commit, and nothing but the result is there after it', async (t) => {
  const folder = temporaryFolder(t);
  const target = openBlockTarget(join(folder, 'out'), { size: 3 });
  const names = readdirSync(folder);
  t.is(names.length, 1);
  t.regex(names[0], /^\.#out[0-9a-f]{16}$/);
  await target.write(Buffer.from('new'), 0);
  await target.commit();
  t.deepEqual(readdirSync(folder), ['out']);
});

test('an older file is whole until it is replaced as a whole', async (t) => {
  const path = join(temporaryFolder(t), 'out');
  writeFileSync(path, OLD);
  const target = openBlockTarget(path, { size: 3 });
  await target.write(Buffer.from('new'), 0);
  t.is(readFileSync(path, 'utf8'), OLD);
  await target.commit();
  t.is(readFileSync(path, 'utf8'), 'new');
});

test('giving up leaves the older file and nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'out');
  writeFileSync(path, OLD);
  const target = openBlockTarget(path, { size: 3 });
  await target.write(Buffer.from('new'), 0);
  await target.discard();
  t.deepEqual(readdirSync(folder), ['out']);
  t.is(readFileSync(path, 'utf8'), OLD);
});

test('a new file has 0666 less the umask, a replaced one keeps its permissions', async (t) => {
  const folder = temporaryFolder(t);
  await put(join(folder, 'new'), 'x');
  const umask = process.umask();
  t.is(statSync(join(folder, 'new')).mode & 0o7777, 0o666 & ~umask);
  writeFileSync(join(folder, 'old'), OLD, { mode: 0o640 });
  await put(join(folder, 'old'), 'x');
  t.is(statSync(join(folder, 'old')).mode & 0o7777, 0o640);
});

test('a replaced file keeps its owner', async (t) => {
  if (!requirement(t, { root: true })) return;
  const path = join(temporaryFolder(t), 'out');
  writeFileSync(path, OLD);
  execFileSync('chown', ['1:2', path]);
  execFileSync('chmod', ['4750', path]);
  await put(path, 'x');
  t.like(statSync(path), { uid: 1, gid: 2 });
  t.is(statSync(path).mode & 0o7777, 0o4750);
});

test('other names of a replaced file keep the old content', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'out'), OLD);
  linkSync(join(folder, 'out'), join(folder, 'other'));
  await put(join(folder, 'out'), 'new');
  t.is(readFileSync(join(folder, 'other'), 'utf8'), OLD);
});

test('a symbolic link stays, and what it leads to is replaced', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'real'));
  writeFileSync(join(folder, 'real', 'file'), OLD);
  symlinkSync('real/../real/link2', join(folder, 'link1'));
  symlinkSync('file', join(folder, 'real', 'link2'));
  await put(join(folder, 'link1'), 'new');
  t.is(readlinkSync(join(folder, 'link1')), 'real/../real/link2');
  t.true(lstatSync(join(folder, 'real', 'file')).isFile());
  t.is(readFileSync(join(folder, 'real', 'file'), 'utf8'), 'new');
  t.deepEqual(readdirSync(join(folder, 'real')).sort(), ['file', 'link2']);
});

test('a dangling link leads to the new file, a circle is refused', async (t) => {
  const folder = temporaryFolder(t);
  symlinkSync('later', join(folder, 'dangling'));
  await put(join(folder, 'dangling'), 'new');
  t.is(readFileSync(join(folder, 'later'), 'utf8'), 'new');
  symlinkSync('b', join(folder, 'a'));
  symlinkSync('a', join(folder, 'b'));
  t.throws(() => openBlockTarget(join(folder, 'a'), { size: 1 }), {
    message: /Too many|too many/,
  });
});

test('zeros take no space unless they are wanted', async (t) => {
  const folder = temporaryFolder(t);
  const size = 4 << 20;
  const content = new Uint8Array(size);
  content.set(noise(1000), 1 << 20);
  for (const [name, punchHoles] of [
    ['holes', true],
    ['full', false],
  ] as const) {
    const target = openBlockTarget(join(folder, name), { size, punchHoles });
    for (let offset = 0; offset < size; offset += 100_000) {
      await target.write(content.subarray(offset, offset + 100_000), offset);
    }
    await target.commit();
    t.true(readFileSync(join(folder, name)).equals(content));
  }
  t.true(statSync(join(folder, 'holes')).blocks * 512 <= 16384);
  t.true(statSync(join(folder, 'full')).blocks * 512 >= size);
});

test('an index that claims more than the disk has is refused at once without holes', (t) => {
  const folder = temporaryFolder(t);
  const error = t.throws(() =>
    openBlockTarget(join(folder, 'out'), { size: 2 ** 50, punchHoles: false }),
  );
  t.like(error, { code: 'TARGET_FULL' });
  t.deepEqual(readdirSync(folder), []);
});

/** A small file system of its own. */
function smallFolder(t: ExecutionContext): string | undefined {
  if (!requirement(t, { root: true, commands: ['mount', 'umount'] })) return undefined;
  const folder = temporaryFolder(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', folder]);
  t.teardown(() => {
    execFileSync('umount', [folder]);
  });
  return folder;
}

test('a claim that only zeros can make true stops before the disk is full', async (t) => {
  const folder = smallFolder(t);
  if (folder === undefined) return;
  const target = openBlockTarget(join(folder, 'out'), { size: 2 ** 40 });
  const piece = noise(100_000);
  const error = await t.throwsAsync(async () => {
    for (let offset = 0; offset < 2 ** 22; offset += piece.length) {
      await target.write(piece, offset);
    }
  });
  t.like(error, { code: 'TARGET_FULL' });
  writeFileSync(join(folder, 'others still can'), noise(50_000));
  await target.discard();
  t.deepEqual(readdirSync(folder), ['others still can']);
});

test('a disk that others fill is an error that leaves nothing behind', async (t) => {
  const folder = smallFolder(t);
  if (folder === undefined) return;
  const target = openBlockTarget(join(folder, 'out'), { size: 1 << 20 });
  writeFileSync(join(folder, 'others'), noise(2_000_000));
  const error = await t.throwsAsync(async () => target.write(noise(1 << 20), 0));
  t.like(error, { code: 'TARGET_FULL' });
  await target.discard();
  t.deepEqual(readdirSync(folder), ['others']);
});

test('what cannot take a blob is refused with the words of the original', (t) => {
  const folder = temporaryFolder(t);
  const directory = t.throws(() => openBlockTarget(folder, { size: 1 }));
  t.regex(
    String(directory?.message),
    /Output is a directory, but attempted to extract blob index. Refusing.$/,
  );
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  for (const path of [join(folder, 'fifo'), '/dev/null']) {
    const error = t.throws(() => openBlockTarget(path, { size: 1 }));
    t.like(error, { code: 'USAGE' });
    t.regex(
      String(error?.message),
      /Output is neither a directory, a regular file, nor a block device. Refusing.$/,
    );
  }
});

test('a folder that does not exist is not created', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'missing', 'out');
  const error = t.throws(() => openBlockTarget(path, { size: 1 }));
  t.like(error, { subject: path });
  t.deepEqual(readdirSync(folder), []);
});
