// With a cache the index is the same as without, whatever happened between two archives.
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import type { LocalStoreDescription } from '../../../lib/local-store.node.ts';
import type { ByteSink } from '../../../lib/make/byte-sink.ts';
import {
  type CachedIndex,
  type CachedIndexOptions,
  makeCachedIndex,
} from '../../../lib/make/cached-index.node.ts';
import { packTree } from '../../../lib/make/pack-tree.node.ts';
import { segmentsOfStream } from '../../../lib/make/segment.ts';
import { StreamStorer } from '../../../lib/make/store-stream.node.ts';
import type { ChunkStore } from '../../../store/chunk-store.ts';
import { packHere } from '../../helpers/packing.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { editTree, makeEditableTree } from '../../property/edits.ts';
import { type Random, randomFrom } from '../../property/random.ts';

const FLAGS = 0xb0000001ffeffe26n;
const UNIX_FLAGS = 0x9000000000001f09n;
const SMALL = { min: 256, avg: 1024, max: 4096 };
const HOUR = 3_600_000;
/** When all files have been at rest for long. */
const later = (): number => Date.now() + HOUR;

interface MemoryStore extends ChunkStore {
  readonly chunks: Map<ChunkId, Uint8Array>;
}

function memoryStore(): MemoryStore {
  const chunks = new Map<ChunkId, Uint8Array>();
  return {
    label: 'memory',
    chunks,
    has: async (id) => chunks.has(id),
    get: async (id) => chunks.get(id) ?? new Uint8Array(0),
    async put(id, plain) {
      if (chunks.has(id)) return 'present';
      chunks.set(id, plain.slice());
      return 'stored';
    },
    flush: async () => {},
    close: async () => {},
  };
}

/** A sink that keeps what it is given. */
function memorySink(): ByteSink & { readonly parts: Buffer[] } {
  const parts: Buffer[] = [];
  return {
    parts,
    write: (bytes) => {
      parts.push(Buffer.from(bytes));
    },
    commit: async () => {},
    discard: async () => {},
  };
}

interface Way {
  readonly flags?: bigint;
  readonly chunkSizes?: typeof SMALL;
  readonly chunker?: 'buzhash' | 'fastcdc';
}

function optionsOf(
  { flags = FLAGS, chunkSizes = SMALL, chunker = 'buzhash' }: Way,
  store: ChunkStore | LocalStoreDescription,
) {
  const walk = { label: 'tree', featureFlags: flags, applyExcludeFiles: true };
  return { store, header: { featureFlags: flags, chunkSizes }, chunker, threadCount: 0, walk };
}

/** The index that is made without a cache. */
async function plainIndex(root: string, way: Way): Promise<Buffer> {
  const options = optionsOf(way, memoryStore());
  const storer = new StreamStorer(options);
  const pieces = packTree(Buffer.from(root), options.walk, packHere);
  const { index } = await storer.store(segmentsOfStream(pieces));
  await storer.close();
  return Buffer.from(encodeIndex(index));
}

interface Made extends CachedIndex {
  readonly bytes: Buffer;
}

async function cachedIndex(
  root: string,
  cache: string,
  store: ChunkStore | LocalStoreDescription,
  { more = {}, ...way }: Way & { readonly more?: Partial<CachedIndexOptions> } = {},
): Promise<Made> {
  const descriptor = openSync(root, 'r');
  const sink = memorySink();
  const onCacheFailure = (error: unknown) => {
    throw error;
  };
  try {
    const options = { ...optionsOf(way, store), cache, onCacheFailure, now: later, ...more };
    const made = await makeCachedIndex(descriptor, sink, options);
    return { ...made, bytes: Buffer.concat(sink.parts) };
  } finally {
    closeSync(descriptor);
  }
}

/** Every chunk of an index is in the store, and is what its name says. */
function checkStore(t: ExecutionContext, made: CachedIndex, store: MemoryStore): void {
  const digest = createDigest(made.index.digest);
  for (let i = 0; i < made.index.count; i++) {
    const chunk = store.chunks.get(made.index.id(i));
    t.is(chunk?.length, made.index.size(i));
    t.is(chunk && digest.hash(chunk), made.index.id(i));
  }
}

