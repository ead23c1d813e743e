/**
 * Older entries that try to make an extraction, which compares them with the new ones, touch or wait for
 * something else (spec/promises.md, 5).
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { testEveryWay } from '../helpers/every-way.ts';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { canaryTree } from '../helpers/tree-snapshot.ts';
import { directory, file, forgeArchive } from './forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = { mask: 0x13aebb20n };
const ENTRY = { mode: 0o100777, mtime: 12_345 };
/** Compared in one go, while it comes, and worth to be shared. */
const CONTENTS = [Buffer.from('canary\n'), noise(200_000), noise(3_000_000)];

for (const content of CONTENTS) {
  const archive = forgeArchive(directory([['x', file(content, { entry: ENTRY })]]));
  const what = `${content.length} bytes`;

  for (const [how, plant] of [
    ['hard link', linkSync],
    ['symbolic link', symlinkSync],
  ] as const) {
    testEveryWay(
      `a ${how} to a file outside with equal content is replaced: ${what}`,
      async (t, { extractArchive }) => {
        const canary = canaryTree(t);
        const outside = join(canary.path, 'secret');
        const folder = temporaryFolder(t);
        const [target, other] = [join(folder, 'target'), join(folder, 'other')];
        mkdirSync(target);
        writeFileSync(other, content, { mode: 0o600 });
        const before = lstatSync(other, { bigint: true });
        plant(other, join(target, 'x'));
        plant(outside, join(target, 'y'));
        await extractArchive(archive, target, UNPRIVILEGED);
        const after = lstatSync(other, { bigint: true });
        t.is(after.mode, before.mode);
        t.is(after.mtimeNs, before.mtimeNs);
        t.true(readFileSync(other).equals(content));
        t.true(lstatSync(join(target, 'x')).isFile());
        t.is(statSync(join(target, 'x')).mode & 0o7777, 0o777);
        t.not(lstatSync(join(target, 'x'), { bigint: true }).ino, before.ino);
        canary.assertUntouched();
      },
    );
  }

  testEveryWay(
    `a fifo in the place of a file is replaced and not opened: ${what}`,
    async (t, { extractArchive }) => {
      const target = temporaryFolder(t);
      execFileSync('mkfifo', [join(target, 'x')]);
      // A name of its own: the other one may be replaced before the writer has begun.
      const fifo = join(temporaryFolder(t), 'fifo');
      linkSync(join(target, 'x'), fifo);
      // Opening the fifo would let it write and end.
      const writer = spawn('sh', ['-c', 'echo x > "$0"; echo opened', fifo], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      let isOpened = false;
      writer.stdout.on('data', () => {
        isOpened = true;
      });
      await once(writer, 'spawn');
      await extractArchive(archive, target, UNPRIVILEGED);
      t.true(readFileSync(join(target, 'x')).equals(content));
      t.false(isOpened);
      writer.kill('SIGKILL');
      await once(writer, 'close');
      t.false(isOpened);
    },
  );

  testEveryWay(
    `a device in the place of a file is replaced: ${what}`,
    async (t, { extractArchive }) => {
      if (!requirement(t, { root: true })) return;
      const target = temporaryFolder(t);
      for (const words of ['c 1 3', 'c 1 5', 'b 7 200']) {
        execFileSync('rm', ['-f', join(target, 'x')]);
        execFileSync('mknod', [join(target, 'x'), ...words.split(' ')]);
        await extractArchive(archive, target);
        t.true(lstatSync(join(target, 'x')).isFile());
        t.true(readFileSync(join(target, 'x')).equals(content));
      }
    },
  );

  testEveryWay(
    `a huge file of holes is replaced at once: ${what}`,
    async (t, { extractArchive }) => {
      const target = temporaryFolder(t);
      writeFileSync(join(target, 'x'), '');
      truncateSync(join(target, 'x'), 2 ** 43);
      const started = performance.now();
      await extractArchive(archive, target, UNPRIVILEGED);
      t.true(performance.now() - started < 20_000);
      t.true(readFileSync(join(target, 'x')).equals(content));
    },
  );

  testEveryWay(
    `a file that may not be read is replaced: ${what}`,
    async (t, { extractArchive }) => {
      const target = temporaryFolder(t);
      writeFileSync(join(target, 'x'), content);
      chmodSync(join(target, 'x'), 0);
      await extractArchive(archive, target, UNPRIVILEGED);
      t.true(readFileSync(join(target, 'x')).equals(content));
      t.is(statSync(join(target, 'x')).mode & 0o7777, 0o777);
    },
  );
}
