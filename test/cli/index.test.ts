/** `index`, as scripts meet it (spec/images.md). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** An image with a hole and an odd end. */
function prepare(t: Parameters<typeof temporaryFolder>[0]): string {
  const cwd = temporaryFolder(t);
  fs.writeFileSync(join(cwd, 'image'), noise(3_000_000));
  fs.truncateSync(join(cwd, 'image'), 5_000_001);
  return cwd;
}

test('indexes are those of the reference, byte by byte', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const cwd = prepare(t);
  for (const digest of ['sha256', 'sha512-256']) {
    for (const sizes of ['4096:4096:4096', '65536:65536:65536', '16384:65536:262144']) {
      const words = [`--digest=${digest}`, `--chunk-size=${sizes}`];
      await succeed(
        runReference(['make', ...words, '--store=ref.castr', 'ref.caibx', 'image'], { cwd }),
      );
      await succeed(runCasync(['index', ...words, 'image', '-o', 'ours.caibx'], { cwd }));
      const [ours, theirs] = ['ours.caibx', 'ref.caibx'].map((name) =>
        fs.readFileSync(join(cwd, name)),
      );
      t.true(ours.equals(theirs), words.join(' '));
    }
  }
});

test('a stream has the index of a file, and -o - writes it to standard output', async (t) => {
  const cwd = prepare(t);
  const stdin = fs.readFileSync(join(cwd, 'image'));
  const words = ['--block-size=4K'];
  const file = await succeed(runCasync(['signature', 'image', '-o', '-', ...words], { cwd }));
  const stream = await succeed(runCasync(['index', '-', ...words], { cwd, stdin }));
  t.true(file.stdout.equals(stream.stdout));
  t.true(file.stdout.length > 1000);
});

test('the root is printed, and the index stands beside the file', async (t) => {
  const cwd = prepare(t);
  const result = await succeed(runCasync(['index', 'image', '--block-size=4096'], { cwd }));
  t.regex(result.stdout.toString(), /^[0-9a-f]{64}\n$/);
  t.is(result.stderr.toString(), '');
  const verified = await runCasync(['verify', 'image.caibx', 'image'], { cwd });
  t.is(verified.status, 0, describeRun(verified));
});

test('what was chosen is said to those who ask', async (t) => {
  const cwd = prepare(t);
  const result = await succeed(runCasync(['index', 'image', '--chunking=auto'], { cwd }));
  t.regex(result.stderr.toString(), /^image: cdc, chunks of .* \(an ordinary file\)\n$/);
  fs.truncateSync(join(cwd, 'image'), 5 * 2 ** 20);
  const verbose = await succeed(runCasync(['index', 'image', '-v'], { cwd }));
  t.regex(verbose.stderr.toString(), /Chunking: fixed, blocks of 4096 bytes \(a large file/);
});

test('options that contradict each other, and places of maps, are refused', async (t) => {
  const cwd = prepare(t);
  fs.writeFileSync(join(cwd, 'map.caibx.state'), '');
  for (const [words, status, text] of [
    [['--chunking=cdc', '--block-size=4096'], 1, /only with fixed blocks/],
    [['--chunking=fixed', '--chunk-size=65536'], 1, /of no use with fixed blocks/],
    [['--digest=blake2b-256'], 1, /only maps know/],
    [['--format=bmap'], 1, /export/],
    [['-o', 'map.caibx'], 15, /the map of a destination is there/],
  ] as const) {
    const result = await runCasync(['index', 'image', ...words], { cwd });
    t.is(result.status, status, describeRun(result));
    t.regex(result.stderr.toString(), text);
  }
  t.deepEqual(fs.readdirSync(cwd).sort(), ['image', 'map.caibx.state']);
});
