import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeScript } from '../helpers/fake-ssh.ts';
import { writeImagePair } from '../helpers/image-pair.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, describeRun, runCasync } from '../helpers/run-casync.ts';
import { runRelayed } from '../helpers/session-relay.ts';
import { SSH_NEEDS, startSshServer } from '../helpers/sshd.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;

function folderFor(t: ExecutionContext): string {
  const folder = makeTemporaryFolder();
  t.teardown(() => removeTree(folder));
  return folder;
}

function equal(t: ExecutionContext, a: string, b: string): void {
  t.true(readFileSync(a).equals(readFileSync(b)), `${a} is not ${b}`);
}

/** Two images of 16 MiB that differ in 200 pages, 10 of them zeroed. */
function pairIn(folder: string) {
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  writeImagePair(a, b, { size: 16 * MIB, changedPages: 200 });
  return { a, b, changedBytes: 190 * PAGE, blocks: (16 * MIB) / PAGE };
}

/** What a sync may cost: the changed blocks, the comparison, and a little. */
function bound(changedBytes: number, comparison: number): number {
  return changedBytes + comparison + 64 * 1024;
}

const IMAGE = 'host:d.img';
const PLAIN = '--compress=none';

test('what crosses is the changed blocks and little else, whatever is known', async (t) => {
  const folder = folderFor(t);
  const { a, b, changedBytes, blocks } = pairIn(folder);
  const d = join(folder, 'd.img');
  writeFileSync(d, readFileSync(a));
  const cold = await runRelayed(folder, [PLAIN, b, IMAGE]);
  t.is(cold.result.status, 0, describeRun(cold.result));
  t.is(cold.farStatus, 0);
  equal(t, b, d);
  t.is(cold.statistics?.images[0].comparison, 'segments');
  t.true(cold.there + cold.back <= bound(changedBytes, 8 * blocks));

  const clean = await runRelayed(folder, [PLAIN, a, IMAGE]);
  equal(t, a, d);
  t.is(clean.statistics?.images[0].comparison, 'levels');
  t.is(clean.statistics?.images[0].writtenBytes, 200 * PAGE);
  t.true(clean.there + clean.back <= bound(200 * PAGE, 256 * 3 * 200));

  const before = statSync(d).mtimeMs;
  const unchanged = await runRelayed(folder, [a, IMAGE, '--map=held']);
  t.is(unchanged.statistics?.images[0].comparison, 'equal');
  t.true(unchanged.there + unchanged.back <= 4096);
  t.is(statSync(d).mtimeMs, before);

  const held = await runRelayed(folder, [PLAIN, '--map=held', b, IMAGE]);
  t.is(held.statistics?.images[0].comparison, 'held');
  equal(t, b, d);
  t.true(held.there + held.back <= bound(changedBytes, 0));
});

test('the other direction costs the same', async (t) => {
  const folder = folderFor(t);
  const { a, b, changedBytes, blocks } = pairIn(folder);
  const d = join(folder, 'd.img');
  writeFileSync(d, readFileSync(a));
  const cold = await runRelayed(folder, [PLAIN, 'host:b', d]);
  t.is(cold.result.status, 0, describeRun(cold.result));
  equal(t, b, d);
  t.true(cold.there + cold.back <= bound(changedBytes, 8 * blocks));
  const clean = await runRelayed(folder, [PLAIN, 'host:a', d]);
  equal(t, a, d);
  t.true(clean.there + clean.back <= bound(200 * PAGE, 256 * 3 * 200));
  const unchanged = await runRelayed(folder, [PLAIN, 'host:a', d]);
  t.true(unchanged.there + unchanged.back <= 4096);
});

test('ten round trips are enough', async (t) => {
  const folder = folderFor(t);
  const { a, b } = pairIn(folder);
  writeFileSync(join(folder, 'd.img'), readFileSync(a));
  await runRelayed(folder, [a, IMAGE]);
  const { statistics, roundTrips } = await runRelayed(folder, [b, IMAGE], { delayMs: 20 });
  t.is(statistics?.images[0].comparison, 'levels');
  equal(t, b, join(folder, 'd.img'));
  t.true(roundTrips <= 10, `${roundTrips}`);
});

