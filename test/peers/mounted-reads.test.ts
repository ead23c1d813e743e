// Reads of mounted files in all ways that Linux has, by tools that verify what they read.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { MOUNT_NEEDS, type MountProcess, readWith, startMount } from '../helpers/mounted.ts';
import { findCommand, requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';

const READER = join(import.meta.dirname, '../helpers/mounted-reader.py');
const NEEDS = {
  ...MOUNT_NEEDS,
  commands: [...(MOUNT_NEEDS.commands ?? []), 'fio', 'python3'],
};
const MIB = 2 ** 20;
const MOST_MEMORY = 300 * MIB;
const BLOCK = '--bs=16k';
const SIZE = '--size=24m';
const VERIFY = '--verify=crc32c';

const folder = makeTemporaryFolder();

test.before(async () => {
  mkdirSync(join(folder, 'tree/many'), { recursive: true });
  const disk = join(folder, 'tree/disk');
  const words = ['--name=write', '--rw=write', BLOCK, SIZE, VERIFY, '--do_verify=0'];
  if (findCommand('fio') !== undefined)
    execFileSync('fio', [...words, `--filename=${disk}`], { cwd: folder });
  else writeFileSync(disk, noise(24 * MIB));
  const bytes = noise(4 * MIB);
  for (let i = 0; i < 2000; i++) {
    const start = (i * 1999) % (3 * MIB);
    writeFileSync(
      join(folder, `tree/many/${i}`),
      bytes.subarray(start, start + ((i * 37) % 40_000)),
    );
  }
  const options = { cwd: folder };
  await succeed(runCasync(['make', '--with=fuse', 'x.caidx', 'tree'], options));
  await succeed(runCasync(['make', '--with=fuse', 'disk.caibx', 'tree/disk'], options));
});

test.after.always(() => removeTree(folder));

/** Largest resident memory of a process so far, in bytes. */
function peakMemory({ pid }: MountProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'ascii');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

async function assertEnd(t: ExecutionContext, mount: MountProcess): Promise<void> {
  const peak = peakMemory(mount);
  t.log(`the mount occupied ${Math.round(peak / MIB)} MiB`);
  t.true(peak <= MOST_MEMORY);
  const { status, stderr } = await mount.stop();
  t.deepEqual([status, stderr], [0, '']);
}

function mountDisk(t: ExecutionContext, input: string, ...words: string[]): Promise<MountProcess> {
  return startMount(t, [...words, input], { cwd: folder });
}

const ENGINES: readonly (readonly string[])[] = [
  ['sync'],
  ['psync', '--invalidate=1'],
  ['mmap'],
  ['splice'],
  ['libaio', '--direct=1', '--iodepth=16'],
  ['libaio', '--iodepth=8'],
  ['io_uring', '--iodepth=16'],
  ['io_uring', '--direct=1', '--iodepth=16'],
];

/** All engines at once, each in two processes. @throws Error if a block is not what fio has written */
async function verifyWithFio(t: ExecutionContext, file: string): Promise<number> {
  const cwd = temporaryFolder(t);
  const shared = ['--readonly', '--rw=randread', BLOCK, SIZE, VERIFY, `--filename=${file}`];
  const jobs = ENGINES.flatMap(([engine, ...options], i) => [
    ...[`--name=${i}`, `--ioengine=${engine}`, '--numjobs=2', ...options],
  ]);
  const words = [...shared, '--verify_fatal=1', '--output-format=json', ...jobs];
  const report = JSON.parse(await readWith('fio', words, { cwd, timeoutMs: 120_000 }));
  return report.jobs.reduce((sum: number, job: { read: { io_bytes: number } }) => {
    return sum + job.read.io_bytes;
  }, 0);
}

for (const input of ['x.caidx', 'disk.caibx']) {
  test.serial(`${input}: fio finds every block that it wrote, with all engines`, async (t) => {
    if (!requirement(t, NEEDS)) return;
    const mount = await mountDisk(t, input, '--read-cache=8M');
    const bytes = await verifyWithFio(t, join(mount.mountPoint, 'disk'));
    t.is(bytes, ENGINES.length * 2 * 24 * MIB);
    await assertEnd(t, mount);
  });
}

test.serial('fio would find a wrong byte', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const damaged = join(temporaryFolder(t), 'disk');
  const content = readFileSync(join(folder, 'tree/disk'));
  content[5 * MIB + 4000] ^= 1;
  writeFileSync(damaged, content);
  await t.throwsAsync(verifyWithFio(t, damaged));
});

interface RandomReads {
  readonly wrong: readonly unknown[] | null;
  readonly counts: Readonly<Record<string, number>>;
}

test.serial('random reads of all kinds give the right bytes', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const mount = await mountDisk(t, 'x.caidx', '--read-cache=2M');
  const seed = Date.now() % 1_000_000;
  t.log(`seed ${seed}`);
  const files = [join(mount.mountPoint, 'disk'), join(folder, 'tree/disk')];
  const results = await Promise.all(
    [1, 2, 3, 4].map(async (i): Promise<RandomReads> => {
      const words = [READER, 'random', ...files, '6', `${seed + i}`];
      return JSON.parse(await readWith('python3', words));
    }),
  );
  for (const { wrong } of results) t.is(wrong, null);
  t.log(JSON.stringify(results[0].counts));
  t.is(Object.keys(results[0].counts).length, 11);
  await assertEnd(t, mount);
});

test.serial('two thousand files are open at once, 64 threads read them', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const mount = await mountDisk(t, 'x.caidx');
  const folders = [join(mount.mountPoint, 'many'), join(folder, 'tree/many')];
  const read = async (): Promise<unknown> =>
    JSON.parse(await readWith('python3', [READER, 'many', ...folders, '64']));
  const disk = join(mount.mountPoint, 'disk');
  const [opened] = await Promise.all([
    read(),
    ...[1, 2, 3, 4].map(() => readWith('cmp', [disk, join(folder, 'tree/disk')])),
    readWith('find', [mount.mountPoint, '-ls']),
  ]);
  t.deepEqual(opened, { opened: 2000, wrong: [] });
  t.deepEqual(await read(), { opened: 2000, wrong: [] });
  await assertEnd(t, mount);
});
