import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { openBlockTarget } from '../../../lib/extract/open-target.node.ts';
import { openStreamTarget } from '../../../lib/extract/target-stream.node.ts';
import { targetSuite } from '../../conformance/target.ts';
import { noise } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

targetSuite('new file', {
  async open(t, size, punchHoles) {
    const path = join(temporaryFolder(t), 'out');
    return {
      target: openBlockTarget(path, { size, punchHoles }),
      result: () => readFileSync(path),
    };
  },
});

targetSuite('replaced file', {
  async open(t, size, punchHoles) {
    const path = join(temporaryFolder(t), 'out');
    writeFileSync(path, noise(700_000, 9));
    return {
      target: openBlockTarget(path, { size, punchHoles }),
      result: () => readFileSync(path),
    };
  },
});

targetSuite('pipe', {
  async open(t, size, punchHoles) {
    const child = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    const { fd } = (child.stdin as unknown as { _handle: { fd: number } })._handle;
    const output = buffer(child.stdout);
    const result = async () => {
      child.stdin.end();
      return new Uint8Array(await output);
    };
    t.teardown(() => child.kill());
    return { target: openBlockTarget(fd, { size, punchHoles }), result };
  },
});

/** A block device full of other bytes; gone after the test. */
function loopDevice(t: ExecutionContext, size: number): string | undefined {
  const needs = { root: true, commands: ['losetup'] };
  if (!requirement(t, needs)) return undefined;
  const image = join(temporaryFolder(t), 'image');
  writeFileSync(image, noise(1 << 20, 5));
  truncateSync(image, size);
  const device = execFileSync('losetup', ['--show', '-f', image], { encoding: 'utf8' }).trim();
  t.teardown(() => {
    execFileSync('losetup', ['-d', device]);
  });
  return device;
}

targetSuite('block device', {
  async open(t, size, punchHoles) {
    const device = loopDevice(t, 1 << 20);
    if (device === undefined) return undefined;
    const target = openBlockTarget(device, { size, punchHoles });
    return { target, result: () => readFileSync(device).subarray(0, size) };
  },
});

test('the rest of a larger device stays', async (t) => {
  const device = loopDevice(t, 1 << 20);
  if (device === undefined) return;
  const before = readFileSync(device);
  const target = openBlockTarget(device, { size: 200_000 });
  await target.write(new Uint8Array(200_000), 0);
  await target.commit();
  const after = readFileSync(device);
  t.is(after.length, before.length);
  t.true(after.subarray(0, 200_000).equals(Buffer.alloc(200_000)));
  t.true(after.subarray(200_000).equals(before.subarray(200_000)));
});

test('a device that is too small is refused before it is touched', (t) => {
  const device = loopDevice(t, 1 << 20);
  if (device === undefined) return;
  const before = readFileSync(device);
  const error = t.throws(() => openBlockTarget(device, { size: (1 << 20) + 1 }));
  t.like(error, { code: 'TARGET_FULL', subject: device });
  t.true(readFileSync(device).equals(before));
});

test('a stream refuses to jump', async (t) => {
  const path = join(temporaryFolder(t), 'out');
  const fd = openSync(path, 'w');
  t.teardown(() => closeSync(fd));
  const target = openStreamTarget(fd, { label: 'out' });
  await t.throwsAsync(async () => target.write(Uint8Array.of(1), 5), { instanceOf: TypeError });
});

test('a file that the shell has opened is written from where it stands', async (t) => {
  const path = join(temporaryFolder(t), 'out');
  writeFileSync(path, 'before ');
  const fd = openSync(path, 'a');
  const target = openBlockTarget(fd, { size: 5 });
  await target.write(Buffer.from('after'), 0);
  await target.commit();
  closeSync(fd);
  t.is(readFileSync(path, 'utf8'), 'before after');
});

test('a reader that goes away is an error, not a signal', async (t) => {
  const child = spawn('true', { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.on('error', () => {});
  const { fd } = (child.stdin as unknown as { _handle: { fd: number } })._handle;
  const target = openStreamTarget(fd, { label: 'standard output' });
  await once(child, 'exit');
  const error = await t.throwsAsync(async () => target.write(new Uint8Array(1 << 20), 0));
  t.regex(String(error?.message), /standard output: write/);
});
