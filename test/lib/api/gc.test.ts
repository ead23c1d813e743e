import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type ChunkIndex, IndexBuilder } from '../../../formats/chunk-index.ts';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { type GcEvent, gc } from '../../../lib/api/gc.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import { verifyStore } from '../../../lib/maintain/verify-store.node.ts';
import { processIdentity } from '../../../lib/os/process-identity.node.ts';
import { noise, text } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { canaryTree } from '../../helpers/tree-snapshot.ts';
import { chunkPath, describeStore, storeChunks } from '../maintain/small-store.ts';

const SIZES = { min: 1, avg: 2, max: 3 };

interface Place {
  readonly folder: string;
  readonly store: string;
  readonly kept: ChunkIndex;
  readonly dropped: ChunkIndex;
  readonly keptPath: string;
}

/** A store with the chunks of two indexes, one of which is kept; they share one chunk. */
async function place(t: ExecutionContext): Promise<Place> {
  const folder = temporaryFolder(t);
  const store = join(folder, 'default.castr');
  const [shared, one, two] = [noise(40, 1), noise(50, 2), text(600)];
  const kept = await storeChunks(store, [shared, one, shared]);
  const dropped = await storeChunks(store, [shared, two]);
  const keptPath = join(folder, 'kept.caibx');
  fs.writeFileSync(keptPath, encodeIndex(kept));
  return { folder, store, kept, dropped, keptPath };
}

function filesOf(store: string): readonly string[] {
  return fs
    .readdirSync(store, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(store.length + 1))
    .sort();
}

function age(path: string, hours: number): void {
  const seconds = Date.now() / 1000 - hours * 3600;
  fs.utimesSync(path, seconds, seconds);
}

test('what no index needs is removed, with folders that become empty', async (t) => {
  const { store, kept, dropped, keptPath } = await place(t);
  const garbage = join(store, chunkPath(dropped.id(1)));
  const { size } = fs.statSync(garbage);
  const events: GcEvent[] = [];
  const result = await gc({ indexes: [keptPath], onEvent: (event) => events.push(event) });
  t.deepEqual(result, {
    referenceCount: 3,
    chunkCount: 2,
    removedCount: 1,
    removedFolderCount: 1,
    remainingCount: 2,
    removedBytes: size,
    temporaryCount: 0,
  });
  t.deepEqual(filesOf(store), [chunkPath(kept.id(0)), chunkPath(kept.id(1))].sort());
  t.false(fs.existsSync(dirname(garbage)));
  t.deepEqual(events, [
    { kind: 'usage', referenceCount: 3, chunkCount: 2 },
    { kind: 'chunk', name: `${dropped.id(1)}.cacnk` },
  ]);
  t.false(fs.existsSync(join(store, 'leases')));
});

test('a dry run says the same and changes nothing, not even times', async (t) => {
  const { store, keptPath } = await place(t);
  age(store, 5);
  const before = fs.statSync(store).mtimeMs;
  const files = filesOf(store);
  const dry = await gc({ indexes: [keptPath], dryRun: true });
  t.deepEqual([filesOf(store), fs.statSync(store).mtimeMs], [files, before]);
  const real = await gc({ indexes: [keptPath] });
  t.deepEqual({ ...dry, removedFolderCount: 1 }, real);
});

test('chunks of all indexes stay', async (t) => {
  const { folder, store, dropped, keptPath } = await place(t);
  const other = join(folder, 'other.caidx');
  fs.writeFileSync(other, encodeIndex(dropped));
  const files = filesOf(store);
  const result = await gc({ indexes: [keptPath, other] });
  t.is(result.removedCount, 0);
  t.deepEqual([result.referenceCount, result.chunkCount], [5, 3]);
  t.deepEqual(filesOf(store), files);
});