const WAYS: readonly Way[] = [
  {},
  { flags: UNIX_FLAGS },
  { chunkSizes: { min: 16, avg: 64, max: 256 } },
  { chunker: 'fastcdc' },
  { chunkSizes: { min: 1000, avg: 1000, max: 1000 } },
];

function script(
  t: ExecutionContext,
  seed: number,
): { root: string; random: Random; cache: string } {
  const folder = temporaryFolder(t);
  const random = randomFrom(seed);
  const root = join(folder, 'tree');
  makeEditableTree(root, random);
  return { root, random, cache: random.chance(0.3) ? join(root, 'cache') : join(folder, 'cache') };
}

const SCRIPTS = 200;
const AT_ONCE = 10;

for (let first = 0; first < SCRIPTS; first += AT_ONCE) {
  test.serial(`edit scripts ${first} to ${first + AT_ONCE - 1}`, async (t) => {
    let hitCount = 0;
    for (let seed = first; seed < first + AT_ONCE; seed++) {
      const { root, random, cache } = script(t, seed);
      const store = memoryStore();
      for (let step = 0; step < 8; step++) {
        const way = random.chance(0.7) ? WAYS[0] : random.pick(WAYS);
        const made = await cachedIndex(root, cache, store, way);
        // The folder of the cache is there from now on.
        const expected = await plainIndex(root, way);
        t.true(made.bytes.equals(expected), `seed ${seed}, step ${step}`);
        checkStore(t, made, store);
        hitCount += made.statistics.hitCount;
        editTree(root, random);
      }
    }
    t.true(hitCount > AT_ONCE);
  });
}

/** A tree of 40 files of noise in a new folder, its cache and its store. */
function fixture(t: ExecutionContext) {
  const folder = temporaryFolder(t);
  const root = join(folder, 'tree');
  mkdirSync(root);
  const random = randomFrom(7);
  for (let i = 10; i < 50; i++) writeFileSync(join(root, `f${i}`), random.bytes(1500));
  return { folder, root, cache: join(folder, 'cache'), store: memoryStore() };
}

function cacheFiles(cache: string): readonly string[] {
  return readdirSync(cache).map((name) => join(cache, name));
}

test.serial('an archive that has not changed is known entirely', async (t) => {
  const { root, cache, store } = fixture(t);
  const first = await cachedIndex(root, cache, store);
  t.is(first.statistics.hitCount, 0);
  t.is(first.statistics.addedCount, first.index.count);
  const before = lstatSync(cacheFiles(cache)[0], { bigint: true });
  const second = await cachedIndex(root, cache, store);
  t.true(second.bytes.equals(first.bytes));
  const hits = { hitCount: second.index.count, missCount: 0, invalidatedCount: 0, addedCount: 0 };
  t.deepEqual(second.statistics, hits);
  const after = lstatSync(cacheFiles(cache)[0], { bigint: true });
  t.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs]);
});

test.serial('only what is around a change is read', async (t) => {
  const { root, cache, store } = fixture(t);
  await cachedIndex(root, cache, store);
  appendFileSync(join(root, 'f30'), 'more');
  mkdirSync(join(root, 'f20a'));
  const made = await cachedIndex(root, cache, store);
  t.true(made.bytes.equals(await plainIndex(root, {})));
  t.true(made.statistics.hitCount > made.index.count / 2);
});

test.serial('files that changed a moment ago are not remembered', async (t) => {
  const { root, cache, store } = fixture(t);
  const made = await cachedIndex(root, cache, store, { more: { now: Date.now } });
  t.true(made.statistics.addedCount < made.index.count / 4);
  const again = await cachedIndex(root, cache, store);
  t.true(again.statistics.hitCount < made.index.count / 4);
});

test.serial('the clock of the file system decides, not that of the file', async (t) => {
  const { root, cache, store } = fixture(t);
  for (const name of readdirSync(root)) utimesSync(join(root, name), 1, 1);
  const made = await cachedIndex(root, cache, store, { more: { now: Date.now } });
  t.true(made.statistics.addedCount < made.index.count / 4);
});

