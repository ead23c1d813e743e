/** A run that succeeds says nothing on standard error: programs take any text there for a failure. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { VERBS } from '../../cli/verbs.ts';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { describeRun, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';
import { runOnTerminal } from '../helpers/terminal.ts';

let made = '';

test.before(async () => {
  made = makeTemporaryFolder();
  fs.writeFileSync(join(made, 'blob'), noise(9_000_000));
  fs.writeFileSync(join(made, 'empty'), '');
  fs.mkdirSync(join(made, 'tree/folder'), { recursive: true });
  fs.writeFileSync(join(made, 'tree/folder/file'), noise(500_000));
  fs.symlinkSync('nowhere', join(made, 'tree/link'));
  execFileSync('mkfifo', [join(made, 'tree/fifo')]);
  for (const [output, input] of [
    ['x.caibx', 'blob'],
    ['x.caidx', 'tree'],
    ['x.catar', 'tree'],
    ['empty.caibx', 'empty'],
  ]) {
    await succeed(runCasync(['make', output, input], { cwd: made }));
  }
});
test.after.always(() => removeTree(made));

const CHAIN = '--store=c.castr --name=disk';

/** Runs that succeed, by verb, in a folder with the above. */
const RUNS: Readonly<Record<string, readonly string[]>> = {
  make: ['make y.catar tree', 'make y.caidx tree', 'make y.caibx blob', 'make y.caibx empty'],
  extract: ['extract x.catar a', 'extract x.caidx b', 'extract x.caibx c', 'extract x.caibx -'],
  list: ['list tree', 'list x.catar', 'list x.caidx folder', '--recursive=no list tree'],
  mtree: ['mtree tree', 'mtree x.catar', 'mtree x.caidx'],
  stat: ['stat tree', 'stat x.catar folder', 'stat x.caidx'],
  digest: ['digest tree', 'digest blob', 'digest x.catar', 'digest x.caidx', 'digest x.caibx'],
  gc: ['gc --dry-run x.caidx x.caibx', 'gc x.caibx x.caidx empty.caibx'],
  verify: ['verify x.caibx', 'verify default.castr', 'verify x.caidx tree', 'verify x.caibx blob'],
  diff: ['diff x.caidx tree', 'diff x.catar x.caidx', 'diff x.caibx blob'],
  put: ['put p.caibx blob', 'put p.caidx x.catar'],
  get: ['get x.caibx g', 'get x.caidx g.catar'],
  cat: ['cat x.caibx', 'cat --offset=10 --length=10 blob', 'cat x.caidx folder/file'],
  manifest: ['manifest tree', 'manifest x.caidx'],
  clone: ['clone tree d', 'clone tree d'],
  info: ['info x.caibx', 'info x.caidx', 'info x.catar', 'info default.castr'],
  copy: ['copy --to=other.castr x.caibx x.caidx'],
  config: ['config', 'config https://example.org/x.castr'],
  index: ['index blob', 'index -o i.caibx --chunking=cdc blob', 'index -o f.caibx empty'],
  sync: ['sync blob s', 'sync blob s', 'sync tree t', 'sync --store=s.castr blob stored.caibx'],
  delta: ['delta --base=empty -o d blob', 'delta --base=x.caibx -o e empty'],
  patch: ['delta --base=empty -o d blob', 'patch empty d -o p', 'patch p d'],
  compose: ['delta --base=empty -o d blob', 'delta --base=blob -o e empty', 'compose d e -o c'],
  log: [`put ${CHAIN} blob`, `log ${CHAIN}`, 'log --store=c.castr'],
  tag: [`put ${CHAIN} blob`, `tag ${CHAIN} latest first`],
  prune: [`put ${CHAIN} blob`, `prune ${CHAIN} --keep-last=1`],
  map: ['sync blob s', 'map show s', 'map check s', 'map rebuild s', 'map bind s'],
  export: ['export --format=bmap blob b.bmap', 'export --format=rdiff-sig blob b.sig'],
  import: [
    'export --format=rdiff-delta --base=empty blob d',
    'import --format=rdiff-delta --base=empty d imported',
  ],
  // These end with a signal only (test/cli/serve.test.ts and their like).
  serve: [],
  mount: [],
  mkdev: [],
  'serve-nbd': [],
  help: ['help', '--help', '--version', '--what=help', '--with=help'],
};

/** A copy for one test, with times and fifos. */
function example(t: ExecutionContext): string {
  const folder = temporaryFolder(t);
  execFileSync('cp', ['-a', `${made}/.`, folder]);
  return folder;
}

test('every command is among those that are tried', (t) => {
  const names = VERBS.map(({ name }) => name);
  t.deepEqual(Object.keys(RUNS).sort(), [...names, 'help'].sort());
});

for (const [verb, runs] of Object.entries(RUNS)) {
  if (runs.length === 0) continue;
  test(`${verb} is silent, into a pipe and on a terminal`, async (t) => {
    t.timeout(240_000);
    const hasTerminal = requirement(t, { commands: ['python3'] });
    const folder = example(t);
    for (const line of runs) {
      const result = await runCasync(line.split(' '), { cwd: folder });
      t.is(result.status, 0, describeRun(result));
      t.is(result.stderr.toString(), '', line);
      if (!hasTerminal) continue;
      const stdoutPath = join(folder, 'stdout');
      const shown = await runOnTerminal(line.split(' '), { cwd: folder, stdoutPath });
      t.is(shown.status, 0, shown.sent);
      t.deepEqual(shown.screen, [], line);
      fs.rmSync(stdoutPath);
    }
  });
}
