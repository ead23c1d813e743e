import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { copyBegin } from '../../../lib/os/copy.node.ts';
import { nextHole } from '../../../lib/os/holes.node.ts';
import { beginWriteback } from '../../../lib/os/writeback.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const MEBIBYTE = 1024 * 1024;

/** A file with data at both ends and a hole between them. */
function sparseFile(t: ExecutionContext): {
  readonly path: string;
  readonly from: number;
  readonly copy: string;
} {
  const folder = temporaryFolder(t);
  const path = join(folder, 'from');
  writeFileSync(path, Buffer.alloc(8192, 'a'));
  truncateSync(path, 3 * MEBIBYTE);
  writeFileSync(path, Buffer.alloc(8192, 'b'), { flag: 'a' });
  const from = openSync(path, 'r');
  t.teardown(() => closeSync(from));
  return { path, from, copy: join(folder, 'copy') };
}

function copied(from: number, copy: string, length: number, keepHoles: boolean): number {
  const to = openSync(copy, 'w');
  const end = copyBegin(from, to, length, keepHoles);
  beginWriteback(to);
  closeSync(to);
  return end;
}

for (const keepHoles of [true, false]) {
  test(`the begin of a file is copied, holes ${keepHoles ? 'kept' : 'filled'}`, (t) => {
    const { path, from, copy } = sparseFile(t);
    const length = 3 * MEBIBYTE + 5000;
    t.is(copied(from, copy, length, keepHoles), length);
    t.true(readFileSync(copy).equals(readFileSync(path).subarray(0, length)));
    t.is(statSync(copy).blocks * 512 >= 3 * MEBIBYTE, !keepHoles);
  });
}

test('a copy that ends in a hole says where the data ended', (t) => {
  const { from, copy } = sparseFile(t);
  t.is(copied(from, copy, MEBIBYTE, true), 8192);
  t.is(statSync(copy).size, 8192);
});

test('a copy of more than there is ends where the source ends', (t) => {
  const { from, copy } = sparseFile(t);
  t.is(copied(from, copy, 10 * MEBIBYTE, true), 3 * MEBIBYTE + 8192);
  t.is(copied(from, copy, 10 * MEBIBYTE, false), 3 * MEBIBYTE + 8192);
});

test('the next hole is found, and the end of the file is one', (t) => {
  const { from } = sparseFile(t);
  t.is(nextHole(from, 0), 8192);
  t.is(nextHole(from, 3 * MEBIBYTE), 3 * MEBIBYTE + 8192);
  t.is(nextHole(from, 4 * MEBIBYTE), undefined);
});
