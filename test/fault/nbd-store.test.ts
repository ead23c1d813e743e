// Every chunk of an export is missing, damaged, late or out of reach in turn (spec/nbd.md, "Protocol"): reads
// of it fail with EIO, all others are right, and so is everything afterwards.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Fault, startFaultyProxy } from '../helpers/faulty-proxy.ts';
import { NbdClient } from '../helpers/nbd-client.ts';
import { type NbdProcess, nbdProcess } from '../helpers/nbd-process.ts';
import { NGINX_NEEDS, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import {
  type Chunk,
  HARMS,
  harmChunk,
  impatientConfig,
  type MountedArchive,
  makeMountedArchive,
  restoreChunks,
} from './mounted-archive.ts';

const NEEDS = { commands: ['setpriv'] };
const EIO = 5;
/** Every so many chunks are harmed at a time. */
const GROUPS = 4;

const folder = makeTemporaryFolder();
let archive: MountedArchive;
let content: Buffer;

test.before(async () => {
  archive = await makeMountedArchive(folder);
  content = readFileSync(join(folder, 'x.catar'));
});
test.after.always(() => removeTree(folder));

async function serve(
  t: ExecutionContext,
  ...words: string[]
): Promise<{ server: NbdProcess; client: NbdClient }> {
  const server = await nbdProcess(t, [...words, '--listen=127.0.0.1:0']);
  const port = Number(/:(\d+)$/.exec(server.addresses[0])?.[1]);
  const client = await NbdClient.open({ port });
  t.teardown(() => client.destroy());
  return { server, client };
}

/** Reads each chunk, and the first and last byte of it, all at once. @returns what went wrong */
async function problemsOf(client: NbdClient, lost: readonly Chunk[]): Promise<readonly string[]> {
  const reads = archive.chunks.flatMap((chunk) =>
    [
      [chunk.start, chunk.end - chunk.start],
      [chunk.start, 1],
      [chunk.end - 1, 1],
    ].map(([offset, length]) => ({ chunk, offset, length })),
  );
  const names = reads.map(({ offset, length }) => client.ask({ command: 0, offset, length }));
  const problems: string[] = [];
  for (const [i, { chunk, offset, length }] of reads.entries()) {
    const { error, data } = await client.answer(names[i]);
    const expected = content.subarray(offset, offset + length);
    const isRight = lost.includes(chunk) ? error === EIO : error === 0 && data.equals(expected);
    if (!isRight) problems.push(`${offset}, ${length} bytes: ${error}`);
  }
  return problems;
}

async function assertEnd(t: ExecutionContext, server: NbdProcess): Promise<void> {
  t.notRegex(server.stderr(), /^\s+at |Error:/m);
  server.signal('SIGTERM');
  t.is(await server.ended, 0);
}

for (let group = 0; group < GROUPS; group++) {
  test.serial(`chunks ${group}, ${group + GROUPS} and so on are harmed in all ways`, async (t) => {
    if (!requirement(t, NEEDS)) return;
    const chunks = archive.chunks.filter((_, i) => i % GROUPS === group);
    t.teardown(() => restoreChunks(archive, chunks));
    const { server, client } = await serve(t, join(folder, 'x.caidx'));
    for (const round of HARMS.keys()) {
      for (const [i, chunk] of chunks.entries()) harmChunk(archive, chunk, HARMS[(i + round) % 4]);
      t.deepEqual(await problemsOf(client, chunks), [], `round ${round}`);
    }
    restoreChunks(archive, chunks);
    t.deepEqual(await problemsOf(client, []), [], 'all are back');
    await assertEnd(t, server);
  });
}

test.serial('chunks come late, or are kept back by a server', async (t) => {
  if (!requirement(t, NEEDS) || !requirement(t, NGINX_NEEDS)) return;
  const nginx = await startNginx({ folder });
  t.teardown(() => nginx.stop());
  const proxy = await startFaultyProxy(nginx.url);
  t.teardown(() => proxy.stop());
  const { server, client } = await serve(t, impatientConfig(t), `${proxy.url}/x.caidx`);
  const faults: readonly Fault[] = [
    { kind: 'status', status: 404 },
    { kind: 'status', status: 503 },
    { kind: 'reset', afterBytes: 100 },
    { kind: 'truncate', afterBytes: 100 },
    { kind: 'hang' },
  ];
  const harmed = archive.chunks.filter((_, i) => i % GROUPS === 1);
  for (const fault of faults) {
    proxy.setFaults(({ target }) =>
      harmed.some(({ path }) => target.endsWith(path)) ? fault : undefined,
    );
    t.deepEqual(await problemsOf(client, harmed), [], JSON.stringify(fault));
  }
  proxy.setFaults(() => ({ kind: 'delay', milliseconds: 100 }));
  t.deepEqual(await problemsOf(client, []), [], 'all is well, but late');
  await assertEnd(t, server);
});

test.serial('a server goes down and comes back', async (t) => {
  if (!requirement(t, NEEDS) || !requirement(t, NGINX_NEEDS)) return;
  const nginx = await startNginx({ folder });
  t.teardown(() => nginx.stop());
  const { server, client } = await serve(t, impatientConfig(t), `${nginx.url}/x.caidx`);
  await nginx.kill();
  t.deepEqual(await problemsOf(client, archive.chunks), [], 'the server is down');
  await nginx.restart();
  t.deepEqual(await problemsOf(client, []), [], 'the server is back');
  await nginx.kill();
  await assertEnd(t, server);
});
