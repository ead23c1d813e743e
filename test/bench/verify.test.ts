/** Wrong results are seen. */
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { compareIndexes, findDifference } from '../../bench/verify.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const LARGE_BYTES = 9_000_000;

function twoBlobs(t: ExecutionContext): readonly [string, string] {
  const folder = temporaryFolder(t);
  const paths = [join(folder, 'a'), join(folder, 'b')] as const;
  for (const path of paths) writeFileSync(path, Buffer.alloc(LARGE_BYTES, 'words '));
  return paths;
}

function twoTrees(t: ExecutionContext): readonly [string, string] {
  const folder = temporaryFolder(t);
  const paths = [join(folder, 'a'), join(folder, 'b')] as const;
  for (const path of paths) {
    mkdirSync(join(path, 'sub'), { recursive: true });
    writeFileSync(join(path, 'sub', 'file'), 'content');
    symlinkSync('file', join(path, 'sub', 'link'));
    keepTimes(path);
  }
  return paths;
}

/** As if nothing had happened. */
function keepTimes(tree: string): void {
  for (const path of ['sub/file', 'sub', '.']) utimesSync(join(tree, path), 1, 2);
}

test('equal blobs and trees have no difference', (t) => {
  t.is(findDifference('blob', ...twoBlobs(t)), undefined);
  t.is(findDifference('tree', ...twoTrees(t)), undefined);
});

test('one byte far inside of a blob is seen', (t) => {
  const [a, b] = twoBlobs(t);
  const bytes = Buffer.alloc(LARGE_BYTES, 'words ');
  bytes[LARGE_BYTES - 2] = 0;
  writeFileSync(b, bytes);
  t.regex(findDifference('blob', a, b) ?? '', /other content/);
});

test('another length of a blob is seen', (t) => {
  const [a, b] = twoBlobs(t);
  truncateSync(b, LARGE_BYTES - 1);
  t.regex(findDifference('blob', a, b) ?? '', /8999999 bytes instead of 9000000/);
});

test('a missing result is seen', (t) => {
  const [a, b] = twoBlobs(t);
  rmSync(b);
  t.regex(findDifference('blob', a, b) ?? '', /b is missing/);
});

test('a hole is not the same as data of that size', (t) => {
  const [a, b] = twoBlobs(t);
  writeFileSync(b, '');
  truncateSync(b, LARGE_BYTES);
  t.regex(findDifference('blob', a, b) ?? '', /other content/);
});

test('a hole is the same as zeroes, and as a hole', (t) => {
  const [a, b] = twoBlobs(t);
  writeFileSync(b, '');
  truncateSync(b, LARGE_BYTES);
  writeFileSync(a, Buffer.alloc(LARGE_BYTES));
  t.is(findDifference('blob', a, b), undefined);
  writeFileSync(a, '');
  truncateSync(a, LARGE_BYTES);
  t.is(findDifference('blob', a, b), undefined);
});

const CHANGES: Readonly<Record<string, (tree: string) => void>> = {
  content: (tree) => writeFileSync(join(tree, 'sub/file'), 'CONTENT'),
  length: (tree) => appendFileSync(join(tree, 'sub/file'), '!'),
  'a missing entry': (tree) => rmSync(join(tree, 'sub/file')),
  'an entry too many': (tree) => copyFileSync(join(tree, 'sub/file'), join(tree, 'sub/more')),
  mode: (tree) => chmodSync(join(tree, 'sub/file'), 0o600),
  target: (tree) => {
    rmSync(join(tree, 'sub/link'));
    symlinkSync('elsewhere', join(tree, 'sub/link'));
  },
  'another type': (tree) => {
    rmSync(join(tree, 'sub/link'));
    copyFileSync(join(tree, 'sub/file'), join(tree, 'sub/link'));
  },
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`in a tree ${what} is seen`, (t) => {
    const [a, b] = twoTrees(t);
    change(b);
    if (what !== 'a missing entry') keepTimes(b);
    else utimesSync(join(b, 'sub'), 1, 2);
    t.is(typeof findDifference('tree', a, b), 'string');
  });
}

test('in a tree time is seen', (t) => {
  const [a, b] = twoTrees(t);
  utimesSync(join(b, 'sub'), 1, 3);
  t.regex(findDifference('tree', a, b) ?? '', /sub has another time/);
});

test('indexes of one input are compared with the first, from an offset on', (t) => {
  const folder = temporaryFolder(t);
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const indexes = compareIndexes([0, 4]);
  const same = { path: write('a', 'head rest'), fromOffset: 0 };
  t.is(indexes.check('image', same, 'ours'), undefined);
  t.is(indexes.check('image', same, 'casync'), undefined);
  t.is(indexes.check('image', { path: write('b', 'HEAD rest'), fromOffset: 4 }, 'd'), undefined);
  const wrong = indexes.check('image', { path: write('c', 'HEAD rest'), fromOffset: 0 }, 'casync');
  t.is(wrong, 'its index is not the same as that of ours');
  t.is(
    typeof indexes.check('image', { path: write('d', 'head REST'), fromOffset: 4 }, 'd'),
    'string',
  );
  t.is(indexes.check('other', { path: write('e', 'anything'), fromOffset: 0 }, 'ours'), undefined);
});
