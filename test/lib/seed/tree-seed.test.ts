// A folder gives the chunks of its own archive, and of another one those that are equal; what it says
// may be untrue at any later time, and then it is noticed.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import type { ChunkIndex } from '../../../formats/chunk-index.ts';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { packTree } from '../../../lib/make/pack-tree.node.ts';
import { segmentsOfStream } from '../../../lib/make/segment.ts';
import { StreamStorer } from '../../../lib/make/store-stream.node.ts';
import { readParts } from '../../../lib/seed/read-parts.node.ts';
import type { Seed } from '../../../lib/seed/seed.ts';
import { openTreeSeed } from '../../../lib/seed/tree-seed.node.ts';
import type { ChunkStore } from '../../../store/chunk-store.ts';
import { packHere } from '../../helpers/packing.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { editTree, filesBelow, makeEditableTree } from '../../property/edits.ts';
import { randomFrom } from '../../property/random.ts';
import { makeRandomTree, randomTreeOptions } from '../../property/trees.ts';

const FLAGS = 0xb0000001ffeffe26n;
const SHA256_FLAGS = 0x9000000000001f09n;
const SMALL: ChunkSizes = { min: 256, avg: 1024, max: 4096 };
const USUAL: ChunkSizes = { min: 16384, avg: 65536, max: 262144 };

interface Way {
  readonly flags?: bigint;
  readonly chunkSizes?: ChunkSizes;
  readonly chunker?: 'buzhash' | 'fastcdc';
}

/** A store that keeps nothing. */
const nowhere: ChunkStore = {
  label: 'nowhere',
  has: async () => false,
  get: async () => new Uint8Array(0),
  put: async () => 'stored',
  flush: async () => {},
  close: async () => {},
};

async function indexOf(root: string, way: Way = {}): Promise<ChunkIndex> {
  const { flags: featureFlags = FLAGS, chunkSizes = SMALL, chunker = 'buzhash' } = way;
  const header = { featureFlags, chunkSizes };
  const storer = new StreamStorer({ store: nowhere, header, chunker, threadCount: 0 });
  const walk = { label: 'tree', featureFlags, applyExcludeFiles: true };
  const { index } = await storer.store(
    segmentsOfStream(packTree(Buffer.from(root), walk, packHere)),
  );
  await storer.close();
  return index;
}

/** How many chunks the seed has; each that it can still give is what its name says. */
function countGood(t: ExecutionContext, seed: Seed, index: ChunkIndex): number {
  const digest = createDigest(index.digest);
  let count = 0;
  for (let i = 0; i < index.count; i++) {
    const bytes = new Uint8Array(index.size(i));
    const parts = seed.find(index.id(i));
    if (parts === undefined) continue;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    t.is(length, index.size(i));
    if (readParts(parts, bytes) && digest.hash(bytes) === index.id(i)) count += 1;
  }
  return count;
}

async function openSeed(
  t: ExecutionContext,
  root: string,
  index: ChunkIndex,
  more: Partial<Parameters<typeof openTreeSeed>[2]> = {},
): Promise<Seed> {
  const seed = await openTreeSeed(root, index, { threadCount: 0, ...more });
  t.teardown(() => seed.close());
  return seed;
}

const WAYS: readonly Way[] = [
  {},
  { flags: SHA256_FLAGS },
  { chunkSizes: USUAL },
  { chunkSizes: { min: 16, avg: 64, max: 256 } },
  { chunker: 'fastcdc' },
  { chunkSizes: { min: 777, avg: 777, max: 777 } },
];

for (const seedNumber of Array.from({ length: 24 }, (_, i) => i + 500)) {
  test.serial(`random tree ${seedNumber} has all chunks of its archive`, async (t) => {
    const root = join(temporaryFolder(t), 'tree');
    const random = randomFrom(seedNumber);
    const options = {
      ...randomTreeOptions(random),
      immutable: false,
      excludeRate: 0,
      ids: [0, 1000],
    };
    makeRandomTree(root, random, options);
    const way = random.pick(WAYS);
    const index = await indexOf(root, way);
    const { chunker = 'buzhash' } = way;
    const seed = await openSeed(t, root, index, { chunker });
    t.is(countGood(t, seed, index), index.count);
  });
}

test.serial('an edited tree has what has not changed', async (t) => {
  for (let number = 0; number < 20; number++) {
    const root = join(temporaryFolder(t), 'tree');
    const random = randomFrom(number);
    makeEditableTree(root, random);
    const index = await indexOf(root);
    editTree(root, random);
    const edited = await indexOf(root);
    const ids = new Set(Array.from({ length: edited.count }, (_, i) => edited.id(i)));
    const expected = Array.from({ length: index.count }, (_, i) => index.id(i)).filter((id) =>
      ids.has(id),
    );
    const seed = await openSeed(t, root, index);
    t.is(countGood(t, seed, index), expected.length);
  }
});

function largeTree(t: ExecutionContext): string {
  const root = join(temporaryFolder(t), 'tree');
  makeEditableTree(root, randomFrom(1));
  const random = randomFrom(2);
  for (let i = 0; i < 30; i++) writeFileSync(join(root, `large${i}`), random.bytes(700_000));
  return root;
}

