/** What make and extract of the library take and give (spec/api.md). */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { CasError } from '../../../formats/errors.ts';
import { FEATURE, featureNames } from '../../../formats/feature-flags.ts';
import { extract } from '../../../lib/api/extract.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import type { Input } from '../../../lib/api/options.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const BYTES = noise(400_000);
const DIGEST = createHash('sha256').update(BYTES).digest('hex') as ChunkId;

function folderWithBlob(t: ExecutionContext): (name: string) => string {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), BYTES);
  return (name) => join(folder, name);
}

function folderWithTree(t: ExecutionContext): (name: string) => string {
  const path = folderWithBlob(t);
  mkdirSync(path('tree/sub'), { recursive: true });
  writeFileSync(path('tree/a'), BYTES);
  writeFileSync(path('tree/sub/b'), 'b');
  return path;
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += 1000) yield bytes.subarray(i, i + 1000);
}

/** All forms in which bytes can be given. */
const FORMS: Readonly<Record<string, (path: string) => Input>> = {
  'a path': (path) => path,
  'a descriptor': (path) => openSync(path, 'r'),
  bytes: (path) => readFileSync(path),
  'a stream': (path) => inPieces(readFileSync(path)),
};

for (const [form, inputOf] of Object.entries(FORMS)) {
  test(`a blob and its index may be ${form}`, async (t) => {
    const path = folderWithBlob(t);
    const store = path('store');
    const blob = inputOf(path('blob'));
    const made = await make({ input: blob, output: path('x.caibx'), store });
    t.is(made.digest, DIGEST);
    t.is(made.kind, 'blob-index');
    const index = inputOf(path('x.caibx'));
    const result = await extract({ input: index, kind: 'blob-index', output: path('out'), store });
    t.deepEqual(new Uint8Array(readFileSync(path('out'))), BYTES);
    t.is(result.statistics.localStore.byteCount, BYTES.length);
    for (const input of [blob, index]) if (typeof input === 'number') closeSync(input);
  });

  test(`an archive may be ${form}`, async (t) => {
    const path = folderWithTree(t);
    await make({ input: path('tree'), output: path('x.catar') });
    const input = inputOf(path('x.catar'));
    await extract({ input, kind: 'archive', output: path('out') });
    t.deepEqual(new Uint8Array(readFileSync(path('out/a'))), BYTES);
    if (typeof input === 'number') closeSync(input);
  });
}

test('the suffix says what is made, else the input', async (t) => {
  const path = folderWithTree(t);
  const kinds: string[] = [];
  for (const [input, output] of [
    ['tree', 'x.catar'],
    ['tree', 'x.caidx'],
    ['tree', 'plain'],
    ['blob', 'x.caibx'],
    ['blob', 'plain'],
  ]) {
    kinds.push((await make({ input: path(input), output: path(output) })).kind);
  }
  t.deepEqual(kinds, ['archive', 'archive-index', 'archive', 'blob-index', 'blob-index']);
});

test('the store lies beside the index unless another one is named', async (t) => {
  const path = folderWithBlob(t);
  mkdirSync(path('deep'));
  await make({ input: path('blob'), output: path('deep/x.caibx') });
  t.true(existsSync(path('deep/default.castr')));
  await extract({ input: path('deep/x.caibx'), output: path('out') });
  t.deepEqual(new Uint8Array(readFileSync(path('out'))), BYTES);
});

test('chunks that are there are counted as reused', async (t) => {
  const path = folderWithBlob(t);
  const options = { input: path('blob'), output: path('x.caibx') };
  const first = await make(options);
  const second = await make(options);
  const { chunkCount = 0, reusedChunkCount, averageChunkBytes = 0 } = second.statistics;
  t.is(first.statistics.reusedChunkCount, 0);
  t.true(chunkCount > 1);
  t.is(reusedChunkCount, chunkCount);
  t.is(Math.round(averageChunkBytes * chunkCount), BYTES.length);
});

test('an empty blob has no average', async (t) => {
  const path = folderWithBlob(t);
  const { statistics } = await make({ input: new Uint8Array(0), output: path('x.caibx') });
  t.is(statistics.chunkCount, 0);
  t.is(statistics.averageChunkBytes, undefined);
});

test('features are told by name, those that cannot apply as bits', async (t) => {
  const path = folderWithTree(t);
  const { featureFlags, inapplicableFeatures } = await make({
    input: path('tree'),
    output: path('x.catar'),
    features: ['permissions', 'sec-time', 'symlinks', 'flag-hidden'],
    withoutFeatures: ['symlinks'],
    excludeNodump: false,
    excludeFile: false,
  });
  t.deepEqual(featureNames(featureFlags), ['sec-time', 'permissions', 'flag-hidden']);
  t.is(featureFlags & (FEATURE.excludeNodump | FEATURE.excludeFile), 0n);
  t.true(featureNames(inapplicableFeatures).every((name) => name === 'flag-hidden'));
});

