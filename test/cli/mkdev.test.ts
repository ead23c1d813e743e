/** mkdev and udev on the command line, as far as no device is needed; test/peers/mkdev.test.ts has one. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { type RunResult, runCasync, runReference } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** No machine has as many. */
const ABSENT_DEVICE = '/dev/nbd1023';

function outcome({ status, stdout, stderr }: RunResult): readonly unknown[] {
  return [status, stdout.toString(), stderr.toString()];
}

test('without the device one line says so, and names what works without', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), 'blob');
  const { status, stdout, stderr } = await runCasync(['mkdev', 'blob', ABSENT_DEVICE], {
    cwd: folder,
  });
  t.not(status, 0);
  t.is(stdout.length, 0);
  t.regex(
    stderr.toString(),
    /^Failed to open NBD device: No such file or directory \(.*serve-nbd.*\)\n$/,
  );
  t.deepEqual(readdirSync(folder), ['blob']);
});

test('what is at NODE already stays', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), 'blob');
  writeFileSync(join(folder, 'there'), 'there');
  const result = await runCasync(['mkdev', 'blob', 'there'], { cwd: folder });
  t.not(result.status, 0);
  t.deepEqual(readdirSync(folder).sort(), ['blob', 'there']);
});

test('a pipe and a folder are refused, for they are not seekable', async (t) => {
  const options = { stdin: Buffer.from('blob'), cwd: temporaryFolder(t) };
  const expected = [1, '', 'Seekable archive required.\n'];
  t.deepEqual(outcome(await runCasync(['mkdev'], options)), expected);
  t.deepEqual(outcome(await runCasync(['mkdev', '.'], options)), expected);
});

const SAME_AS_REFERENCE: readonly (readonly string[])[] = [
  ['mkdev', '--what=archive', 'x'],
  ['mkdev', 'x', 'y', 'z'],
  ['udev'],
  ['udev', 'a', 'b'],
  ['udev', '/dev/nbd1023'],
  ['udev', '/dev/sda'],
];

for (const words of SAME_AS_REFERENCE) {
  test(`casync ${words.join(' ')}: as the original`, async (t) => {
    if (!requirement(t, { commands: ['casync'] })) return;
    const options = { cwd: temporaryFolder(t) };
    const [ours, reference] = await Promise.all([
      runCasync(words, options),
      runReference(words, options),
    ]);
    t.deepEqual(outcome(ours), outcome(reference));
  });
}

test('what is no path of a device is refused', async (t) => {
  const { status, stderr } = await runCasync(['udev', 'nbd0']);
  t.is(status, 1);
  t.is(stderr.toString(), 'Argument is not a valid device node path: nbd0.\n');
});
