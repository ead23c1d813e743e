// Every chunk of a mounted archive is missing, damaged, slow or out of reach in turn (spec/mount.md, "When
// something cannot be read"): what needs it fails with EIO, all else is right, and so is everything afterwards.
import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Fault, startFaultyProxy } from '../helpers/faulty-proxy.ts';
import { MOUNT_NEEDS, type MountProcess, mountsAt, startMount } from '../helpers/mounted.ts';
import { NGINX_NEEDS, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';
import {
  type Chunk,
  HARMS,
  harmChunk,
  impatientConfig,
  isNeededToMount,
  type MountedArchive,
  makeMountedArchive,
  problemsOf,
  restoreChunks,
} from './mounted-archive.ts';

const NEEDS = { ...MOUNT_NEEDS, commands: [...(MOUNT_NEEDS.commands ?? []), 'python3'] };
/** Every so many chunks are harmed at a time. */
const GROUPS = 4;

const folder = makeTemporaryFolder();
let archive: MountedArchive;

test.before(async () => {
  archive = await makeMountedArchive(folder);
});
test.after.always(() => removeTree(folder));

async function assertReads(
  t: ExecutionContext,
  { mountPoint }: MountProcess,
  damaged: readonly Chunk[],
  what: string,
): Promise<void> {
  const problems = await problemsOf(archive, mountPoint, damaged);
  t.deepEqual(problems.slice(0, 10), [], what);
}

async function assertEnd(t: ExecutionContext, mount: MountProcess): Promise<void> {
  const point = realpathSync(mount.mountPoint);
  t.is(mount.child.exitCode, null);
  const { status, stderr } = await mount.stop();
  t.is(status, 0);
  t.notRegex(stderr, /^\s+at |Error:/m);
  t.is(mountsAt(point), 0);
}

function chunksOfGroup(group: number): readonly Chunk[] {
  return archive.chunks.filter(
    (chunk, i) => i % GROUPS === group && !isNeededToMount(archive, chunk),
  );
}

for (let group = 0; group < GROUPS; group++) {
  test.serial(`chunks ${group}, ${group + GROUPS} and so on are harmed in all ways`, async (t) => {
    if (!requirement(t, NEEDS)) return;
    const chunks = chunksOfGroup(group);
    t.log(`${chunks.length} of ${archive.chunks.length} chunks`);
    t.true(chunks.length > 5);
    t.teardown(() => restoreChunks(archive, chunks));
    for (const [i, chunk] of chunks.entries()) harmChunk(archive, chunk, HARMS[i % 4]);
    const mount = await startMount(t, ['x.caidx'], { cwd: folder });
    for (const round of HARMS.keys()) {
      for (const [i, chunk] of chunks.entries()) harmChunk(archive, chunk, HARMS[(i + round) % 4]);
      await assertReads(t, mount, chunks, `round ${round}`);
    }
    const half = chunks.length >> 1;
    restoreChunks(archive, chunks.slice(0, half));
    await assertReads(t, mount, chunks.slice(half), 'half of them are back');
    restoreChunks(archive, chunks);
    await assertReads(t, mount, [], 'all are back');
    await assertEnd(t, mount);
  });
}

test.serial('without the chunks of its root nothing is mounted', async (t) => {
  if (!requirement(t, NEEDS)) return;
  const needed = archive.chunks.filter((chunk) => isNeededToMount(archive, chunk));
  t.true(needed.length >= 2);
  t.teardown(() => restoreChunks(archive, needed));
  for (const chunk of needed) {
    for (const harm of HARMS) {
      harmChunk(archive, chunk, harm);
      const mountPoint = join(temporaryFolder(t), 'm');
      const { status, stderr } = await runCasync(['mount', 'x.caidx', mountPoint], { cwd: folder });
      t.regex(stderr.toString(), /^[^\n]+\n$/);
      t.true(status !== 0 && status !== undefined, harm);
      t.is(mountsAt(mountPoint), 0);
    }
    restoreChunks(archive, [chunk]);
  }
});

test.serial('chunks come late, or are kept back by a server, one after another', async (t) => {
  if (!requirement(t, NEEDS) || !requirement(t, NGINX_NEEDS)) return;
  const nginx = await startNginx({ folder });
  t.teardown(() => nginx.stop());
  const proxy = await startFaultyProxy(nginx.url);
  t.teardown(() => proxy.stop());
  const words = [impatientConfig(t), `${proxy.url}/x.caidx`];
  const spoil = (chunks: readonly Chunk[], fault: Fault): void =>
    proxy.setFaults(({ target }) =>
      chunks.some(({ path }) => target.endsWith(path)) ? fault : undefined,
    );
  const harmed = chunksOfGroup(1);
  const late = await startMount(t, words);
  spoil(archive.chunks, { kind: 'delay', milliseconds: 80 });
  await assertReads(t, late, [], 'all chunks are late');
  t.is(late.stderr(), '');
  await assertEnd(t, late);

  spoil([], { kind: 'hang' });
  const mount = await startMount(t, words);
  const faults: readonly Fault[] = [
    { kind: 'status', status: 404 },
    { kind: 'status', status: 503 },
    { kind: 'reset', afterBytes: -1 },
    { kind: 'reset', afterBytes: 100 },
    { kind: 'truncate', afterBytes: 100 },
  ];
  for (const fault of faults) {
    spoil(harmed, fault);
    await assertReads(t, mount, harmed, JSON.stringify(fault));
  }
  // One that tells of very many nodes would be waited for as often.
  spoil([harmed[0]], { kind: 'hang' });
  await assertReads(t, mount, [harmed[0]], 'one is never answered');
  spoil([], { kind: 'hang' });
  await assertReads(t, mount, [], 'all is well');
  await assertEnd(t, mount);
});

test.serial('a server goes down and comes back', async (t) => {
  if (!requirement(t, NEEDS) || !requirement(t, NGINX_NEEDS)) return;
  const nginx = await startNginx({ folder });
  t.teardown(() => nginx.stop());
  const mount = await startMount(t, [impatientConfig(t), `${nginx.url}/x.caidx`]);
  const unread = archive.chunks.filter((chunk) => !isNeededToMount(archive, chunk));
  for (let round = 0; round < 2; round++) {
    await nginx.kill();
    if (round === 0) await assertReads(t, mount, unread, 'the server is down');
    await nginx.restart();
    await assertReads(t, mount, [], 'the server is back');
  }
  await nginx.kill();
  await assertEnd(t, mount);
});
