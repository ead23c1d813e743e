/** Version chains on the command line, and what is left when they are killed (spec/images.md). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { findKillPoints, runUntilKilled, spread } from '../fault/kill-points.ts';
import { noise } from '../helpers/golden.ts';
import { writeImagePair } from '../helpers/image-pair.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;
const CHAIN = ['--store=s.castr', '--name=disk'];

function imagesIn(t: ExecutionContext): string {
  const cwd = temporaryFolder(t);
  writeImagePair(join(cwd, 'a'), join(cwd, 'b'), { size: 8 * MIB, changedPages: 40 });
  return cwd;
}

function same(t: ExecutionContext, cwd: string, a: string, b: string): void {
  t.true(fs.readFileSync(join(cwd, a)).equals(fs.readFileSync(join(cwd, b))), `${a} and ${b}`);
}

function packedBytes(cwd: string): number {
  const folder = join(cwd, 's.castr/packs');
  return fs
    .readdirSync(folder)
    .reduce((sum, name) => sum + fs.statSync(join(folder, name)).size, 0);
}

async function text(cwd: string, ...args: readonly string[]): Promise<string> {
  return (await succeed(runCasync(args, { cwd }))).stdout.toString();
}

test('versions are put, named, listed, compared, restored and forgotten', async (t) => {
  const cwd = imagesIn(t);
  const first = (await text(cwd, 'put', ...CHAIN, '--at=first', 'a')).trim();
  const second = (await text(cwd, 'put', ...CHAIN, 'b')).trim();
  t.is(await text(cwd, 'log', '--store=s.castr'), 'disk\n');
  const lines = (await text(cwd, 'log', ...CHAIN)).split('\n');
  t.regex(lines[0], new RegExp(`^${second} \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d ${8 * MIB}$`));
  t.regex(lines[1], new RegExp(`^${first} .* first$`));
  await text(cwd, 'tag', ...CHAIN, 'latest', 'second');
  for (const [at, image] of [
    ['-1', 'a'],
    ['first', 'a'],
    [second.slice(0, 8), 'b'],
    ['second', 'b'],
  ]) {
    await text(cwd, 'get', ...CHAIN, `--at=${at}`, 'out');
    same(t, cwd, 'out', image);
  }
  const piped = await succeed(runCasync(['get', ...CHAIN, '-'], { cwd }));
  t.true(piped.stdout.equals(fs.readFileSync(join(cwd, 'b'))));
  const diff = await runCasync(['diff', ...CHAIN, '--format=ranges', '@first', '@second'], { cwd });
  t.is(diff.status, 1, describeRun(diff));
  const ranges = diff.stdout.toString().trim().split('\n');
  const bytes = ranges.reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
  t.is(bytes, 40 * 4096);
  t.is(await text(cwd, 'diff', ...CHAIN, '@second', 'b'), '');
  await text(cwd, 'tag', ...CHAIN, 'first');
  t.regex(await text(cwd, 'prune', ...CHAIN, '--keep-last=1'), new RegExp(`^forgot ${first} `));
  await text(cwd, 'gc', '--store=s.castr');
  await text(cwd, 'get', ...CHAIN, 'out');
  same(t, cwd, 'out', 'b');
});

test('a version as a plain store is read by the original', async (t) => {
  if (!requirement(t, { commands: ['casync'] })) return;
  const cwd = imagesIn(t);
  fs.truncateSync(join(cwd, 'a'), MIB + 77);
  await text(cwd, 'put', ...CHAIN, 'a');
  await text(cwd, 'get', ...CHAIN, 'a.caibx');
  await text(cwd, 'export', '--format=castr', ...CHAIN, 'plain.castr');
  await succeed(runReference(['extract', '--store=plain.castr', 'a.caibx', 'out'], { cwd }));
  same(t, cwd, 'out', 'a');
});

test('what does not apply is refused, and nothing is written', async (t) => {
  const cwd = imagesIn(t);
  for (const args of [
    ['put', '--name=disk', 'a'],
    ['put', ...CHAIN, 'a', 'b'],
    ['put', ...CHAIN, '--digest=blake2b-256', 'a'],
    ['put', ...CHAIN, '--chunking=cdc', 'a'],
    ['put', '--store=s.castr', '--name=../x', 'a'],
    ['put', ...CHAIN, '--at=latest', 'a'],
    ['get', '--at=latest', 'x.caibx', 'out'],
    ['prune', ...CHAIN],
    ['log', ...CHAIN],
    ['gc', '--store=s.castr'],
  ]) {
    const result = await runCasync(args, { cwd });
    t.true(result.status !== 0, args.join(' '));
    t.is(result.stderr.toString().trim().split('\n').length, 1, describeRun(result));
  }
  t.deepEqual(fs.readdirSync(cwd).sort(), ['a', 'b']);
});

/** Kills the command at some of its points; afterwards all versions can be read, and a rerun works. */
async function survivesKills(
  t: ExecutionContext,
  prepare: (cwd: string) => Promise<void>,
  args: (cwd: string) => readonly string[],
  versions: Readonly<Record<string, string>>,
): Promise<void> {
  const cwd = imagesIn(t);
  await prepare(cwd);
  fs.cpSync(join(cwd, 's.castr'), join(cwd, 'before.castr'), { recursive: true });
  const restart = (): void => {
    fs.rmSync(join(cwd, 's.castr'), { recursive: true, force: true });
    fs.cpSync(join(cwd, 'before.castr'), join(cwd, 's.castr'), { recursive: true });
  };
  const points = spread(await findKillPoints(args(cwd), join(cwd, 's.castr')), 4);
  t.true(points.length > 0);
  for (const point of points) {
    restart();
    await runUntilKilled(args(cwd), point);
    for (const [at, image] of Object.entries(versions)) {
      const store = `--store=${join(cwd, 's.castr')}`;
      await text(cwd, 'get', store, '--name=disk', `--at=${at}`, 'out');
      same(t, cwd, 'out', image);
      fs.rmSync(join(cwd, 'out'));
    }
    await text(cwd, 'verify', join(cwd, 's.castr'));
    await text(cwd, ...args(cwd));
    await text(cwd, 'verify', join(cwd, 's.castr'));
  }
}