test.serial('threads find the same', async (t) => {
  const root = largeTree(t);
  const index = await indexOf(root, { chunkSizes: USUAL });
  const progress: number[] = [];
  const onProgress = ({ doneBytes }: { readonly doneBytes: number }) => progress.push(doneBytes);
  const seed = await openSeed(t, root, index, { threadCount: 2, onProgress });
  t.is(countGood(t, seed, index), index.count);
  t.is(progress.at(-1), index.totalSize);
});

test.serial('nothing is found that is not wanted', async (t) => {
  const root = largeTree(t);
  const other = join(temporaryFolder(t), 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'file'), randomFrom(77).bytes(10_000));
  const seed = await openSeed(t, root, await indexOf(other));
  const own = await indexOf(root);
  t.is(seed.find(own.id(0)), undefined);
  t.is(seed.find('0'.repeat(64) as ChunkId), undefined);
});

test.serial('entries are told of', async (t) => {
  const root = join(temporaryFolder(t), 'tree');
  mkdirSync(join(root, 'sub'), { recursive: true });
  writeFileSync(join(root, 'sub/file'), 'content');
  const told: string[] = [];
  const onEntry = (path: Uint8Array, stage: string) => told.push(`${stage} ${Buffer.from(path)}`);
  const index = await indexOf(root);
  const seed = await openSeed(t, root, index, { onEntry });
  const ends = ['end sub/file', 'end sub', 'end '];
  t.deepEqual(told, ['begin ', 'begin sub', 'begin sub/file', ...ends]);
  t.is(countGood(t, seed, index), index.count);
});

/** What may happen to a file behind the back of the seed. */
const LIES: Readonly<Record<string, (path: string) => void>> = {
  'a flipped bit': (path) => {
    const { atime, mtime } = statSync(path);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 4;
    writeFileSync(path, bytes);
    utimesSync(path, atime, mtime);
  },
  'a file that became shorter': (path) => truncateSync(path, statSync(path).size >> 1),
  'a file that became longer': (path) => appendFileSync(path, 'more'),
  'a file that was rewritten': (path) => writeFileSync(path, randomFrom(5).bytes(2_000_000)),
  'a file that is gone': (path) => rmSync(path),
  'a folder in the place of a file': (path) => {
    rmSync(path);
    mkdirSync(path);
  },
  'a file that has another name': (path) => renameSync(path, `${path}.old`),
};

for (const [name, lie] of Object.entries(LIES)) {
  test.serial(`${name}: chunks around it are good or not given`, async (t) => {
    const root = largeTree(t);
    const index = await indexOf(root, { chunkSizes: USUAL });
    const seed = await openSeed(t, root, index);
    lie(join(root, 'large7'));
    const good = countGood(t, seed, index);
    t.true(good >= index.count - 16, `${good} of ${index.count}`);
  });
}

test.serial('the whole tree replaced by another while it is a seed', async (t) => {
  const root = largeTree(t);
  const index = await indexOf(root);
  const seed = await openSeed(t, root, index);
  for (const path of filesBelow(root)) writeFileSync(path, 'else');
  t.true(countGood(t, seed, index) < index.count);
});

test.serial('files that change while they are searched do no harm', async (t) => {
  const root = largeTree(t);
  const index = await indexOf(root, { chunkSizes: USUAL });
  let isDone = false;
  const onProgress = () => {
    if (isDone) return;
    isDone = true;
    for (const name of readdirSync(root).filter((entry) => entry.endsWith('9'))) {
      if (name.startsWith('large')) rmSync(join(root, name));
    }
    truncateSync(join(root, 'large8'), 1000);
  };
  const seed = await openSeed(t, root, index, { onProgress });
  t.true(countGood(t, seed, index) > index.count / 2);
});

test.serial('a folder that cannot be read is an error that names it', async (t) => {
  const index = await indexOf(largeTree(t));
  const missing = join(temporaryFolder(t), 'missing');
  await t.throwsAsync(openTreeSeed(missing, index, { threadCount: 0 }), {
    message: `${missing}: open: No such file or directory`,
  });
});

test.serial('a signal ends the search', async (t) => {
  const root = largeTree(t);
  const index = await indexOf(root);
  const abort = new AbortController();
  const onProgress = () => abort.abort();
  const { signal } = abort;
  const opening = openTreeSeed(root, index, { threadCount: 2, signal, onProgress });
  await t.throwsAsync(opening, { code: 'ABORTED' });
});

test.serial('deep paths that no single call can open', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'tree');
  const name = 'n'.repeat(200);
  mkdirSync(root);
  t.teardown(() => execFileSync('rm', ['-r', root]));
  const cwd = process.cwd();
  process.chdir(root);
  for (let i = 0; i < 60; i++) {
    mkdirSync(name);
    process.chdir(name);
  }
  writeFileSync('file', randomFrom(6).bytes(50_000));
  process.chdir(cwd);
  const index = await indexOf(root);
  const seed = await openSeed(t, root, index);
  chmodSync(root, 0o700);
  t.is(countGood(t, seed, index), index.count);
});
