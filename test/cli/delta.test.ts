/** `delta`, `patch` and `compose`, as scripts meet them (spec/images.md, "Deltas"). */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { writeImagePair } from '../helpers/image-pair.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;

/** Two versions of an image of 16 MiB. */
function prepare(t: ExecutionContext) {
  const cwd = temporaryFolder(t);
  const [a, b] = ['a', 'b'].map((name) => join(cwd, name));
  const { changed } = writeImagePair(a, b, { size: 16 * MIB, changedPages: 200 });
  return { cwd, changed, at: (name: string) => join(cwd, name) };
}

function isSame(a: string, b: string): boolean {
  return fs.readFileSync(a).equals(fs.readFileSync(b));
}

test('a delta leads from one image to the other, and its undo back', async (t) => {
  const { cwd, at, changed } = prepare(t);
  const words = ['delta', '--base=a', 'b', '-o', 'd', '--stats=json'];
  const made = await succeed(runCasync(words, { cwd }));
  const stats = JSON.parse(made.stderr.toString());
  t.is(stats.verb, 'delta');
  t.is(stats.chunking, 'fixed');
  t.is(stats.changedBytes, changed.length * 4096);
  t.is(stats.deltaBytes, fs.statSync(at('d')).size);
  t.true(stats.deltaBytes <= changed.length * (4096 + 100));
  fs.copyFileSync(at('a'), at('x'));
  const patched = await succeed(
    runCasync(['patch', 'x', 'd', '--undo=back', '--stats=json'], { cwd }),
  );
  t.true(isSame(at('x'), at('b')));
  const { writtenBytes, holeBytes } = JSON.parse(patched.stderr.toString());
  t.is(writtenBytes + holeBytes, changed.length * 4096);
  await succeed(runCasync(['patch', '--reverse', 'x', 'back'], { cwd }));
  t.true(isSame(at('x'), at('a')));
});

test('deltas go through pipes', async (t) => {
  const { cwd, at } = prepare(t);
  const source = fs.readFileSync(at('b'));
  const made = await succeed(
    runCasync(['delta', '--base=a', '-', '-o', '-', '--block-size=4K'], { cwd, stdin: source }),
  );
  await succeed(runCasync(['patch', 'a', '-', '-o', 'out'], { cwd, stdin: made.stdout }));
  t.true(isSame(at('out'), at('b')));
  const composed = await succeed(
    runCasync(['compose', '-', '-o', '-'], { cwd, stdin: made.stdout }),
  );
  t.true(composed.stdout.equals(made.stdout));
});

test('a wrong base ends with 15, a damaged delta with 14, and nothing is written', async (t) => {
  const { cwd, at, changed } = prepare(t);
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 'd'], { cwd }));
  const wrong = fs.readFileSync(at('a'));
  wrong[changed[7] * 4096 + 1] ^= 1;
  fs.writeFileSync(at('x'), wrong);
  const refused = await runCasync(['patch', 'x', 'd'], { cwd });
  t.is(refused.status, 15);
  t.regex(refused.stderr.toString(), /^.*x: patch: the block at \d+ is neither .*\n$/);
  t.true(fs.readFileSync(at('x')).equals(wrong));
  const delta = fs.readFileSync(at('d'));
  delta[delta.length >> 1] ^= 1;
  fs.writeFileSync(at('d'), delta);
  const damaged = await runCasync(['patch', 'a', 'd', '-o', 'out'], { cwd });
  t.is(damaged.status, 14);
  const none = await runCasync(['patch', 'a', 'b'], { cwd });
  t.is(none.status, 14);
  t.regex(none.stderr.toString(), /not a delta/);
  t.false(fs.existsSync(at('out')));
});

test('options that cannot be meant are refused', async (t) => {
  const { cwd } = prepare(t);
  for (const words of [
    ['delta', 'b', '-o', 'd'],
    ['delta', '--base=a', 'b'],
    ['delta', '--base=a', 'b', '-o', 'd', '--format=qcow2'],
    ['delta', '--base=a', 'b', '-o', 'd', '--format=sparse', '--chunking=cdc'],
    ['delta', '--base=a', 'b', '-o', 'd', '--digest=blake2b-256'],
    ['delta', '--base=a', 'b', '-o', '-', '--format=sparse'],
    ['patch', 'a'],
    ['patch', '-', 'd'],
    ['patch', 'a', 'd', '-o', '-'],
    ['compose', 'd'],
  ]) {
    const result = await runCasync(words, { cwd });
    t.is(result.status, 1, words.join(' '));
    t.is(result.stderr.toString().split('\n').length, 2, words.join(' '));
  }
  t.deepEqual(fs.readdirSync(cwd).sort(), ['a', 'b']);
});