test('a put that is killed leaves a good store', async (t) => {
  await survivesKills(
    t,
    async (cwd) => {
      await text(cwd, 'put', ...CHAIN, '--at=old', 'a');
    },
    (cwd) => ['put', `--store=${join(cwd, 's.castr')}`, '--name=disk', join(cwd, 'b')],
    { old: 'a' },
  );
});

test('a prune that is killed leaves a good chain', async (t) => {
  await survivesKills(
    t,
    async (cwd) => {
      await text(cwd, 'put', ...CHAIN, '--at=old', 'a');
      await text(cwd, 'put', ...CHAIN, 'b');
      fs.writeFileSync(join(cwd, 'c'), Buffer.concat([noise(MIB), Buffer.alloc(MIB)]));
      await text(cwd, 'put', ...CHAIN, '--at=new', 'c');
      await text(cwd, 'put', ...CHAIN, '--at=newest', 'b');
    },
    (cwd) => ['prune', `--store=${join(cwd, 's.castr')}`, '--name=disk', '--keep-last=1'],
    { old: 'a', new: 'c', newest: 'b' },
  );
});

test('a gc without an index takes nothing that make has stored, one with an index does', async (t) => {
  const cwd = imagesIn(t);
  await text(cwd, 'make', '--store=s.castr', 'a.caibx', 'a');
  const id = (await text(cwd, 'put', ...CHAIN, '--at=first', 'b')).trim();
  fs.writeFileSync(join(cwd, 'c'), noise(MIB, 3));
  await text(cwd, 'put', ...CHAIN, 'c');
  await text(cwd, 'tag', ...CHAIN, 'first');
  await text(cwd, 'prune', ...CHAIN, id);
  const before = packedBytes(cwd);
  t.regex(await text(cwd, 'gc', '-n', '--store=s.castr'), /^Would remove (?!0 )/m);
  await text(cwd, 'gc', '--store=s.castr');
  t.true(packedBytes(cwd) < before / 2, 'the version that was forgotten is gone');
  await text(cwd, 'extract', '--store=s.castr', 'a.caibx', 'out');
  same(t, cwd, 'out', 'a');
  await text(cwd, 'make', '--store=s.castr', 'c.caibx', 'c');
  await text(cwd, 'gc', '--store=s.castr', 'c.caibx');
  const lost = await runCasync(['extract', '--store=s.castr', 'a.caibx', 'lost'], { cwd });
  t.not(lost.status, 0, describeRun(lost));
  await text(cwd, 'get', ...CHAIN, 'newest');
  same(t, cwd, 'newest', 'c');
});

test('a gc that is killed leaves a good store', async (t) => {
  await survivesKills(
    t,
    async (cwd) => {
      await text(cwd, 'put', ...CHAIN, 'a');
      await text(cwd, 'put', ...CHAIN, '--at=new', 'b');
      await text(cwd, 'prune', ...CHAIN, '--keep-last=1');
    },
    (cwd) => ['gc', `--store=${join(cwd, 's.castr')}`],
    { new: 'b' },
  );
});
