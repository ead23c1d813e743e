import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { ChunkIndex } from '../../../formats/chunk-index.ts';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { type ExtractBlobOptions, extractBlob } from '../../../lib/extract/blob.node.ts';
import type { LocalStoreDescription } from '../../../lib/local-store.node.ts';
import type { ExtractStatistics } from '../../../lib/statistics.ts';
import { noise } from '../../helpers/golden.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import { storeBlob, storeIn } from '../../helpers/stored-blob.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LENGTH = 1_500_000;

interface Scene {
  readonly folder: string;
  readonly store: LocalStoreDescription;
  /** Has nothing in it. */
  readonly emptyStore: LocalStoreDescription;
  readonly content: Buffer;
  readonly index: ChunkIndex;
  readonly output: string;
}

async function scene(
  t: ExecutionContext,
  content: Buffer = Buffer.from(noise(LENGTH, 7)),
  folder = temporaryFolder(t),
): Promise<Scene> {
  const store = storeIn(folder);
  const index = await storeBlob(content, store);
  const emptyStore = storeIn(folder, 'empty.castr');
  return { folder, store, emptyStore, content, index, output: join(folder, 'output') };
}

function extract(
  { index, output, store }: Scene,
  options: Partial<ExtractBlobOptions> = {},
): Promise<ExtractStatistics> {
  return extractBlob(index, output, {
    sources: { stores: [store] },
    seeds: [],
    onSeedFailure: (_seed, error) => {
      throw error;
    },
    seedOutput: true,
    reflink: true,
    punchHoles: true,
    durable: false,
    threadCount: 0,
    ...options,
  });
}

function seedOf({ folder }: Scene, bytes: Uint8Array, name = 'seed.raw'): string {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
}

/** A few bytes changed here and there. */
function withChanges(content: Buffer, ...offsets: readonly number[]): Buffer {
  const changed = Buffer.from(content);
  for (const offset of offsets) changed[offset] ^= 0xff;
  return changed;
}

function isRight(t: ExecutionContext, { output, content }: Scene): void {
  t.true(readFileSync(output).equals(content));
}

test('a seed that holds everything needs no store', async (t) => {
  const here = await scene(t);
  const seed = seedOf(here, here.content);
  const statistics = await extract(here, { seeds: [seed], sources: { stores: [here.emptyStore] } });
  isRight(t, here);
  t.is(statistics.localSeed.byteCount, LENGTH);
  t.is(statistics.localStore.chunkCount, 0);
});

test('what has moved in a seed is found', async (t) => {
  const here = await scene(t);
  const moved = Buffer.concat([noise(70_001, 3), here.content.subarray(400_000), noise(10, 5)]);
  const seed = seedOf(here, moved);
  const { localSeed } = await extract(here, { seeds: [seed] });
  isRight(t, here);
  t.true(localSeed.byteCount > LENGTH - 400_000 - 40_000, `${localSeed.byteCount}`);
});

test('parts of several seeds make up the whole', async (t) => {
  const here = await scene(t);
  const first = seedOf(here, here.content.subarray(0, 900_000), 'first');
  const second = seedOf(here, here.content.subarray(700_000), 'second');
  await extract(here, { seeds: [first, second], sources: { stores: [here.emptyStore] } });
  isRight(t, here);
});

test('seeds serve streams, too', async (t) => {
  const here = await scene(t);
  const seed = seedOf(here, here.content.subarray(5000));
  const fd = openSync(here.output, 'w');
  const options = { ...here, output: fd };
  const { localSeed } = await extractBlob(options.index, fd, {
    sources: { stores: [here.store] },
    seeds: [seed],
    onSeedFailure: () => t.fail(),
    seedOutput: true,
    reflink: true,
    punchHoles: true,
    durable: false,
    threadCount: 0,
  });
  closeSync(fd);
  isRight(t, here);
  t.true(localSeed.byteCount > LENGTH - 60_000);
});

test('a seed whose bits have flipped cannot spoil the output', async (t) => {
  const here = await scene(t);
  const seed = seedOf(here, withChanges(here.content, 5, 500_000, LENGTH - 1));
  const { localSeed, localStore } = await extract(here, { seeds: [seed] });
  isRight(t, here);
  t.true(localStore.chunkCount >= 3 && localStore.chunkCount < 10);
  t.is(localSeed.byteCount + localStore.byteCount, LENGTH);
});

test('a missing chunk fails by name, and leaves nothing', async (t) => {
  const here = await scene(t);
  const seed = seedOf(here, withChanges(here.content, 500_000));
  const id = here.index.id(here.index.chunkAt(500_000));
  const options = { seeds: [seed], sources: { stores: [here.emptyStore] } };
  const error = await t.throwsAsync(extract(here, options));
  t.regex(error?.message ?? '', new RegExp(id));
  t.false(existsSync(here.output));
  t.deepEqual(readdirSync(here.folder).sort(), ['seed.raw', 'store.castr']);
});

