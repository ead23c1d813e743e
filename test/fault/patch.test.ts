/** `patch` in place that is killed, or loses power, at any point: the next run ends right. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { describePoint, findKillPoints, runUntilKilled, spread, warmUp } from './kill-points.ts';

const BLOCK = 65_536;

/** An image, and one in which every third block is another one, and that is longer. */
async function prepare(cwd: string, chunking: string): Promise<readonly [Buffer, Buffer]> {
  const a = Buffer.from(noise(40 * BLOCK));
  const b = Buffer.concat([a, noise(5000, 3)]);
  for (let at = 0; at < a.length; at += 3 * BLOCK) b.fill(noise(BLOCK, at + 5), at, at + BLOCK);
  fs.writeFileSync(join(cwd, 'a'), a);
  fs.writeFileSync(join(cwd, 'b'), b);
  const words = ['delta', '--base=a', 'b', '-o', 'd', `--chunking=${chunking}`];
  await succeed(runCasync(chunking === 'fixed' ? [...words, '--block-size=64K'] : words, { cwd }));
  return [a, b];
}

for (const [chunking, pointCount] of [
  ['fixed', 10],
  ['cdc', 6],
] as const) {
  test(`a ${chunking} patch that is killed is completed by the next run`, async (t) => {
    warmUp();
    const cwd = temporaryFolder(t);
    const [a, b] = await prepare(cwd, chunking);
    const folder = join(cwd, 'work');
    fs.mkdirSync(folder);
    const [x, undo] = [join(folder, 'x'), join(folder, 'undo')];
    const words = ['patch', x, join(cwd, 'd'), `--undo=${undo}`];
    const begin = () => {
      fs.rmSync(folder, { recursive: true });
      fs.mkdirSync(folder);
      fs.writeFileSync(x, a);
    };
    begin();
    const points = await findKillPoints(words, folder);
    t.true(fs.readFileSync(x).equals(b));
    let killed = 0;
    for (const point of spread(points, pointCount)) {
      begin();
      if (await runUntilKilled(words, point)) killed += 1;
      // Also where a block was written in part only.
      const isUnderWay = fs.existsSync(`${x}.patching`);
      if (isUnderWay && chunking === 'fixed') {
        const descriptor = fs.openSync(x, 'r+');
        fs.writeSync(descriptor, noise(100, 9), 0, 100, 3 * BLOCK + 1000);
        fs.closeSync(descriptor);
      }
      await succeed(runCasync(words));
      t.true(fs.readFileSync(x).equals(b), describePoint(point));
      t.false(fs.existsSync(`${x}.patching`), describePoint(point));
      if (!fs.existsSync(undo)) continue;
      await succeed(runCasync(['patch', '--reverse', x, undo]));
      t.true(fs.readFileSync(x).equals(a), describePoint(point));
    }
    t.log(`killed at ${killed} of ${points.length} points`);
    t.true(killed >= pointCount / 2);
  });
}

test('a note of the patch is on disk before the first write, and goes when all is', async (t) => {
  if (!requirement(t, { commands: ['strace'] })) return;
  warmUp();
  const cwd = temporaryFolder(t);
  await prepare(cwd, 'fixed');
  const log = join(cwd, 'log');
  const calls = 'pwrite64,fsync,fdatasync,rename,ftruncate,unlink';
  const options = ['-f', '-y', '-qq', '-o', log, '-e', `trace=${calls}`, '-e', 'signal=none'];
  const env = { ...process.env, UV_USE_IO_URING: '0' };
  execFileSync('strace', [...options, CASYNC, 'patch', join(cwd, 'a'), join(cwd, 'd')], { env });
  const steps: string[] = [];
  for (const line of fs.readFileSync(log, 'latin1').split('\n')) {
    const [, name, rest = ''] = /^\d+ +(\w+)\((.*)/.exec(line) ?? [];
    if (name === undefined || !rest.includes(cwd)) continue;
    const subject = rest.includes('.patching')
      ? 'note'
      : rest.includes(`${cwd}/a`)
        ? 'image'
        : 'folder';
    const step = `${name.replace('fdatasync', 'fsync')} ${subject}`;
    if (steps.at(-1) !== step) steps.push(step);
  }
  t.deepEqual(steps, [
    'fsync note',
    'rename note',
    'fsync folder',
    'pwrite64 image',
    'ftruncate image',
    'fsync image',
    'unlink note',
    'fsync folder',
  ]);
});
