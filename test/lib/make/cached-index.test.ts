// With a cache the index is the same as without, whatever happened between two archives.
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
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
        hitCount += made.cache.hitCount;
        editTree(root, random);
      }
    }
    t.true(hitCount > AT_ONCE);
  });
}
