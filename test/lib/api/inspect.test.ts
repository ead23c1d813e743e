/** verify, diff, put and get as functions; what they find is checked from the command line. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { diff } from '../../../lib/api/diff.node.ts';
import { get } from '../../../lib/api/get.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import { put } from '../../../lib/api/put.node.ts';
import { verify } from '../../../lib/api/verify.node.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

async function makeExample(t: ExecutionContext): Promise<(name: string) => string> {
  const folder = temporaryFolder(t);
  const at = (name: string): string => join(folder, name);
  fs.mkdirSync(at('tree'));
  fs.writeFileSync(at('tree/file'), noise(500_000));
  fs.writeFileSync(at('blob'), noise(500_000, 2));
  await make({ input: at('tree'), output: at('x.caidx') });
  await make({ input: at('tree'), output: at('x.catar') });
  await make({ input: at('blob'), output: at('x.caibx') });
  return at;
}

test('bytes in memory and streams are compared like files', async (t) => {
  const bytes = noise(100_000);
  const other = bytes.slice();
  other[5000] ^= 1;
  const ranges: unknown[] = [];
  const onRange = (range: unknown): undefined => void ranges.push(range);
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 4000);
    yield bytes.subarray(4000);
  }
  const result = await diff({ before: { input: stream() }, after: { input: other }, onRange });
  t.deepEqual(ranges, [{ start: 5000, end: 5001, isExact: true }]);
  t.like(result, { kind: 'blobs', isEqual: false, differentBytes: 1, beforeSize: 100_000 });
});

test('the store of each side can be named', async (t) => {
  const at = await makeExample(t);
  fs.mkdirSync(at('elsewhere'));
  fs.renameSync(at('x.caidx'), at('elsewhere/x.caidx'));
  const before = { input: at('elsewhere/x.caidx'), store: at('default.castr') };
  const result = await diff({ before, after: { input: at('tree') } });
  t.deepEqual(result, {
    kind: 'trees',
    isEqual: true,
    addedCount: 0,
    removedCount: 0,
    changedCount: 0,
  });
});

test('whoever is told of differences can make the comparison wait', async (t) => {
  const at = await makeExample(t);
  for (let i = 0; i < 5; i++) fs.writeFileSync(at(`tree/new-${i}`), '');
  let isBusy = false;
  const onEntry = async (): Promise<void> => {
    t.false(isBusy);
    isBusy = true;
    await new Promise(setImmediate);
    isBusy = false;
  };
  const expected = { input: at('x.catar') };
  const result = await verify({ expected, target: { input: at('tree') }, onEntry });
  t.like(result, { kind: 'tree', isGood: false, addedCount: 5, changedCount: 1 });
});

test('all of them can be ended', async (t) => {
  const at = await makeExample(t);
  const signal = AbortSignal.abort();
  const aborted = { code: 'ABORTED' };
  const index = { input: at('x.caidx') };
  await t.throwsAsync(verify({ expected: index, signal }), aborted);
  await t.throwsAsync(verify({ expected: index, target: { input: at('tree') }, signal }), aborted);
  const blob = { expected: { input: at('x.caibx') }, target: { input: at('blob') }, signal };
  await t.throwsAsync(verify(blob), aborted);
  await t.throwsAsync(diff({ before: index, after: { input: at('tree') }, signal }), aborted);
  const files = { before: { input: at('blob') }, after: { input: at('tree/file') } };
  await t.throwsAsync(diff({ ...files, signal }), aborted);
  const archive = { input: at('x.catar'), output: at('y.caidx') };
  await t.throwsAsync(put({ ...archive, signal }), aborted);
  await t.throwsAsync(get({ input: at('x.caidx'), output: at('y.catar'), signal }), aborted);
  t.deepEqual(
    fs.readdirSync(at('.')).filter((name) => name.includes('y.')),
    [],
  );
});

test('put and get give statistics and the digest', async (t) => {
  const at = await makeExample(t);
  const { size } = fs.statSync(at('x.catar'));
  const made = await put({ input: at('x.catar'), output: at('y.caidx') });
  t.like(made, { kind: 'archive-index', statistics: { archiveBytes: size } });
  t.is(made.statistics.reusedChunkCount, made.statistics.chunkCount);
  const { statistics } = await get({ input: at('y.caidx'), output: at('y.catar') });
  t.is(statistics.localStore.byteCount + statistics.localSeed.byteCount, size);
  t.true(fs.readFileSync(at('y.catar')).equals(fs.readFileSync(at('x.catar'))));
  const bytes = await put({ input: noise(1000), output: at('z.caibx') });
  t.is(bytes.statistics.archiveBytes, 1000);
});

test('what does not fit is a mistake of the caller', async (t) => {
  const at = await makeExample(t);
  const usage = { code: 'USAGE' };
  await t.throwsAsync(put({ input: at('blob'), output: at('y.catar') }), usage);
  await t.throwsAsync(put({ input: at('tree'), output: at('y.caidx') }), usage);
  await t.throwsAsync(diff({ before: { input: at('tree') }, after: { input: at('blob') } }), usage);
  await t.throwsAsync(verify({ expected: { input: at('blob') } }), usage);
});
