/** Reading what was written (spec/images.md, "Verifying"). */
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import { BlockTable } from '../../../formats/block-table.ts';
import { createBlockDigest } from '../../../lib/digest/block-digest.node.ts';
import { BlockScan } from '../../../lib/images/source/scan-blocks.node.ts';
import { verifyUpdate } from '../../../lib/images/verify-written.node.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const BLOCK = 4096;
const SIZE = 600 * BLOCK + 5;

test('blocks that are not what they should be are found, where they are looked for', async (t) => {
  const path = join(temporaryFolder(t), 'image');
  const bytes = noise(SIZE);
  const table = new BlockTable(BLOCK, SIZE);
  const digest = createBlockDigest('sha256');
  const digests = new Uint8Array(table.count * DIGEST_LENGTH);
  for (let i = 0; i < table.count; i++) {
    digest.write(bytes.subarray(i * BLOCK, (i + 1) * BLOCK), digests, i * DIGEST_LENGTH);
  }
  table.set(0, digests);
  for (const block of [0, 7, 600]) bytes[block * BLOCK + 4] ^= 1;
  fs.writeFileSync(path, bytes);
  const scan = new BlockScan({ blockSize: BLOCK, digest: 'sha256', threadCount: 1 });
  t.teardown(() => scan.close());
  const mapPath = `${path}.caibx`;
  const update = { destination: { path }, known: table, blockSize: BLOCK, mapPath };
  const verify = (...runs: readonly { first: number; count: number }[]) =>
    verifyUpdate(update, scan, runs.length === 0 ? {} : { runs });
  await verify({ first: 1, count: 5 });
  for (const [runs, message] of [
    [[], /3 blocks are not what was written, the first at 0;/],
    [
      [
        { first: 5, count: 4 },
        { first: 599, count: 2 },
      ],
      /2 blocks are not what was written, the first at 28672;/,
    ],
  ] as const) {
    // What was wrong once must not be believed later.
    fs.writeFileSync(mapPath, '');
    fs.writeFileSync(`${mapPath}.state`, '');
    await t.throwsAsync(() => verify(...runs), { code: 'VERIFY_FAILED', message });
    t.deepEqual(fs.readdirSync(dirname(path)), ['image']);
  }
});