for (const [what, bad] of Object.entries({
  'is not there': undefined,
  'is damaged': new Uint8Array(100),
  'is cut off': encodeIndex(
    new IndexBuilder().finish({ featureFlags: 0n, chunkSizes: SIZES }),
  ).subarray(0, 90),
})) {
  test(`an index that ${what} ends the run before anything is removed`, async (t) => {
    const { folder, store, keptPath } = await place(t);
    const path = join(folder, 'bad.caibx');
    if (bad !== undefined) fs.writeFileSync(path, bad);
    const files = filesOf(store);
    const code = bad === undefined ? 'INDEX_MISSING' : 'FORMAT';
    const error = await t.throwsAsync(gc({ indexes: [keptPath, path] }), { code });
    t.true(error.message.startsWith(`${path}: open index: `), error.message);
    t.deepEqual(filesOf(store), files);
  });
}

test('everything else in a store is left alone, and so is what lies outside', async (t) => {
  const { folder, store, kept, dropped, keptPath } = await place(t);
  const canary = canaryTree(t);
  const shard = dirname(join(store, chunkPath(kept.id(0))));
  const zeros = '0'.repeat(64);
  const outside = join(folder, 'outside');
  fs.mkdirSync(outside);
  const left = [
    join(store, 'README'),
    join(store, `${zeros}.cacnk`),
    join(folder, `${zeros}.cacnk`),
    join(outside, `${zeros}.cacnk`),
    join(store, 'zzzz', `${zeros}.cacnk`),
    join(store, '00000', `${zeros}.cacnk`),
    join(store, '.git', `${zeros}.cacnk`),
    join(shard, 'notes.cacnk'),
    join(shard, `${zeros.slice(1)}.cacnk`),
    join(shard, `${zeros.toUpperCase().replaceAll('0', 'A')}.cacnk`),
    join(shard, zeros),
    join(shard, `${zeros}.txt`),
    join(shard, `${zeros}.1f.tmp`),
  ];
  for (const path of left) {
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, 'x');
  }
  fs.symlinkSync(outside, join(store, 'abcd'));
  fs.symlinkSync(canary.path, join(store, 'abce'));
  fs.mkdirSync(join(shard, `1${zeros.slice(1)}.cacnk`));
  const result = await gc({ indexes: [keptPath] });
  t.is(result.removedCount, 1);
  for (const path of left) t.true(fs.existsSync(path), path);
  t.true(fs.existsSync(join(store, 'abcd')));
  t.false(fs.existsSync(join(store, chunkPath(dropped.id(1)))));
  canary.assertUntouched();
});

test('a link in place of a chunk that nobody needs is removed, not what it leads to', async (t) => {
  const { folder, store, keptPath } = await place(t);
  const target = join(folder, 'target');
  fs.writeFileSync(target, 'x');
  const link = join(store, '0000', `${'0'.repeat(64)}.cacnk`);
  fs.mkdirSync(dirname(link));
  fs.symlinkSync(target, link);
  const result = await gc({ indexes: [keptPath] });
  t.is(result.removedCount, 2);
  t.throws(() => fs.lstatSync(link), { code: 'ENOENT' });
  t.is(fs.readFileSync(target, 'utf8'), 'x');
});

test('chunks under another suffix count, and those under the usual one do, too', async (t) => {
  const { folder, store, kept, dropped, keptPath } = await place(t);
  await storeChunks(store, [noise(40, 1), text(900)], { suffix: '.xz' });
  const without = await gc({ indexes: [keptPath] });
  t.deepEqual([without.removedCount, without.remainingCount], [1, 2]);
  const result = await gc({ indexes: [keptPath], suffix: '.xz' });
  t.deepEqual([result.removedCount, result.remainingCount], [1, 3]);
  t.true(fs.existsSync(join(store, chunkPath(kept.id(0), '.xz'))));
  t.false(fs.existsSync(join(store, chunkPath(dropped.id(1)))));
  t.true(fs.existsSync(folder));
});

test('unfinished files are removed when they are older than a day', async (t) => {
  const { store, kept, keptPath } = await place(t);
  const shard = dirname(join(store, chunkPath(kept.id(0))));
  const [old, young] = ['1', '2'].map((n) => join(shard, `${kept.id(0)}.${n}f.tmp`));
  for (const path of [old, young]) fs.writeFileSync(path, 'xxx');
  age(old, 25);
  age(young, 23);
  const dry = await gc({ indexes: [keptPath], dryRun: true });
  t.true(fs.existsSync(old));
  const result = await gc({ indexes: [keptPath] });
  t.deepEqual([dry.temporaryCount, result.temporaryCount], [1, 1]);
  t.deepEqual([fs.existsSync(old), fs.existsSync(young)], [false, true]);
});

