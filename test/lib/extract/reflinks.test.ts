/** Blocks that new files share with older ones and with what they are cloned from. */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { clone } from '../../../lib/api/clone.node.ts';
import { TreeExtractor } from '../../../lib/extract/tree.node.ts';
import { parseArchive } from '../../helpers/catar.ts';
import { extractArchive } from '../../helpers/extract-tree.ts';
import { noise } from '../../helpers/golden.ts';
import { identitiesOf } from '../../helpers/identities.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { compareTrees } from '../../helpers/tree-snapshot.ts';
import { directory, file, forgeArchive } from '../../hostile/forge.ts';

const MEBIBYTE = 1024 * 1024;
const SIZE = 64 * MEBIBYTE;
const OLD = noise(SIZE);

/** The old content with a few blocks changed, one of them to zeros, and some bytes behind it. */
function newContent(): Buffer {
  const content = Buffer.concat([OLD, noise(10_000)]);
  for (const offset of [5 * MEBIBYTE, 30 * MEBIBYTE + 123, SIZE - 1]) content[offset] ^= 1;
  content.fill(0, 40 * MEBIBYTE, 40 * MEBIBYTE + 8192);
  return content;
}

const NEW = newContent();

function sync(path: string): void {
  execFileSync('sync', ['-f', path]);
}

/** Bytes in use on the file system. */
function usedBytes(path: string): number {
  sync(path);
  const { blocks, bfree, bsize } = statfsSync(path);
  return (blocks - bfree) * bsize;
}

/** Keeps the old version alive, so that what is not shared shows. */
function keptOld(folder: string): number {
  linkSync(join(folder, 'target/x'), join(folder, 'kept'));
  return usedBytes(folder);
}

const contentsOf = (content: Uint8Array) => forgeArchive(directory([['x', file(content)]]));

for (const type of ['btrfs', 'xfs'] as const) {
  for (const [what, content] of [
    ['of another length', NEW],
    ['of the same length', NEW.subarray(0, SIZE)],
    ['that is shorter', NEW.subarray(0, SIZE - MEBIBYTE)],
  ] as const) {
    test(`a file ${what} shares what is equal with the older one on ${type}`, async (t) => {
      if (!requirement(t, loopMountNeeds(type))) return;
      const folder = loopMount(t, type);
      await extractArchive(contentsOf(OLD), join(folder, 'target'));
      const before = keptOld(folder);
      await extractArchive(contentsOf(content), join(folder, 'target'));
      t.true(readFileSync(join(folder, 'target/x')).equals(content));
      t.true(readFileSync(join(folder, 'kept')).equals(OLD));
      const grown = usedBytes(folder) - before;
      t.true(grown < 2 * MEBIBYTE, `${grown} bytes more`);
    });
  }
}

test('without reflinks nothing is shared', async (t) => {
  if (!requirement(t, loopMountNeeds('xfs'))) return;
  const folder = loopMount(t, 'xfs');
  await extractArchive(contentsOf(OLD), join(folder, 'target'));
  const before = keptOld(folder);
  await extractArchive(contentsOf(NEW), join(folder, 'target'), { reflink: false });
  t.true(readFileSync(join(folder, 'target/x')).equals(NEW));
  t.true(usedBytes(folder) - before > SIZE / 2);
});

test('shared bytes are counted', (t) => {
  if (!requirement(t, loopMountNeeds('btrfs'))) return;
  const target = join(loopMount(t, 'btrfs'), 'target');
  for (const [content, expected] of [
    [OLD, { reflinkBytes: 0, keptBytes: 0, holeBytes: 0 }],
    [OLD, { reflinkBytes: 0, keptBytes: SIZE, holeBytes: 0 }],
    [NEW.subarray(0, SIZE), { reflinkBytes: SIZE - 5 * 4096, keptBytes: 0 }],
  ] as const) {
    const extractor = new TreeExtractor(target, { replayFlags: 0n });
    for (const event of parseArchive(contentsOf(content))) extractor.handle(event);
    extractor.finish();
    t.like(extractor.statistics, expected);
  }
});

/** A folder with a large file, a small one, a sparse one and one with two names. */
function sourceIn(folder: string): string {
  const source = join(folder, 'source');
  mkdirSync(join(source, 'd'), { recursive: true });
  writeFileSync(join(source, 'large'), OLD);
  linkSync(join(source, 'large'), join(source, 'd/second'));
  writeFileSync(join(source, 'small'), noise(9000));
  writeFileSync(join(source, 'tiny'), 'x');
  writeFileSync(join(source, 'sparse'), 'x');
  truncateSync(join(source, 'sparse'), 10 * MEBIBYTE);
  return source;
}

/** Clones twice. @returns what it takes up, and what was shared and kept */
async function clonedTwice(t: ExecutionContext, source: string, target: string, place: string) {
  const before = usedBytes(place);
  const first = await clone({ source, target });
  const grown = usedBytes(place) - before;
  t.deepEqual(compareTrees(source, target), []);
  const identities = identitiesOf(target);
  const second = await clone({ source, target });
  t.deepEqual(identitiesOf(target), identities);
  t.is(second.statistics.keptBytes, first.statistics.byteCount);
  t.is(second.statistics.reflinkBytes, 0);
  return { grown, first: first.statistics };
}

for (const type of ['btrfs', 'xfs'] as const) {
  test(`a clone shares all blocks with its source on ${type}`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const folder = loopMount(t, type);
    const { grown, first } = await clonedTwice(t, sourceIn(folder), join(folder, 'target'), folder);
    t.is(first.reflinkBytes, 2 * SIZE + 9000 + 10 * MEBIBYTE);
    t.true(grown < 2 * MEBIBYTE, `${grown} bytes more`);
  });

  test(`names of one file become files that share their blocks on ${type}`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const folder = loopMount(t, type);
    const source = sourceIn(temporaryFolder(t));
    const { grown, first } = await clonedTwice(t, source, join(folder, 'target'), folder);
    t.is(first.reflinkBytes, SIZE);
    t.true(grown < SIZE + 4 * MEBIBYTE, `${grown} bytes more`);
  });
}

test('a clone of a clone that has changed writes what differs', async (t) => {
  if (!requirement(t, loopMountNeeds('btrfs'))) return;
  const folder = loopMount(t, 'btrfs');
  const source = sourceIn(temporaryFolder(t));
  const target = join(folder, 'target');
  await clone({ source, target });
  writeFileSync(join(source, 'large'), NEW);
  linkSync(join(target, 'large'), join(folder, 'kept'));
  const before = usedBytes(folder);
  await clone({ source, target });
  t.deepEqual(compareTrees(source, target), []);
  t.true(usedBytes(folder) - before < 4 * MEBIBYTE);
});
