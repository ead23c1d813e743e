import { closeSync, lstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { fileTime, setModificationTime } from '../../../lib/os/times.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const O_PATH = 0o10000000;
const O_NOFOLLOW = 0o400000;
const SECOND = 1_000_000_000n;
/** What ext4 with large inodes can hold; at its very ends the kernel drops the fraction. */
const times = fc.bigInt({ min: -(2n ** 31n) * SECOND + SECOND, max: 2n ** 33n * SECOND });

test('times are exact to the nanosecond, on files and links', (t) => {
  const folder = temporaryFolder(t);
  const file = Buffer.from(join(folder, 'file'));
  const link = Buffer.from(join(folder, 'link'));
  writeFileSync(file, '');
  symlinkSync('nowhere', link);
  const fd = openSync(file, 'r');
  const pathOnly = openSync(file, O_PATH);
  const linkOnly = openSync(link, O_PATH | O_NOFOLLOW);
  t.teardown(() => {
    for (const open of [fd, pathOnly, linkOnly]) closeSync(open);
  });
  const targets = fc.constantFrom(fd, file, link, pathOnly, linkOnly);
  fc.assert(
    fc.property(times, targets, (time, target) => {
      setModificationTime(target, fileTime(time));
      const path = target === link || target === linkOnly ? link : file;
      t.is(lstatSync(path, { bigint: true }).mtimeNs, time);
    }),
  );
});

test('the access time is left alone', (t) => {
  const file = Buffer.from(join(temporaryFolder(t), 'file'));
  writeFileSync(file, '');
  const before = lstatSync(file, { bigint: true }).atimeNs;
  setModificationTime(file, fileTime(1n));
  t.is(lstatSync(file, { bigint: true }).atimeNs, before);
});

test('a missing file is an error', (t) => {
  t.throws(() => setModificationTime(Buffer.from('/nonexistent/x'), fileTime(0n)), {
    message: 'set modification time: No such file or directory',
  });
});