test('a store that is not there, or a run without an index, is refused', async (t) => {
  const { keptPath, folder } = await place(t);
  const store = join(folder, 'nowhere');
  await t.throwsAsync(gc({ indexes: [keptPath], store }), { code: 'STORE_MISSING' });
  t.false(fs.existsSync(store));
  await t.throwsAsync(gc({ indexes: [] }), { code: 'USAGE' });
});

test('a stop before the end leaves every index complete', async (t) => {
  const { store, kept, keptPath } = await place(t);
  for (let i = 0; i < 50; i++) await storeChunks(store, [noise(100, 100 + 2 * i)]);
  const controller = new AbortController();
  let count = 0;
  const onEvent = () => {
    count += 1;
    if (count === 10) controller.abort();
  };
  const { signal } = controller;
  await t.throwsAsync(gc({ indexes: [keptPath], onEvent, signal }), { code: 'ABORTED' });
  const { problems } = await verifyStore(describeStore(store), { indexes: [kept] });
  t.deepEqual(problems, []);
  t.false(fs.existsSync(join(store, 'leases')));
  const { removedCount } = await gc({ indexes: [keptPath] });
  t.true(removedCount > 30 && removedCount < 51, `${removedCount}`);
});

/** A lease as another process would hold it. */
function plantLease(store: string, name: string, holder: object): string {
  const path = join(store, 'leases', name);
  fs.mkdirSync(dirname(path), { recursive: true });
  fs.writeFileSync(path, JSON.stringify({ ...processIdentity(), ...holder }));
  return path;
}

test('a make that runs is waited for, and then refused', async (t) => {
  const { store, keptPath } = await place(t);
  const lease = plantLease(store, '0123456789abcdef.shared', {});
  const files = filesOf(store);
  const reasons: string[] = [];
  const onWait = (reason: string) => reasons.push(reason);
  const error = await t.throwsAsync(gc({ indexes: [keptPath], waitMs: 100, onWait }), {
    code: 'LEASE_HELD',
  });
  t.regex(
    error.message,
    new RegExp(`^.*default\\.castr: in use by make \\(process ${process.pid}`),
  );
  t.is(reasons.length, 1);
  t.deepEqual(filesOf(store), files);
  t.true(fs.existsSync(lease));
});

test('the lease of a process that is dead is taken away at once', async (t) => {
  const { store, keptPath } = await place(t);
  plantLease(store, '0123456789abcdef.shared', { processStart: '1' });
  plantLease(store, '0123456789abcdef.shared-beat', { processStart: '1' });
  plantLease(store, 'fedcba9876543210.exclusive', { processStart: '1' });
  const { removedCount } = await gc({ indexes: [keptPath], waitMs: 0 });
  t.is(removedCount, 1);
  t.false(fs.existsSync(join(store, 'leases')));
});

test('the lease of another machine holds for ten minutes after its last sign of life', async (t) => {
  const { store, keptPath } = await place(t);
  const lease = plantLease(store, '0123456789abcdef.shared', { machine: 'elsewhere' });
  age(lease, 1);
  const beat = plantLease(store, '0123456789abcdef.shared-beat', { machine: 'elsewhere' });
  age(beat, 9 / 60);
  await t.throwsAsync(gc({ indexes: [keptPath], waitMs: 0 }), { code: 'LEASE_HELD' });
  age(beat, 11 / 60);
  const { removedCount } = await gc({ indexes: [keptPath], waitMs: 0 });
  t.is(removedCount, 1);
});

test('a lease that cannot be read is believed until it is old', async (t) => {
  const { store, keptPath } = await place(t);
  const lease = plantLease(store, '0123456789abcdef.shared', {});
  fs.writeFileSync(lease, 'garbage');
  await t.throwsAsync(gc({ indexes: [keptPath], waitMs: 0 }), { code: 'LEASE_HELD' });
  age(lease, 1);
  t.is((await gc({ indexes: [keptPath], waitMs: 0 })).removedCount, 1);
});

