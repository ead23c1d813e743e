/** Hundreds of requests under way at a time have bounded memory (spec/promises.md, 17). */
import { createCipheriv } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { NGINX_NEEDS, startNginx } from '../helpers/nginx.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const INPUT_BYTES = 300 * 1024 * 1024;
/** Uploads hold a chunk, and what it was compressed to. */
const MOST_MEBIBYTES = { make: 380, extract: 300 };
const LATENCY_MS = 20;

/** Nothing of it compresses, so that all of it is on its way. */
function writeInput(path: string): void {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  writeFileSync(path, cipher.update(Buffer.alloc(INPUT_BYTES)));
}

test('300 MiB go to a server with latency and come back in bounded memory', async (t) => {
  t.timeout(200_000);
  if (!requirement(t, { ...NGINX_NEEDS, commands: [...(NGINX_NEEDS.commands ?? []), 'time'] })) {
    return;
  }
  const cwd = temporaryFolder(t);
  chmodSync(cwd, 0o755);
  writeInput(join(cwd, 'blob'));
  mkdirSync(join(cwd, 'served'));
  chmodSync(join(cwd, 'served'), 0o777);
  const server = await startNginx({
    folder: join(cwd, 'served'),
    isWritable: true,
    latencyMs: LATENCY_MS,
  });
  t.teardown(() => server.stop());
  const index = `${server.url}/x.caibx`;
  for (const [verb, ...words] of [
    ['make', index, 'blob'],
    ['extract', index, 'copy'],
  ] as const) {
    const running = runCasync([verb, ...words], { cwd, measureMemory: true });
    const { peakMemoryBytes = 0 } = await succeed(running);
    const mebibytes = Math.round(peakMemoryBytes / 1024 ** 2);
    t.log(`${verb}: ${mebibytes} MiB`);
    t.true(mebibytes > 0 && mebibytes < MOST_MEBIBYTES[verb], `${verb}: ${mebibytes} MiB`);
  }
  await succeed(runCasync(['diff', 'blob', 'copy'], { cwd }));
});
