/**
 * The command is killed at calls of all kinds while it updates a file on a file system of its own; what
 * that file system then has on its disk is what a power cut at that moment leaves.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { map } from '../../../lib/api/map.node.ts';
import { sync } from '../../../lib/api/sync.node.ts';
import {
  describePoint,
  findKillPoints,
  runUntilKilled,
  spread,
  warmUp,
} from '../../fault/kill-points.ts';
import { writeImagePair } from '../../helpers/image-pair.ts';
import { requirement } from '../../helpers/requirements.ts';
import { createRandom } from '../../helpers/simulated-disk.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const MIB = 1024 * 1024;
const SIZE = 4 * MIB;
const DISK_SIZE = 24 * MIB;
const POINTS = 30;
const POWER_CUTS = 12;

interface Place {
  readonly folder: string;
  /** The image of the file system, and where it is mounted. */
  readonly disk: string;
  readonly mounted: string;
  readonly before: string;
  readonly after: string;
}

function mount(disk: string, point: string): void {
  mkdirSync(point, { recursive: true });
  execFileSync('mount', ['-o', 'loop', disk, point]);
}

function prepare(t: ExecutionContext): Place {
  const folder = temporaryFolder(t);
  const [disk, mounted, before, after] = ['disk', 'mounted', 'before', 'after'].map((name) =>
    join(folder, name),
  );
  writeImagePair(before, after, { size: SIZE, changedPages: 150 });
  writeFileSync(disk, '');
  truncateSync(disk, DISK_SIZE);
  execFileSync('mkfs.ext4', ['-q', disk], { stdio: 'ignore' });
  mount(disk, mounted);
  t.teardown(() => execFileSync('umount', [mounted]));
  return { folder, disk, mounted, before, after };
}

/** The next run, of one source or the other, ends right without reading more than it must. */
async function checkNext(
  t: ExecutionContext,
  {
    mounted,
    source,
    what,
  }: { readonly mounted: string; readonly source: string; readonly what: string },
): Promise<void> {
  const destination = join(mounted, 'dst');
  const result = await sync({ input: source, destination, threadCount: 0 });
  if (!readFileSync(destination).equals(readFileSync(source))) t.fail(`${what}: not equal`);
  // Blocks of a batch, at most.
  if (result.destinationReadBytes > 256 * 1024) {
    t.fail(`${what}: ${result.destinationReadBytes} bytes were read`);
  }
  const checked = await map({ action: 'check', destination, threadCount: 0 });
  if (checked.isGood !== true) t.fail(`${what}: the map is wrong`);
}

async function checkPowerCut(t: ExecutionContext, place: Place, source: string, what: string) {
  const [disk, mounted] = [join(place.folder, 'cut'), join(place.folder, 'after-cut')];
  copyFileSync(place.disk, disk);
  mount(disk, mounted);
  try {
    await checkNext(t, { mounted, source, what: `power cut at ${what}` });
  } finally {
    execFileSync('umount', [mounted]);
    rmSync(disk);
  }
}

test('killed or without power at any call, the next run ends right and reads one batch at most', async (t) => {
  const needs = { root: true, commands: ['mkfs.ext4', 'mount', 'umount', 'strace'] };
  if (!requirement(t, needs)) return;
  warmUp();
  const place = prepare(t);
  const { mounted, before, after } = place;
  const destination = join(mounted, 'dst');
  const reset = async () => {
    await sync({ input: before, destination, threadCount: 0 });
    execFileSync('sync', ['-f', mounted]);
  };
  await reset();
  const args = ['sync', '--batch=128K', after, destination];
  const points = await findKillPoints(args, mounted);
  t.true(points.length > POINTS, `${points.length} points`);
  const random = createRandom(7);
  let [killed, cuts] = [0, 0];
  for (const [i, point] of spread(points, POINTS).entries()) {
    await reset();
    if (!(await runUntilKilled(args, point))) continue;
    killed += 1;
    const what = describePoint(point);
    if (i % 5 < 2 && cuts < POWER_CUTS) {
      cuts += 1;
      await checkPowerCut(t, place, random(2) === 0 ? before : after, what);
    }
    await checkNext(t, { mounted, source: random(2) === 0 ? before : after, what });
  }
  t.true(killed >= POINTS - 5, `${killed} killed`);
  t.true(cuts >= 10, `${cuts} power cuts`);
});