test.serial('files in memory are not remembered: not every change of them is dated', async (t) => {
  const folder = mkdtempSync('/dev/shm/casync-test-');
  t.teardown(() => rmSync(folder, { recursive: true }));
  const root = join(folder, 'tree');
  mkdirSync(root);
  const random = randomFrom(7);
  for (let i = 10; i < 30; i++) writeFileSync(join(root, `f${i}`), random.bytes(1500));
  const cache = join(temporaryFolder(t), 'cache');
  const store = memoryStore();
  const made = await cachedIndex(root, cache, store);
  t.true(made.bytes.equals(await plainIndex(root, {})));
  t.true(made.statistics.addedCount < made.index.count / 4);
});

test.serial('a chunk that the store has lost is stored again', async (t) => {
  const { root, cache, store } = fixture(t);
  const made = await cachedIndex(root, cache, store);
  for (const i of [0, 3, 4, made.index.count - 1]) store.chunks.delete(made.index.id(i));
  const again = await cachedIndex(root, cache, store);
  t.true(again.bytes.equals(made.bytes));
  checkStore(t, again, store);
});

test.serial('another store gets all chunks', async (t) => {
  const { root, cache, store } = fixture(t);
  const made = await cachedIndex(root, cache, store);
  const other = memoryStore();
  const again = await cachedIndex(root, cache, other);
  t.true(again.bytes.equals(made.bytes));
  checkStore(t, again, other);
});

test.serial('a cache that is damaged anywhere is ignored and written anew', async (t) => {
  const { root, cache, store } = fixture(t);
  const { bytes } = await cachedIndex(root, cache, store);
  const [path] = cacheFiles(cache);
  const good = readFileSync(path);
  const random = randomFrom(99);
  const damaged: Buffer[] = [Buffer.alloc(0), Buffer.alloc(good.length), good.subarray(0, 47)];
  for (let i = 0; i < 40; i++) {
    damaged.push(good.subarray(0, random.integer(0, good.length - 1)));
    const flipped = Buffer.from(good);
    flipped[random.integer(0, good.length - 1)] ^= 1 << random.integer(0, 7);
    damaged.push(flipped, Buffer.concat([good, random.bytes(random.integer(1, 200))]));
  }
  for (const content of damaged) {
    writeFileSync(path, content);
    const made = await cachedIndex(root, cache, store);
    t.true(made.bytes.equals(bytes));
    t.is(made.statistics.hitCount, 0);
    t.true(readFileSync(path).equals(good));
  }
});

test.serial('a cache that others could have written is ignored', async (t) => {
  const { root, cache, store } = fixture(t);
  await cachedIndex(root, cache, store);
  const [path] = cacheFiles(cache);
  chmodSync(path, 0o622);
  t.is((await cachedIndex(root, cache, store)).statistics.hitCount, 0);
  rmSync(path);
  mkdirSync(path);
  const failures: unknown[] = [];
  const onCacheFailure = (error: unknown) => failures.push(error);
  const made = await cachedIndex(root, cache, store, { more: { onCacheFailure } });
  t.is(made.statistics.hitCount, 0);
  t.is(failures.length, 1);
});

test.serial('trees and ways to archive them share a folder and nothing else', async (t) => {
  const { folder, root, cache, store } = fixture(t);
  const other = join(folder, 'other');
  makeEditableTree(other, randomFrom(3));
  for (const way of WAYS) {
    for (const tree of [root, other]) await cachedIndex(tree, cache, store, way);
  }
  t.is(cacheFiles(cache).length, 2 * WAYS.length);
  for (const way of WAYS) {
    for (const tree of [root, other]) {
      const made = await cachedIndex(tree, cache, store, way);
      t.is(made.statistics.hitCount, made.index.count);
      t.true(made.bytes.equals(await plainIndex(tree, way)));
    }
  }
});