test('the index beside a seed saves the search, if it is true', async (t) => {
  const here = await scene(t);
  const old = Buffer.concat([noise(33_333, 3), here.content]);
  const seed = seedOf(here, old);
  const index = await storeBlob(old, here.emptyStore);
  writeFileSync(join(here.folder, 'seed.caibx'), encodeIndex(index));
  const { localSeed } = await extract(here, { seeds: [seed] });
  isRight(t, here);
  t.true(localSeed.byteCount > LENGTH - 40_000);
});

test('a stale index beside a seed does no harm', async (t) => {
  const here = await scene(t);
  const other = noise(LENGTH, 99);
  const index = await storeBlob(
    Buffer.concat([other.subarray(0, 800_000), here.content]).subarray(0, LENGTH),
    here.emptyStore,
  );
  const seed = seedOf(here, here.content);
  writeFileSync(`${seed}.caibx`, encodeIndex(index));
  const { localSeed } = await extract(here, { seeds: [seed], sources: { stores: [here.store] } });
  isRight(t, here);
  t.is(localSeed.byteCount, LENGTH);
});

test('a directory without the right chunks, a missing seed and a fifo are no reason to fail', async (t) => {
  const here = await scene(t);
  const failed: string[] = [];
  await extract(here, {
    seeds: [join(here.folder, 'nothing'), '/dev/null', here.folder],
    onSeedFailure: (seed) => failed.push(seed),
  });
  isRight(t, here);
  t.deepEqual(failed, [join(here.folder, 'nothing'), '/dev/null']);
});

for (const seedOutput of [true, false]) {
  test(`over an older version, ${seedOutput ? 'updating' : 'replacing'} it`, async (t) => {
    const here = await scene(t);
    for (const length of [LENGTH, LENGTH - 4097, LENGTH + 100_001, 0]) {
      const old = Buffer.concat([withChanges(here.content, 1, 700_000), noise(200_000, 1)]);
      writeFileSync(here.output, old.subarray(0, length));
      chmodSync(here.output, 0o640);
      await extract(here, { seedOutput });
      isRight(t, here);
      t.is(statSync(here.output).mode & 0o777, 0o640);
    }
    t.deepEqual(readdirSync(here.folder).sort(), ['output', 'store.castr']);
  });
}

test('an update needs only the chunks that have changed, and keeps the file', async (t) => {
  const here = await scene(t);
  writeFileSync(here.output, withChanges(here.content, 100_000, 100_001, 900_000));
  const { ino } = statSync(here.output);
  const { localStore, keptBytes } = await extract(here);
  isRight(t, here);
  t.is(statSync(here.output).ino, ino);
  t.true(localStore.chunkCount <= 3);
  // Three blocks are enough for two places.
  t.true(keptBytes >= LENGTH - 3 * 4096, `${keptBytes}`);
});

test('an output that is right already is not touched', async (t) => {
  const here = await scene(t);
  writeFileSync(here.output, here.content);
  const before = statSync(here.output, { bigint: true });
  await extract(here, { sources: { stores: [here.emptyStore] } });
  const after = statSync(here.output, { bigint: true });
  t.is(after.ino, before.ino);
  t.is(after.mtimeNs, before.mtimeNs);
  t.is(after.ctimeNs, before.ctimeNs);
});

test('an output in which everything has moved is written anew from itself', async (t) => {
  const here = await scene(t);
  writeFileSync(here.output, Buffer.concat([noise(30_003, 3), here.content]));
  const { localSeed } = await extract(here);
  isRight(t, here);
  t.true(localSeed.byteCount > LENGTH - 60_000, `${localSeed.byteCount}`);
});

test('an update whose chunks are missing leaves the old version', async (t) => {
  const here = await scene(t);
  const old = withChanges(here.content, 100_000, 900_000);
  writeFileSync(here.output, old);
  await t.throwsAsync(extract(here, { sources: { stores: [here.emptyStore] } }));
  t.true(readFileSync(here.output).equals(old));
  t.deepEqual(readdirSync(here.folder).sort(), ['output', 'store.castr']);
});

test('zeros in the place of data become holes or zeros', async (t) => {
  const content = Buffer.concat([noise(300_000, 1), Buffer.alloc(600_000), noise(300_000, 2)]);
  const here = await scene(t, content);
  for (const punchHoles of [true, false]) {
    writeFileSync(
      here.output,
      Buffer.concat([noise(300_000, 1), noise(600_000, 9), noise(300_000, 2)]),
    );
    await extract(here, { punchHoles });
    isRight(t, here);
  }
});

test('a seed that is rewritten while it is read cannot spoil the output', async (t) => {
  const here = await scene(t);
  const seed = seedOf(here, here.content);
  const fd = openSync(seed, 'r+');
  t.teardown(() => closeSync(fd));
  let turns = 0;
  await extract(here, {
    seeds: [seed],
    onProgress: () => {
      writeSync(fd, noise(50_000, turns), 0, 50_000, (turns * 77_777) % LENGTH);
      turns += 1;
    },
  });
  isRight(t, here);
  t.true(turns > 1);
});