test('a connection that is cut fails on both sides, and the next run goes on from there', async (t) => {
  const folder = folderFor(t);
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  writeImagePair(a, b, { size: 16 * MIB, changedPages: 2000 });
  const d = join(folder, 'd.img');
  writeFileSync(d, readFileSync(a));
  const batch = 512 * 1024;
  await runRelayed(folder, [a, IMAGE]);
  let left = 1900 * PAGE;
  for (const cutAfter of [40, 30_000, 1.5 * MIB, 4 * MIB]) {
    const cut = await runRelayed(folder, [PLAIN, `--batch=${batch}`, b, IMAGE], { cutAfter });
    t.is(cut.result.status, 16, describeRun(cut.result));
    t.not(cut.farStatus, 0);
    left -= Math.max(0, cutAfter - batch - 2 * MIB);
  }
  const last = await runRelayed(folder, [PLAIN, b, IMAGE]);
  t.is(last.result.status, 0, describeRun(last.result));
  equal(t, b, d);
  const { transferredBytes = 0 } = last.statistics?.images[0] ?? {};
  t.true(transferredBytes <= left, `${transferredBytes} of ${left}`);
});

test('several images cross in one session, into a directory', async (t) => {
  const folder = folderFor(t);
  mkdirSync(join(folder, 'disks'));
  const names = ['one', 'two', 'three'];
  for (const name of names) writeFileSync(join(folder, name), randomBytes(300_000));
  const words = names.map((name) => join(folder, name));
  const { result, statistics } = await runRelayed(folder, [...words, 'host:disks/']);
  t.is(result.status, 0, describeRun(result));
  t.is(statistics?.images.length, 3);
  for (const name of names) equal(t, join(folder, name), join(folder, 'disks', name));
  mkdirSync(join(folder, 'back'));
  const there = names.map((name) => `host:disks/${name}`);
  const pulled = await runRelayed(folder, [...there, join(folder, 'back')]);
  t.is(pulled.result.status, 0, describeRun(pulled.result));
  for (const name of names) equal(t, join(folder, name), join(folder, 'back', name));
});

test('what the other side refuses is told in one line, with its exit status', async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, 'a'), randomBytes(100_000));
  const refusals: readonly [string[], number, RegExp][] = [
    [['host:missing', join(folder, 'x')], 1, /host: \.\/missing: .*No such file or directory/],
    [[join(folder, 'a'), 'host:no/where'], 1, /No such file or directory/],
    [[join(folder, 'a'), 'host:nothing/'], 1, /no such directory/],
  ];
  for (const [words, status, text] of refusals) {
    const { result, farStatus } = await runRelayed(folder, words);
    t.is(result.status, status, describeRun(result));
    t.is(farStatus, status);
    t.regex(result.stderr.toString(), text);
    t.is(result.stderr.toString().trim().split('\n').length, 1);
  }
  t.false(existsSync(join(folder, 'x')));
});

test('a stranger on the other side is recognised', async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, 'a'), randomBytes(1000));
  const ssh = writeScript(folder, 'ssh', ['echo Welcome; cat > /dev/null']);
  const greeted = await runCasync(['sync', `--ssh=${ssh}`, join(folder, 'a'), 'host:b']);
  t.is(greeted.status, 14, describeRun(greeted));
  t.regex(greeted.stderr.toString(), /does not speak the session protocol/);
  const absent = writeScript(folder, 'absent', ['exit 127']);
  const missed = await runCasync(['sync', `--ssh=${absent}`, join(folder, 'a'), 'host:b']);
  t.is(missed.status, 1);
  t.regex(missed.stderr.toString(), /no such program there/);
  const gone = writeScript(folder, 'gone', ['exit 255']);
  const lost = await runCasync(['sync', `--ssh=${gone}`, join(folder, 'a'), 'host:b']);
  t.is(lost.status, 16, describeRun(lost));
});

test('names that a shell would read something into are only names, also over a real ssh', async (t) => {
  if (!requirement(t, SSH_NEEDS)) return;
  const server = await startSshServer();
  t.teardown(() => server.stop());
  const folder = folderFor(t);
  const far = join(folder, 'far');
  mkdirSync(far);
  const source = join(folder, 'source');
  writeFileSync(source, randomBytes(200_000));
  const program = writeScript(folder, 'casync', [`exec '${process.execPath}' '${CASYNC}' "$@"`]);
  const common = ['sync', `--ssh=${server.sshProgram}`, `--remote-path=${program}`];
  const names = ['-rf', 'it\'s $(touch x) `y` "z"', 'a:b', 'new\nline', '*', 'ä é', '~root'];
  for (const name of names) {
    const pushed = await runCasync([...common, source, `host:${far}/${name}`]);
    t.is(pushed.status, 0, describeRun(pushed));
    equal(t, source, join(far, name));
    const back = join(folder, 'back');
    const pulled = await runCasync([...common, '--map=none', `host:${far}/${name}`, back]);
    t.is(pulled.status, 0, describeRun(pulled));
    equal(t, source, back);
  }
  const found = readdirSync(far).filter((name) => !/\.caibx(\.state)?$/.test(name));
  t.deepEqual(found.sort(), [...names].sort());
  const stranger = await runCasync([...common, source, '-oProxyCommand=x:y']);
  t.not(stranger.status, 0);
});
