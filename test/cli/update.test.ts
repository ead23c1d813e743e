/** What an update of an image costs: bytes written to the target, blocks allocated. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeIndex } from '../../formats/index-codec.ts';
import { noise } from '../helpers/golden.ts';
import { loopMount, loopMountNeeds } from '../helpers/loop-mount.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const LENGTH = 64 * 1024 * 1024;
const PAGE = 4096;

interface Images {
  readonly folder: string;
  readonly oldImage: string;
  readonly newImage: string;
  readonly index: string;
  readonly store: string;
  /** Bytes in chunks of the new image that the old one does not have. */
  readonly changedBytes: number;
}

/** Two versions of an image, one percent of whose pages differ, and both in a store. */
async function twoVersions(folder: string): Promise<Images> {
  const [oldImage, newImage] = [join(folder, 'old.raw'), join(folder, 'new.raw')];
  const content = Buffer.from(noise(LENGTH, 1));
  writeFileSync(oldImage, content);
  const pages = LENGTH / PAGE;
  for (let i = 0; i < pages / 100; i++) {
    const page = (i * 7919 * 13) % pages;
    content.set(noise(PAGE, 1000 + i), page * PAGE);
  }
  writeFileSync(newImage, content);
  const store = `--store=${join(folder, 'store.castr')}`;
  const indexes = [join(folder, 'a.caibx'), join(folder, 'b.caibx')];
  await succeed(runCasync([store, 'make', indexes[0], oldImage]));
  await succeed(runCasync([store, 'make', indexes[1], newImage]));
  const [before, after] = indexes.map((path) => decodeIndex(readFileSync(path)));
  const known = new Set(Array.from({ length: before.count }, (_, i) => before.id(i)));
  let changedBytes = 0;
  for (let i = 0; i < after.count; i++) if (!known.has(after.id(i))) changedBytes += after.size(i);
  return { folder, oldImage, newImage, index: indexes[1], store, changedBytes };
}

function isRight(t: ExecutionContext, images: Images, output: string): void {
  t.true(readFileSync(output).equals(readFileSync(images.newImage)));
}

test('an extraction over the old image writes no more than what has changed', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  const images = await twoVersions(temporaryFolder(t));
  const { folder, index, oldImage, store, changedBytes } = images;
  const [output, log] = [join(folder, 'output.raw'), join(folder, 'log')];
  copyFileSync(oldImage, output);
  const { ino } = statSync(output);
  const trace = 'trace=write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,fallocate';
  const wrapper = ['strace', '-f', '-y', '-o', log, '-e', trace];
  await succeed(runCasync([store, 'extract', index, output], { wrapper }));
  isRight(t, images, output);
  t.is(statSync(output).ino, ino);
  let written = 0;
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    if (!line.includes(`${output}>`)) continue;
    written += Number(/= (\d+)$/.exec(line)?.[1] ?? 0);
  }
  t.true(written > 0 && written <= changedBytes, `${written} of ${changedBytes}`);
  t.true(written <= (LENGTH / 100) * 1.05, `${written} bytes for 1 % of changed pages`);
});

for (const type of ['btrfs', 'xfs'] as const) {
  test(`on ${type} a new image beside its seed allocates no more than what has changed`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const images = await twoVersions(loopMount(t, type));
    const { folder, index, oldImage, store, changedBytes } = images;
    const output = join(folder, 'output.raw');
    const freeBytes = (): number => {
      execFileSync('sync', ['-f', folder]);
      const { bfree, bsize } = statfsSync(folder);
      return bfree * bsize;
    };
    const before = freeBytes();
    await succeed(runCasync([store, `--seed=${oldImage}`, 'extract', index, output]));
    isRight(t, images, output);
    const allocated = before - freeBytes();
    t.true(allocated <= changedBytes * 1.05, `${allocated} of ${changedBytes}`);
  });
}
