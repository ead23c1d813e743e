/** `put` and `get`: bytes as they are, into stores and back (spec/command-line.md). */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, runCasync, runReference, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

function makeTree(t: ExecutionContext): string {
  const cwd = temporaryFolder(t);
  fs.mkdirSync(join(cwd, 'tree/sub'), { recursive: true });
  fs.writeFileSync(join(cwd, 'tree/file'), noise(400_000));
  fs.writeFileSync(join(cwd, 'tree/sub/other'), 'x');
  fs.symlinkSync('file', join(cwd, 'tree/link'));
  execFileSync('mkfifo', [join(cwd, 'tree/sub/fifo')]);
  return cwd;
}

function same(t: ExecutionContext, cwd: string, a: string, b: string): void {
  t.true(fs.readFileSync(join(cwd, a)).equals(fs.readFileSync(join(cwd, b))), `${a} and ${b}`);
}

for (const digest of ['sha256', 'sha512-256']) {
  test(`an archive of the original comes and goes as it is, ${digest}`, async (t) => {
    if (!requirement(t, { commands: ['casync'] })) return;
    const cwd = makeTree(t);
    const options = { cwd };
    await succeed(runReference(['make', `--digest=${digest}`, 'x.catar', 'tree'], options));
    const made = await succeed(
      runReference(
        ['make', `--digest=${digest}`, '--store=ref.castr', 'ref.caidx', 'tree'],
        options,
      ),
    );
    const put = await succeed(
      runCasync(['put', '--store=own.castr', 'own.caidx', 'x.catar'], options),
    );
    t.is(put.stdout.toString(), made.stdout.toString());
    t.is(put.stderr.toString(), '');
    same(t, cwd, 'own.caidx', 'ref.caidx');
    await succeed(runCasync(['get', '--store=ref.castr', 'ref.caidx', 'back.catar'], options));
    same(t, cwd, 'back.catar', 'x.catar');
    await succeed(runReference(['extract', '--store=own.castr', 'own.caidx', 'out'], options));
    const digests = await Promise.all(
      ['tree', 'out'].map((tree) =>
        succeed(runReference(['digest', `--digest=${digest}`, tree], options)),
      ),
    );
    t.is(digests[0].stdout.toString(), digests[1].stdout.toString());
  });
}

test('put gives the index and the chunks that make gives', async (t) => {
  const cwd = makeTree(t);
  for (const features of [[], ['--with=unix'], ['--without=all']]) {
    await succeed(runCasync(['make', ...features, 'x.catar', 'tree'], { cwd }));
    await succeed(runCasync(['make', ...features, '--store=m.castr', 'm.caidx', 'tree'], { cwd }));
    await succeed(runCasync(['put', '--store=p.castr', 'p.caidx', 'x.catar'], { cwd }));
    same(t, cwd, 'm.caidx', 'p.caidx');
  }
  const chunks = (store: string): string[] =>
    fs.readdirSync(join(cwd, store), { recursive: true, encoding: 'utf8' }).sort();
  t.deepEqual(chunks('p.castr'), chunks('m.castr'));
});

test('archives and blobs go through pipes both ways', async (t) => {
  const cwd = makeTree(t);
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  const archive = fs.readFileSync(join(cwd, 'x.catar'));
  const put = ['put', '--what=archive-index', '-'];
  const { stdout: index } = await succeed(runCasync(put, { cwd, stdin: archive }));
  t.true(index.equals(fs.readFileSync(join(cwd, 'x.caidx'))));
  const get = ['get', '--what=archive-index', '-', '-'];
  t.true((await succeed(runCasync(get, { cwd, stdin: index }))).stdout.equals(archive));
  const blob = noise(300_000, 4);
  await succeed(runCasync(['put', 'x.caibx', '-'], { cwd, stdin: blob }));
  const got = await succeed(runCasync(['get', 'x.caibx'], { cwd }));
  t.true(got.stdout.equals(blob));
});

test('what follows an archive is not stored', async (t) => {
  const cwd = makeTree(t);
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  fs.copyFileSync(join(cwd, 'x.catar'), join(cwd, 'longer.catar'));
  fs.appendFileSync(join(cwd, 'longer.catar'), noise(2_000_000));
  await succeed(runCasync(['put', 'y.caidx', 'longer.catar'], { cwd }));
  same(t, cwd, 'x.caidx', 'y.caidx');
});

test('what is no archive leaves no index', async (t) => {
  const cwd = makeTree(t);
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  const archive = fs.readFileSync(join(cwd, 'x.catar'));
  const flipped = Buffer.from(archive);
  flipped[archive.length - 1] ^= 1;
  for (const bytes of [Buffer.alloc(0), noise(100_000), archive.subarray(0, 300_000), flipped]) {
    fs.writeFileSync(join(cwd, 'bad.catar'), bytes);
    const result = await runCasync(['put', 'y.caidx', 'bad.catar'], { cwd });
    t.is(result.status, 14, describeRun(result));
    t.regex(result.stderr.toString(), /^Failed to run synchronizer: bad\.catar: catar /);
    t.false(fs.existsSync(join(cwd, 'y.caidx')));
  }
  t.deepEqual(
    fs.readdirSync(cwd).filter((name) => name.startsWith('.#')),
    [],
  );
});

test('get writes over an older file exactly', async (t) => {
  const cwd = makeTree(t);
  await succeed(runCasync(['make', 'x.catar', 'tree'], { cwd }));
  await succeed(runCasync(['make', 'x.caidx', 'tree'], { cwd }));
  fs.writeFileSync(join(cwd, 'out.catar'), noise(1_000_000, 7));
  const result = await succeed(runCasync(['get', 'x.caidx', 'out.catar'], { cwd }));
  t.is(result.stdout.length + result.stderr.length, 0);
  same(t, cwd, 'out.catar', 'x.catar');
});

test('what put and get cannot do is refused', async (t) => {
  const cwd = makeTree(t);
  for (const [args, message] of [
    [['put'], /^An index and an input expected\.$/],
    [
      ['put', 'x.catar', 'y'],
      /^The index must have a valid suffix\. \(May be one of: \.caidx, \.caibx\)$/,
    ],
    [
      ['put', 'x.caidx', 'tree'],
      /^Input is a directory; "make" makes an index of it\. Refusing\.$/,
    ],
    [['get'], /^An index and an output expected\.$/],
    [['get', '--what=blob', 'x.caidx', 'y'], /^Only --what=archive-index and --what=blob-index/],
    [
      ['get', 'x.caidx', 'tree'],
      /^Output is a directory; "extract" unpacks an archive into it\. Refusing\.$/,
    ],
  ] as const) {
    const result = await runCasync(args, { cwd });
    t.is(result.status, 1, describeRun(result));
    t.regex(result.stderr.toString().trimEnd(), message);
  }
});

test('a reader that takes nothing does not keep a signal from ending a small get', async (t) => {
  const cwd = temporaryFolder(t);
  fs.writeFileSync(join(cwd, 'blob'), noise(2 * 1024 * 1024, 1));
  await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd }));
  const child = spawn(process.execPath, [CASYNC, 'get', 'x.caibx'], { cwd });
  const stderr = text(child.stderr);
  await once(child.stdout, 'readable');
  child.kill('SIGTERM');
  const [status] = await once(child, 'close');
  t.is(status, 130);
  t.is(await stderr, 'Got exit signal, quitting.\n');
});
