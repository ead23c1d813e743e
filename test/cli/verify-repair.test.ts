/** `verify --repair`, as scripts meet it (spec/images.md, "Repair"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { describeRun, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const SIZE = 1_000_001;
const BLOCK = 4096;

/** A good image with its index, and one with three damaged blocks and without its end. */
async function prepare(t: ExecutionContext, ...sizes: readonly string[]): Promise<string> {
  const cwd = temporaryFolder(t);
  const good = noise(SIZE);
  good.fill(0, 10 * BLOCK, 12 * BLOCK);
  fs.writeFileSync(join(cwd, 'good'), good);
  for (const block of [1, 10, 100]) good[block * BLOCK + 7] ^= 0x80;
  fs.writeFileSync(join(cwd, 'bad'), good.subarray(0, SIZE - 1));
  const made = ['make', '--store=good.castr', ...sizes, 'good.caibx', 'good'];
  await succeed(runCasync(made, { cwd }));
  return cwd;
}

function isGood(cwd: string): boolean {
  const [good, bad] = ['good', 'bad'].map((name) => fs.readFileSync(join(cwd, name)));
  return good.equals(bad);
}

const FIXED = '--chunk-size=4096:4096:4096';
const DAMAGED = ['4096 8192', '40960 45056', '409600 413696', '999424 1000001'];

for (const from of ['good', 'good.castr', 'good.caibx']) {
  test(`only damaged blocks are written, with bytes from ${from}`, async (t) => {
    const cwd = await prepare(t, FIXED);
    // Nothing beside the index has its chunks unless it is named.
    const named = [
      `--from=${from}`,
      ...(from === 'good.caibx' ? ['--extra-store=good.castr'] : []),
    ];
    fs.copyFileSync(join(cwd, 'good.caibx'), join(cwd, 'x.caibx'));
    const result = await runCasync(['verify', 'x.caibx', 'bad', '--repair', ...named], { cwd });
    t.is(result.status, 0, describeRun(result));
    t.is(result.stdout.toString(), DAMAGED.map((range) => `repaired ${range}\n`).join(''));
    t.true(isGood(cwd));
  });
}

test('an index of chunks by content is repaired from its store', async (t) => {
  const cwd = await prepare(t, '--chunk-size=4096');
  const words = ['verify', 'good.caibx', 'bad', '--repair', '--store=good.castr'];
  const result = await runCasync(words, { cwd });
  t.is(result.status, 0, describeRun(result));
  t.true(isGood(cwd));
});

test('what has no good copy stays as it is, and has a status of its own', async (t) => {
  const cwd = await prepare(t, FIXED);
  const other = fs.readFileSync(join(cwd, 'good'));
  other[100 * BLOCK] ^= 1;
  fs.writeFileSync(join(cwd, 'other'), other);
  const before = fs.readFileSync(join(cwd, 'bad'));
  const words = ['verify', 'good.caibx', 'bad', '--repair', '--from=other'];
  const result = await runCasync(words, { cwd });
  t.is(result.status, 12, describeRun(result));
  t.regex(result.stdout.toString(), /^lost 409600 413696$/m);
  t.regex(result.stderr.toString(), /4096 bytes have no good copy/);
  const after = fs.readFileSync(join(cwd, 'bad'));
  t.true(
    after.subarray(100 * BLOCK, 101 * BLOCK).equals(before.subarray(100 * BLOCK, 101 * BLOCK)),
  );
});

test('what is good already is not written', async (t) => {
  const cwd = await prepare(t, FIXED);
  const { mtimeMs } = fs.statSync(join(cwd, 'good'));
  const result = await runCasync(['verify', 'good.caibx', 'good', '--repair'], { cwd });
  t.is(result.status, 0, describeRun(result));
  t.is(fs.statSync(join(cwd, 'good')).mtimeMs, mtimeMs);
});

test('words that make no sense are refused', async (t) => {
  const cwd = await prepare(t, FIXED);
  for (const words of [
    ['good.castr', '--repair'],
    ['good.caibx', 'bad', '--from=good'],
  ]) {
    const result = await runCasync(['verify', ...words], { cwd });
    t.is(result.status, 1, describeRun(result));
  }
});
