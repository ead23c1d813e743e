/** Memory does not grow with the input (spec/promises.md, 17). */
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const INPUT_BYTES = 700 * 1024 * 1024;
const MAX_MEMORY_BYTES = 256 * 1024 * 1024;

test('an input of 700 MiB is made and extracted in less than 256 MiB', async (t) => {
  t.timeout(120_000);
  if (!requirement(t, { commands: ['time'] })) return;
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), noise(20_000_000));
  truncateSync(join(folder, 'blob'), INPUT_BYTES);
  const options = { cwd: folder, measureMemory: true };
  for (const args of [
    ['make', 'x.caibx', 'blob'],
    ['extract', 'x.caibx', 'copy'],
    ['make', 'x.caidx', '.'],
    ['extract', 'x.caidx', 'tree'],
  ]) {
    const { peakMemoryBytes } = await succeed(runCasync(args, options));
    t.true(
      peakMemoryBytes !== undefined && peakMemoryBytes < MAX_MEMORY_BYTES,
      `${args}: ${peakMemoryBytes}`,
    );
    t.log(`${args.join(' ')}: ${Math.round((peakMemoryBytes ?? 0) / 1048576)} MiB`);
  }
});
