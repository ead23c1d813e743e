/** The result does not depend on how many threads make it (spec/architecture.md, "Pipeline"). */
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise, text } from '../helpers/golden.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

const COUNTS = [0, 1, 2, 7];

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
}

function writeBlob(path: string): void {
  const repeated = noise(900_000, 5);
  const parts = [noise(9_000_000), text(3_000_000), repeated, new Uint8Array(2_000_000), repeated];
  writeFileSync(path, Buffer.concat(parts));
  // A hole, too large to be one segment.
  truncateSync(path, 40_000_000);
}

function writeTree(path: string): void {
  for (let i = 0; i < 60; i++) {
    const folder = join(path, `folder-${i % 7}`, `${i}`);
    mkdirSync(folder, { recursive: true });
    for (let j = 0; j < 50; j++)
      writeFileSync(join(folder, `${j}`), noise(100 * j + 1, i * 50 + j));
  }
  writeFileSync(join(path, 'large'), noise(12_000_000, 3));
}

test('make and extract give the same with 0, 1, 2 and 7 threads', async (t) => {
  t.timeout(240_000);
  const folder = temporaryFolder(t);
  writeBlob(join(folder, 'blob'));
  mkdirSync(join(folder, 'tree'));
  writeTree(join(folder, 'tree'));
  const seen: string[] = [];
  for (const count of COUNTS) {
    const options = { cwd: folder, env: { CASYNC_WORKERS: `${count}` } };
    const run = (...args: readonly string[]) =>
      succeed(runCasync([`--store=store-${count}`, '--sync=none', ...args], options));
    const digests = [
      (await run('make', `${count}.caibx`, 'blob')).stdout.toString(),
      (await run('make', `${count}.caidx`, 'tree')).stdout.toString(),
      (await run('make', `${count}.catar`, 'tree')).stdout.toString(),
    ];
    await run('extract', `${count}.caibx`, `blob-${count}`);
    await run('extract', `${count}.caidx`, `tree-${count}`);
    await run('extract', `${count}.catar`, `archive-${count}`);
    t.true(readFileSync(join(folder, `blob-${count}`)).equals(readFileSync(join(folder, 'blob'))));
    for (const name of ['tree', 'archive']) {
      t.deepEqual(compareTrees(join(folder, 'tree'), join(folder, `${name}-${count}`)), []);
    }
    const indexes = ['caibx', 'caidx'].map((suffix) =>
      readFileSync(join(folder, `${count}.${suffix}`)).toString('base64'),
    );
    seen.push(JSON.stringify([digests, indexes, filesIn(join(folder, `store-${count}`))]));
  }
  for (const result of seen) t.true(result === seen[0]);
});

test('a wish for threads that is none is ignored', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), noise(9_000_000));
  for (const wish of ['', 'many', '-1', '2.5']) {
    const options = { cwd: folder, env: { CASYNC_WORKERS: wish } };
    await succeed(runCasync(['make', 'x.caibx', 'blob'], options));
  }
  t.pass();
});
