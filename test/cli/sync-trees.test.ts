import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeScript } from '../helpers/fake-ssh.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, runCasync } from '../helpers/run-casync.ts';
import { runRelayed } from '../helpers/session-relay.ts';
import { SSH_NEEDS, startSshServer } from '../helpers/sshd.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

const FILES = 1000;

interface Folders {
  readonly folder: string;
  readonly source: string;
  readonly target: string;
}

/** A tree of files of 200 to 6200 bytes, some of equal size. */
function folders(t: ExecutionContext, count = FILES): Folders {
  const folder = temporaryFolder(t);
  const [source, target] = [join(folder, 'source'), join(folder, 'target')];
  for (let i = 0; i < count; i++) {
    const directory = join(source, `d${i % 20}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `file-${i}`), randomBytes(200 + 15 * (i % 400)));
  }
  return { folder, source, target };
}

/** Moves a tenth, copies a twentieth and edits a hundredth of all files. */
function change(source: string): number {
  let editedBytes = 0;
  mkdirSync(join(source, 'new'));
  for (let i = 0; i < FILES; i++) {
    const path = join(source, `d${i % 20}`, `file-${i}`);
    if (i % 10 === 3) renameSync(path, join(source, 'new', `moved-${i}`));
    else if (i % 20 === 4) copyFileSync(path, join(source, 'd7', `copy-${i}`));
    else if (i % 100 === 5) {
      appendFileSync(path, 'edited');
      editedBytes += statSync(path).size;
    }
  }
  return editedBytes;
}

function folderThere({ target }: Folders): string {
  return `host:${target}`;
}

test.serial(
  'moved and copied content does not cross, and a second run writes nothing',
  async (t) => {
    const all = folders(t);
    const { folder, source, target } = all;
    const first = await runRelayed(folder, [source, folderThere(all)]);
    t.is(first.result.status, 0, describeRun(first.result));
    t.deepEqual(compareTrees(source, target), []);
    const editedBytes = change(source);
    const { result, there, back } = await runRelayed(folder, [source, folderThere(all)]);
    t.is(result.status, 0, describeRun(result));
    t.deepEqual(compareTrees(source, target), []);
    const overhead = there + back - editedBytes;
    t.true(overhead < 15_000, `${overhead} bytes besides what was edited`);
    const before = statSync(join(target, 'new')).ctimeMs;
    const again = await runRelayed(folder, [source, folderThere(all)]);
    t.is(statSync(join(target, 'new')).ctimeMs, before);
    t.true(again.there + again.back <= 4096, `${again.there + again.back} bytes`);
  },
);

test.serial('what comes from there is the same as what goes there', async (t) => {
  const { folder, source, target } = folders(t, 200);
  symlinkSync('/nowhere', join(source, 'd1/link'));
  mkdirSync(join(source, "it's \n a $(folder)"));
  const { result } = await runRelayed(folder, [`host:${source}`, target]);
  t.is(result.status, 0, describeRun(result));
  t.deepEqual(compareTrees(source, target), []);
});

test.serial(
  'a cut connection is a failure on both sides, and the next run completes it',
  async (t) => {
    const all = folders(t, 300);
    const { folder, source, target } = all;
    for (const cutAfter of [3000, 200_000, 600_000]) {
      const cut = await runRelayed(folder, [source, folderThere(all)], { cutAfter });
      t.not(cut.result.status, 0);
      t.not(cut.farStatus, 0);
    }
    t.true(readdirSync(target).length > 1, 'something was done');
    const { result, there } = await runRelayed(folder, [source, folderThere(all)]);
    t.is(result.status, 0, describeRun(result));
    t.deepEqual(compareTrees(source, target), []);
    const total = readdirSync(source).length * 15 * 3200;
    t.true(there < total, 'what was there did not come again');
  },
);

test.serial('round trips are few', async (t) => {
  const all = folders(t, 200);
  const { folder, source } = all;
  await runRelayed(folder, [source, folderThere(all)]);
  renameSync(join(source, 'd1/file-1'), join(source, 'd2/moved'));
  writeFileSync(join(source, 'd4/file-4'), randomBytes(5000));
  const slow = await runRelayed(folder, [source, folderThere(all)], { delayMs: 20 });
  t.is(slow.result.status, 0, describeRun(slow.result));
  t.true(slow.roundTrips <= 10, `${slow.roundTrips}`);
});

test.serial('several folders go into one, in one session', async (t) => {
  const { folder, source, target } = folders(t, 60);
  mkdirSync(target);
  const [a, b] = [join(source, 'd1'), join(source, 'd2')];
  const { result } = await runRelayed(folder, [a, b, `host:${target}/`]);
  t.is(result.status, 0, describeRun(result));
  t.deepEqual(compareTrees(a, join(target, 'd1')), []);
  t.deepEqual(compareTrees(b, join(target, 'd2')), []);
});

test.serial('folders of one machine become equal; moved files are the old ones', async (t) => {
  const { source, target } = folders(t, 200);
  const run = (...words: string[]) => runCasync(['sync', ...words, source, target]);
  const dry = await run('--dry-run');
  t.regex(dry.stdout.toString(), /^.*target: 220 of 220 entries would be changed/);
  t.is((await run()).status, 0);
  t.deepEqual(compareTrees(source, target), []);
  renameSync(join(source, 'd1/file-21'), join(source, 'd2/moved'));
  const { ino } = statSync(join(target, 'd1/file-21'));
  writeFileSync(join(target, 'extra'), 'extra');
  const result = await run('-v');
  t.is(result.status, 0, describeRun(result));
  t.deepEqual(compareTrees(source, target), []);
  t.is(statSync(join(target, 'd2/moved')).ino, ino);
});

test.serial('what a killed run has left is used, and removed', async (t) => {
  const { source, target } = folders(t, 20);
  mkdirSync(join(target, '.casync-session.0123456789abcdef'), { recursive: true });
  const content = readFileSync(join(source, 'd3/file-3'));
  writeFileSync(join(target, '.casync-session.0123456789abcdef/7'), content);
  const { stderr, status } = await runCasync([
    'sync',
    '--stats=json',
    '--delete=no',
    source,
    target,
  ]);
  t.is(status, 0, stderr.toString());
  t.true(JSON.parse(stderr.toString()).ownBytes >= content.length);
  t.deepEqual(compareTrees(source, target), []);
});

test.serial(
  'options that mean nothing for folders are refused, and so are folders in each other',
  async (t) => {
    const { folder, source } = folders(t, 20);
    for (const words of [
      ['--undo=x', source, join(folder, 'target')],
      ['--verify=full', source, join(folder, 'target')],
      [source, join(source, 'inner')],
      [source, join(source, 'd1/file-1')],
    ]) {
      const { status, stderr } = await runCasync(['sync', ...words]);
      t.not(status, 0, stderr.toString());
    }
    t.false(readdirSync(source).includes('inner'));
  },
);

test.serial('folders and entries of any name cross a real ssh, both ways', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const server = await startSshServer();
  t.teardown(() => server.stop());
  const { folder, source } = folders(t, 20);
  const odd = ['-rf', 'it\'s $(touch x) "z"', 'new\nline', '*', '~root'];
  for (const name of odd) writeFileSync(join(source, 'd1', name), name);
  const program = writeScript(folder, 'casync', [`exec '${process.execPath}' '${CASYNC}' "$@"`]);
  const common = ['sync', `--ssh=${server.sshProgram}`, `--remote-path=${program}`];
  const there = join(folder, odd[1]);
  const pushed = await runCasync([...common, source, `host:${there}`]);
  t.is(pushed.status, 0, describeRun(pushed));
  t.deepEqual(compareTrees(source, there), []);
  const back = join(folder, 'back');
  const pulled = await runCasync([...common, `host:${there}`, back]);
  t.is(pulled.status, 0, describeRun(pulled));
  t.deepEqual(compareTrees(source, back), []);
});
