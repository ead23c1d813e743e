/** SIGINT, SIGTERM and SIGHUP end the work soon and leave nothing half-done (spec/command-line.md). */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const BLOB_BYTES = 256 * 1024 * 1024;
const FILE_COUNT = 1024;
/** Nothing to read or to fetch, but to digest. */
const HOLE_BYTES = 6e9;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Much more than it takes, much less than the work would. */
const SOON_MS = 10_000;

let made = '';

test.before(async () => {
  made = makeTemporaryFolder();
  fs.writeFileSync(join(made, 'blob'), randomBytes(BLOB_BYTES));
  fs.mkdirSync(join(made, 'tree'));
  for (let i = 0; i < FILE_COUNT; i++) {
    fs.writeFileSync(join(made, `tree/${i}`), randomBytes(BLOB_BYTES / FILE_COUNT));
  }
  fs.writeFileSync(join(made, 'hole'), '');
  fs.truncateSync(join(made, 'hole'), HOLE_BYTES);
  await succeed(runCasync(['make', '--sync=none', 'hole.caibx', 'hole'], { cwd: made }));
  await succeed(runCasync(['make', '--sync=none', 'x.caibx', 'blob'], { cwd: made }));
  await succeed(runCasync(['make', '--sync=none', 'x.caidx', 'tree'], { cwd: made }));
});
test.after.always(() => removeTree(made));

interface Stopped {
  readonly status: number | null;
  readonly stderr: string;
  readonly stdout: string;
  readonly tookMs: number;
}

/** A machine with much else to do may tell us of the first progress when the run has ended. */
const MOST_ATTEMPTS = 5;

/**
 * Ends a run by a signal; one that has ended well before is made anew.
 * @param folder where the run works, empty but for what `prepare` puts into it
 */
async function stop(
  args: readonly string[],
  folder: string,
  signal: NodeJS.Signals,
  prepare = (): void => {},
): Promise<Stopped> {
  for (let attempt = 1; ; attempt++) {
    prepare();
    const stopped = await signalled(args, folder, signal);
    if (stopped.status !== 0 || attempt === MOST_ATTEMPTS) return stopped;
    for (const name of fs.readdirSync(folder)) removeTree(join(folder, name));
  }
}

/** Sends the signal as soon as the first progress is reported. */
function signalled(args: readonly string[], cwd: string, signal: NodeJS.Signals): Promise<Stopped> {
  const child = spawn(process.execPath, [CASYNC, '--progress=json:3', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  let stderr = '';
  let stdout = '';
  let signalledMs = 0;
  child.stderr?.on('data', (bytes) => {
    stderr += bytes;
  });
  child.stdout?.on('data', (bytes) => {
    stdout += bytes;
  });
  child.stdio[3]?.once('data', () => {
    signalledMs = performance.now();
    child.kill(signal);
  });
  return new Promise((done) =>
    child.on('close', (status) =>
      done({ status, stderr, stdout, tookMs: performance.now() - signalledMs }),
    ),
  );
}

function assertNoTemporaries(t: ExecutionContext, folder: string): void {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  t.deepEqual(
    names.filter((name) => /(^|\/)\.#/.test(name)),
    [],
  );
}

/** Arguments, and what must not be there afterwards. */
const RUNS: Readonly<Record<string, readonly [args: readonly string[], absent: string]>> = {
  'make of a blob index': [['make', 'y.caibx', 'MADE/blob'], 'y.caibx'],
  'make of an archive index': [['make', 'y.caidx', 'MADE/tree'], 'y.caidx'],
  'make of an archive': [['make', 'y.catar', 'MADE/tree'], 'y.catar'],
  'extract of a blob': [['extract', 'MADE/x.caibx', 'copy'], 'copy'],
  'extract of a tree': [['extract', 'MADE/x.caidx', 'copy'], 'copy/none'],
  'digest of a blob': [['digest', 'MADE/hole'], 'none'],
  'digest of an index': [['digest', 'MADE/hole.caibx'], 'none'],
  verify: [['verify', 'MADE/x.caibx'], 'none'],
};

for (const [title, [args, absent]] of Object.entries(RUNS)) {
  for (const signal of SIGNALS) {
    test.serial(`${signal} ends ${title}`, async (t) => {
      t.timeout(240_000);
      const folder = temporaryFolder(t);
      const words = args.map((word) => word.replace('MADE', made));
      const stopped = await stop(words, folder, signal);
      t.is(stopped.stderr, 'Got exit signal, quitting.\n');
      t.is(stopped.status, 130);
      t.is(stopped.stdout, '');
      t.true(stopped.tookMs < SOON_MS, `${stopped.tookMs} ms`);
      t.log(`${Math.round(stopped.tookMs)} ms`);
      t.false(fs.existsSync(join(folder, absent)));
      assertNoTemporaries(t, folder);
    });
  }
}

for (const signal of SIGNALS) {
  test.serial(`${signal} ends gc, and what an index needs is there`, async (t) => {
    t.timeout(240_000);
    const folder = temporaryFolder(t);
    const original = join(made, 'default.castr');
    const before = fs.readdirSync(original);
    const index = join(made, 'x.caidx');
    const stopped = await stop(['gc', '--store=s.castr', index], folder, signal, () => {
      // Links: what is removed here stays there.
      execFileSync('cp', ['-rl', original, join(folder, 's.castr')]);
    });
    t.is(stopped.stderr, 'Got exit signal, quitting.\n');
    t.is(stopped.status, 130);
    t.true(stopped.tookMs < SOON_MS, `${stopped.tookMs} ms`);
    t.log(`${Math.round(stopped.tookMs)} ms`);
    assertNoTemporaries(t, folder);
    const left = fs.readdirSync(join(folder, 's.castr'));
    t.true(left.length > 0 && left.every((name) => before.includes(name)));
    await succeed(runCasync(['verify', '--store=s.castr', index], { cwd: folder }));
  });
}

test.serial('the notice is of level info', async (t) => {
  t.timeout(240_000);
  const words = ['--log-level=err', 'make', 'y.caibx', join(made, 'blob')];
  const { status, stderr } = await stop(words, temporaryFolder(t), 'SIGTERM');
  t.is(status, 130);
  t.is(stderr, '');
});