test.serial('the folder of the cache leaves itself out of the tree', async (t) => {
  const { root, store } = fixture(t);
  utimesSync(root, 1, 1);
  const expected = await plainIndex(root, {});
  const cache = join(root, '.cacac');
  mkdirSync(cache);
  utimesSync(root, 1, 1);
  for (let i = 0; i < 3; i++) {
    t.true((await cachedIndex(root, cache, store)).bytes.equals(expected));
  }
  t.is(cacheFiles(cache).length, 1);
});

test.serial('where it is archived it does not change', async (t) => {
  const { root, store } = fixture(t);
  const way = { flags: 0x30000001fffffe26n };
  for (const cache of [join(root, '.cacac'), root]) {
    const first = await cachedIndex(root, cache, store, way);
    const again = await cachedIndex(root, cache, store, way);
    t.true(again.bytes.equals(first.bytes));
    t.true(again.bytes.equals(await plainIndex(root, way)));
  }
});

test.serial('only the last component of the folder is made', async (t) => {
  const { folder, root, store } = fixture(t);
  await t.throwsAsync(cachedIndex(root, join(folder, 'no/such'), store), {
    message: /no\/such: create folder: No such file or directory/,
  });
  writeFileSync(join(folder, 'file'), '');
  await t.throwsAsync(cachedIndex(root, join(folder, 'file'), store), {
    message: /file: open: Not a directory/,
  });
});

/** A store that does something when it gets its first chunk. */
function storeThat(act: () => void): MemoryStore {
  const store = memoryStore();
  let isDone = false;
  const put: ChunkStore['put'] = (id, plain) => {
    if (!isDone) act();
    isDone = true;
    return store.put(id, plain);
  };
  return { ...store, put };
}

/** Files enough that the last of them is read long after the first chunk was stored. */
function largeFixture(t: ExecutionContext) {
  const { folder, root, cache } = fixture(t);
  const random = randomFrom(8);
  for (let i = 50; i < 90; i++) writeFileSync(join(root, `f${i}`), random.bytes(400_000));
  return { folder, root, cache };
}

test.serial('a file that changes before it is read is told of and not remembered', async (t) => {
  const { root, cache } = largeFixture(t);
  const reports: string[] = [];
  const store = storeThat(() => appendFileSync(join(root, 'f89'), 'more'));
  const walk = {
    ...optionsOf({}, store).walk,
    onIncomplete: (label: string, reason: string) => reports.push(`${label}: ${reason}`),
  };
  await cachedIndex(root, cache, store, { more: { walk } });
  // Looked at again by then, or not: both are allowed, silence about a mixture is not.
  t.true(reports.every((report) => report === 'tree/f89: file changed while it was read'));
  const again = await cachedIndex(root, cache, store);
  t.true(again.bytes.equals(await plainIndex(root, {})));
});

test.serial('a file that vanishes before it is read is left out, as without a cache', async (t) => {
  const { root, cache } = largeFixture(t);
  const store = storeThat(() => {
    for (const name of readdirSync(root).slice(-20)) rmSync(join(root, name));
  });
  const made = await cachedIndex(root, cache, store);
  t.true(made.bytes.equals(await plainIndex(root, {})));
  checkStore(t, made, store);
  const again = await cachedIndex(root, cache, store);
  t.true(again.bytes.equals(made.bytes));
});

test.serial('two at once on threads, into one store and one cache', async (t) => {
  const { folder, root, cache } = largeFixture(t);
  const description: LocalStoreDescription = {
    folder: join(folder, 'store'),
    digests: ['sha512-256', 'sha256'],
    compression: 'zstd',
    suffix: '.cacnk',
    sync: 'none',
  };
  const chunkSizes = { min: 16384, avg: 65536, max: 262144 };
  const way = { chunkSizes, more: { threadCount: 2 } };
  const expected = await plainIndex(root, { chunkSizes });
  for (let i = 0; i < 3; i++) {
    const both = [0, 1].map(() => cachedIndex(root, cache, description, way));
    for (const made of await Promise.all(both)) t.true(made.bytes.equals(expected));
  }
  t.is(cacheFiles(cache).length, 1);
  t.false(existsSync(join(root, 'cache')));
  renameSync(root, `${root}2`);
});