test('copies of a sparse delta are as good, whatever became of its holes', async (t) => {
  if (!requirement(t, { commands: ['fallocate'] })) return;
  const { cwd, at } = prepare(t);
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 's', '--format=sparse'], { cwd }));
  execFileSync('cp', ['--sparse=always', 's', 's2'], { cwd });
  execFileSync('fallocate', ['-d', 's2'], { cwd });
  fs.copyFileSync(at('s.bmap'), at('s2.bmap'));
  fs.copyFileSync(at('a'), at('x'));
  await succeed(runCasync(['patch', 'x', 's2'], { cwd }));
  t.true(isSame(at('x'), at('b')));
  await succeed(runCasync(['patch', 'x', 's.bmap'], { cwd }));
  t.true(isSame(at('x'), at('b')));
});

test('a sparse delta with one wrong byte writes nothing, nor does one for another base', async (t) => {
  const { cwd, at, changed } = prepare(t);
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 's', '--format=sparse'], { cwd }));
  const wrongBase = fs.readFileSync(at('a'));
  wrongBase[changed[3] * 4096] ^= 1;
  fs.writeFileSync(at('x'), wrongBase);
  t.is((await runCasync(['patch', 'x', 's'], { cwd })).status, 15);
  t.true(fs.readFileSync(at('x')).equals(wrongBase));
  for (const name of ['s', 's.bmap']) {
    const good = fs.readFileSync(at(name));
    const bad = Buffer.from(good);
    bad[name === 's' ? changed[5] * 4096 + 9 : 2000] ^= 1;
    fs.writeFileSync(at(name), bad);
    fs.copyFileSync(at('a'), at('x'));
    t.is((await runCasync(['patch', 'x', 's'], { cwd })).status, 14, name);
    t.true(isSame(at('x'), at('a')), name);
    fs.writeFileSync(at(name), good);
  }
});

function loopDevice(t: ExecutionContext, path: string): string {
  const device = execFileSync('losetup', ['-f', '--show', path]).toString().trim();
  t.teardown(() => execFileSync('losetup', ['-d', device]));
  return device;
}

test('bmaptool copies a sparse delta onto a device', async (t) => {
  if (!requirement(t, { root: true, commands: ['bmaptool', 'losetup'] })) return;
  const { cwd, at } = prepare(t);
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 's', '--format=sparse'], { cwd }));
  const device = loopDevice(t, at('a'));
  execFileSync('bmaptool', ['--quiet', 'copy', 's', device], { cwd });
  t.true(isSame(device, at('b')));
});

test('a device is patched in place, and not if somebody holds it', async (t) => {
  if (!requirement(t, { root: true, commands: ['losetup'] })) return;
  const { cwd, at } = prepare(t);
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 'd'], { cwd }));
  await succeed(runCasync(['delta', '--base=a', 'b', '-o', 'cdc', '--chunking=cdc'], { cwd }));
  fs.copyFileSync(at('a'), at('x'));
  const device = loopDevice(t, at('x'));
  const held = fs.openSync(device, fs.constants.O_RDWR | fs.constants.O_EXCL);
  t.is((await runCasync(['patch', device, 'd'], { cwd })).status, 15);
  fs.closeSync(held);
  t.is((await runCasync(['patch', device, 'cdc'], { cwd })).status, 1);
  await succeed(runCasync(['patch', device, 'd', '--undo=back'], { cwd }));
  t.true(isSame(device, at('b')));
  const again = await succeed(runCasync(['patch', device, 'd', '-v'], { cwd }));
  t.regex(again.stderr.toString(), /Nothing to do/);
  await succeed(runCasync(['patch', device, 'back'], { cwd }));
  t.true(isSame(device, at('a')));
});