/** Removes a lease when it is waited for, after `before`. */
function ending(lease: string, before: () => void = () => {}): () => void {
  return () => {
    before();
    fs.rmSync(lease);
  };
}

test('the index of a make that was waited for is kept', async (t) => {
  const { folder, store, dropped, keptPath } = await place(t);
  const index = join(folder, 'sub', 'late.caibx');
  fs.mkdirSync(dirname(index));
  const lease = plantLease(store, '0123456789abcdef.shared', { index });
  const onWait = ending(lease, () => fs.writeFileSync(index, encodeIndex(dropped)));
  const events: GcEvent[] = [];
  const result = await gc({ indexes: [keptPath], onWait, onEvent: (event) => events.push(event) });
  t.is(result.removedCount, 0);
  t.deepEqual(events[0], { kind: 'kept-index', path: index });
});

test('a make that was waited for and made no index keeps nothing', async (t) => {
  const { folder, store, keptPath } = await place(t);
  const index = join(folder, 'never.caibx');
  const lease = plantLease(store, '0123456789abcdef.shared', { index });
  t.is((await gc({ indexes: [keptPath], onWait: ending(lease) })).removedCount, 1);
});

for (const [where, holder] of Object.entries({
  'was written to a descriptor': {},
  'is in another file system': { index: '/x.caibx', fileSystem: 'elsewhere' },
})) {
  test(`nothing is removed if a make was waited for whose index ${where}`, async (t) => {
    const { store, keptPath } = await place(t);
    const lease = plantLease(store, '0123456789abcdef.shared', holder);
    const files = filesOf(store).filter((path) => !path.startsWith('leases/'));
    const running = gc({ indexes: [keptPath], onWait: ending(lease) });
    await t.throwsAsync(running, { code: 'LEASE_HELD', message: /begin again/ });
    t.deepEqual(filesOf(store), files);
  });
}

test('indexes beside the named ones are kept if they are younger than the names', async (t) => {
  const { folder, dropped, keptPath } = await place(t);
  const late = join(folder, 'late.caibx');
  fs.writeFileSync(late, encodeIndex(dropped));
  const namesReadAt = new Date(Date.now() - 60_000);
  t.is((await gc({ indexes: [keptPath], namesReadAt })).removedCount, 0);
  const { referenceCount } = await gc({ indexes: [keptPath, late], namesReadAt });
  t.is(referenceCount, 5);
  // Files are dated by a clock that may be behind.
  const hardlyLater = new Date(fs.statSync(late).ctimeMs + 10);
  t.is((await gc({ indexes: [keptPath], namesReadAt: hardlyLater })).removedCount, 0);
  const later = new Date(Date.now() + 60_000);
  t.is((await gc({ indexes: [keptPath], namesReadAt: later })).removedCount, 1);
});

test('a make waits for a gc that runs, and is refused if that does not end', async (t) => {
  const { folder, store } = await place(t);
  const input = join(folder, 'input');
  fs.writeFileSync(input, noise(1000));
  const lease = plantLease(store, '0123456789abcdef.exclusive', {});
  const output = join(folder, 'new.caibx');
  const made = make({ input, output, onWait: ending(lease), threadCount: 0 });
  t.is((await made).statistics.chunkCount, 1);
  plantLease(store, '0123456789abcdef.exclusive', {});
  const controller = new AbortController();
  const { signal } = controller;
  const stopped = make({ input, output, signal, onWait: () => controller.abort() });
  await t.throwsAsync(stopped, { code: 'ABORTED' });
});

test('make and gc after each other in one program do what they say', async (t) => {
  const { folder, store, keptPath } = await place(t);
  const input = join(folder, 'input');
  fs.writeFileSync(input, noise(1000));
  await make({ input, output: join(folder, 'new.caibx'), threadCount: 0 });
  t.is((await gc({ indexes: [keptPath] })).removedCount, 2);
  t.false(fs.existsSync(join(store, 'leases')));
});