test('no features are no features, not the default', async (t) => {
  const path = folderWithTree(t);
  const options = { input: path('tree'), output: path('x.catar'), features: [] };
  t.deepEqual(featureNames((await make(options)).featureFlags), []);
});

test('entries are told from the root, features behind the first', async (t) => {
  const path = folderWithTree(t);
  const told: string[] = [];
  const events = {
    onEntry: (name: Uint8Array, stage: string) => {
      told.push(`${stage} ${Buffer.from(name).toString()}`);
    },
    onFeatures: () => {
      told.push('features');
    },
  };
  await make({ input: path('tree'), output: path('x.caidx'), ...events });
  const inside = ['begin a', 'end a', 'begin sub', 'begin sub/b', 'end sub/b', 'end sub'];
  t.deepEqual(told, ['begin ', 'features', ...inside, 'end ']);
  told.length = 0;
  await extract({ input: path('x.caidx'), output: path('out'), subtree: '/sub//b', ...events });
  t.deepEqual(told, ['begin sub/b', 'features', 'end sub/b']);
  t.is(readFileSync(path('out/b'), 'utf8'), 'b');
});

test('a tree that changes while it is read is not complete', async (t) => {
  const path = folderWithTree(t);
  const labels: string[] = [];
  const { isComplete } = await make({
    input: path('tree'),
    output: path('x.catar'),
    onEntry: (name, stage) => {
      if (stage === 'begin' && name.length === 0) writeFileSync(path('tree/new'), '');
    },
    onIncomplete: (label) => {
      labels.push(label);
    },
  });
  t.false(isComplete);
  t.deepEqual(labels, [path('tree')]);
});

test('an older tree serves as seed where the store lacks chunks', async (t) => {
  const path = folderWithTree(t);
  await make({ input: path('tree'), output: path('x.caidx') });
  await extract({ input: path('x.caidx'), output: path('out') });
  const lost = { input: path('x.caidx'), output: path('out'), store: path('none.castr') };
  const { statistics } = await extract(lost);
  t.is(statistics.localStore.chunkCount, 0);
  t.true(statistics.localSeed.chunkCount > 0);
  await t.throwsAsync(extract({ ...lost, seedOutput: false }), { code: 'CHUNK_MISSING' });
});

const MISFITS: Readonly<Record<string, (path: (name: string) => string) => Promise<unknown>>> = {
  'a folder as a blob index': (path) => make({ input: path('tree'), output: path('x.caibx') }),
  'a file as an archive': (path) => make({ input: path('blob'), output: path('x.catar') }),
  'an unknown feature': (path) =>
    make({ input: path('tree'), output: path('x.catar'), features: ['colour'] }),
  'a blob index into a folder': (path) =>
    extract({ input: path('blob'), kind: 'blob-index', output: path('tree') }),
  'an archive over a file': (path) =>
    extract({ input: path('x.catar'), output: path('blob'), kind: 'archive' }),
  'an archive to a descriptor': (path) =>
    extract({ input: path('blob'), kind: 'archive', output: 1 }),
  'a part of a blob': (path) =>
    extract({ input: path('blob'), kind: 'blob-index', output: path('out'), subtree: 'a' }),
  'something unnamed to nowhere': (path) =>
    extract({ input: path('blob'), output: path('nothing') }),
};

for (const [what, attempt] of Object.entries(MISFITS)) {
  test(`${what} is refused, and nothing is made`, async (t) => {
    const path = folderWithTree(t);
    const error = await t.throwsAsync(attempt(path), { instanceOf: CasError });
    t.is(error.code, 'USAGE');
    for (const name of ['x.caibx', 'x.catar', 'out', 'nothing']) t.false(existsSync(path(name)));
  });
}

test('an index that is not there has a code of its own', async (t) => {
  const path = folderWithBlob(t);
  const options = { input: path('none.caibx'), output: path('out') };
  await t.throwsAsync(extract(options), { code: 'INDEX_MISSING' });
  await t.throwsAsync(make({ input: path('none'), output: path('x.catar') }), { code: 'IO' });
});

test('a stream that never answers does not keep the work from being aborted', async (t) => {
  const path = folderWithBlob(t);
  const controller = new AbortController();
  async function* silent(): AsyncGenerator<Uint8Array> {
    yield BYTES;
    controller.abort();
    await new Promise(() => {});
  }
  const options = { output: path('x.caibx'), signal: controller.signal };
  await t.throwsAsync(make({ input: silent(), ...options }), { code: 'ABORTED' });
  t.false(existsSync(path('x.caibx')));
});