test('whatever seeds and old outputs hold, the output is right', async (t) => {
  const here = await scene(t);
  const piece = fc.record({
    start: fc.integer({ min: 0, max: LENGTH }),
    length: fc.integer({ min: 0, max: 400_000 }),
    isNoise: fc.boolean(),
  });
  const pieces = fc.array(piece, { maxLength: 6 });
  const build = (parts: readonly { start: number; length: number; isNoise: boolean }[]): Buffer =>
    Buffer.concat(
      parts.map(({ start, length, isNoise }) =>
        isNoise ? noise(length, start) : here.content.subarray(start, start + length),
      ),
    );
  await fc.assert(
    fc.asyncProperty(pieces, pieces, fc.boolean(), async (old, seedParts, seedOutput) => {
      writeFileSync(here.output, build(old));
      const seed = seedOf(here, build(seedParts));
      await extract(here, { seeds: [seed], seedOutput });
      return readFileSync(here.output).equals(here.content);
    }),
    { numRuns: 40 },
  );
  t.pass();
});

test('a device keeps what it holds, and only blocks that differ are written', async (t) => {
  if (!requirement(t, { root: true, commands: ['losetup'] })) return;
  const here = await scene(t);
  const image = join(here.folder, 'image');
  const rest = Buffer.from(noise(500_000, 4));
  writeFileSync(
    image,
    Buffer.concat([withChanges(here.content, 3, 800_000), rest, Buffer.alloc(384)]),
  );
  const device = execFileSync('losetup', ['--show', '-f', image], { encoding: 'utf8' }).trim();
  t.teardown(() => {
    execFileSync('losetup', ['-d', device]);
  });
  const sectorsWritten = (): number => {
    const name = device.slice('/dev/'.length);
    return Number(readFileSync(`/sys/block/${name}/stat`, 'latin1').trim().split(/ +/)[6]);
  };
  const before = sectorsWritten();
  const { localStore } = await extract({ ...here, output: device });
  t.true((sectorsWritten() - before) * 512 <= 2 * 4096, `${sectorsWritten() - before} sectors`);
  t.true(localStore.chunkCount <= 2);
  t.true(readFileSync(device).equals(Buffer.concat([here.content, rest, Buffer.alloc(384)])));
});

test('what has moved on a device is found there, or fetched', async (t) => {
  if (!requirement(t, { root: true, commands: ['losetup'] })) return;
  for (const [head, kept] of [
    [noise(100_352, 1), 0],
    [new Uint8Array(0), 100_352],
  ] as const) {
    const here = await scene(t);
    const image = join(here.folder, 'image');
    const old = Buffer.concat([head, here.content.subarray(kept), noise(200_000, 2)]);
    writeFileSync(image, old.subarray(0, old.length - (old.length % 512)));
    const device = execFileSync('losetup', ['--show', '-f', image], { encoding: 'utf8' }).trim();
    t.teardown(() => {
      execFileSync('losetup', ['-d', device]);
    });
    await extract({ ...here, output: device });
    t.true(readFileSync(device).subarray(0, LENGTH).equals(here.content));
  }
});

for (const type of ['xfs', 'btrfs'] as const) {
  test(`on ${type} a new file shares the blocks of its seed`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const here = await scene(t, undefined, loopMount(t, type));
    const seed = seedOf(here, withChanges(here.content, 20_000, 800_000));
    const { reflinkBytes } = await extract(here, { seeds: [seed] });
    isRight(t, here);
    t.true(reflinkBytes >= LENGTH - 3 * 4096, `${reflinkBytes}`);
  });

  test(`on ${type} what has moved by whole blocks shares them, too`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const here = await scene(t, undefined, loopMount(t, type));
    const seed = seedOf(here, Buffer.concat([noise(40_960, 3), here.content]));
    const { reflinkBytes } = await extract(here, { seeds: [seed] });
    isRight(t, here);
    t.true(reflinkBytes > LENGTH / 2, `${reflinkBytes}`);
  });

  test(`on ${type} an update is a new file that shares what is the same`, async (t) => {
    if (!requirement(t, loopMountNeeds(type))) return;
    const here = await scene(t, undefined, loopMount(t, type));
    writeFileSync(here.output, withChanges(here.content, 20_000, 800_000));
    const { ino } = statSync(here.output);
    const { reflinkBytes } = await extract(here);
    isRight(t, here);
    t.not(statSync(here.output).ino, ino);
    t.true(reflinkBytes >= LENGTH - 3 * 4096, `${reflinkBytes}`);
    const before = statSync(here.output, { bigint: true });
    await extract(here);
    t.is(statSync(here.output, { bigint: true }).ctimeNs, before.ctimeNs);
  });
}
