import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

async function place(t: Parameters<typeof temporaryFolder>[0]): Promise<string> {
  const folder = temporaryFolder(t);
  fs.writeFileSync(join(folder, 'old'), noise(300_000));
  fs.writeFileSync(join(folder, 'new'), Buffer.concat([noise(300_000), noise(200_000, 9)]));
  fs.mkdirSync(join(folder, 'tree'));
  fs.writeFileSync(join(folder, 'tree/a'), 'x');
  for (const name of ['old', 'new']) {
    await succeed(runCasync(['make', `${name}.caibx`, name], { cwd: folder }));
  }
  await succeed(runCasync(['make', '--with=permissions', 'x.catar', 'tree'], { cwd: folder }));
  return folder;
}

test('info is lines for people, whose labels end in one column', async (t) => {
  const folder = await place(t);
  const { stdout, stderr } = await succeed(
    runCasync(['info', 'new.caibx', '--seed=old.caibx'], { cwd: folder }),
  );
  t.is(stderr.toString(), '');
  const lines = stdout.toString().trimEnd().split('\n');
  t.is(new Set(lines.map((line) => line.indexOf(':'))).size, 1);
  t.deepEqual(
    lines.map((line) => line.split(':')[0].trim()),
    [
      ...['Kind', 'Digest', 'Features', 'Chunk sizes', 'Size', 'Chunks', 'Effective sizes'],
      ...['Stores', 'Distinct', 'Deduplication', 'Update'],
    ],
  );
  t.regex(stdout.toString(), / +Size: 488\.2K \(500000 bytes\)\n/);
  t.regex(stdout.toString(), / +Update: \d+ chunks, .* bytes\), compressed .*\n/);
});

for (const [input, kind] of [
  ['new.caibx', 'blob-index'],
  ['x.catar', 'archive'],
  ['default.castr', 'store'],
]) {
  test(`info --json ${input} is one object, and so is its text in lines`, async (t) => {
    const folder = await place(t);
    const { stdout } = await succeed(runCasync(['info', '--json', input], { cwd: folder }));
    t.is(stdout.toString().split('\n').length, 2);
    t.is(JSON.parse(stdout.toString()).kind, kind);
    const text = await succeed(runCasync(['info', input], { cwd: folder }));
    t.regex(text.stdout.toString(), /^ *Kind: \w/);
  });
}

test('what an update would fetch is what an extraction with that seed fetches', async (t) => {
  const folder = await place(t);
  const { stdout } = await succeed(
    runCasync(['info', '--json', 'new.caibx', '--seed=old'], { cwd: folder }),
  );
  const { update } = JSON.parse(stdout.toString());
  const { stderr } = await succeed(
    runCasync(['extract', '--stats=json', '--seed=old', 'new.caibx', 'out'], { cwd: folder }),
  );
  const { localStore } = JSON.parse(stderr.toString().trimEnd().split('\n').at(-1) ?? '');
  t.deepEqual([update.chunkCount, update.bytes], [localStore.chunkCount, localStore.byteCount]);
  execFileSync('cmp', ['new', 'out'], { cwd: folder });
});

test('info without a word, or of something else, is refused', async (t) => {
  const folder = await place(t);
  const none = await runCasync(['info'], { cwd: folder });
  t.deepEqual([none.status, `${none.stderr}`], [1, 'Archive, index or store expected.\n']);
  const blob = await runCasync(['info', 'old'], { cwd: folder });
  t.deepEqual(
    [blob.status, `${blob.stderr}`],
    [1, 'old: Input should be an archive, index or store. Refusing.\n'],
  );
});
