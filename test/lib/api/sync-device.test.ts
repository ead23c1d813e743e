/** `sync` of the library from a block device that changes (spec/images.md, "A source that changes"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { sync } from '../../../lib/api/sync.node.ts';
import { noise } from '../../helpers/golden.ts';
import { writeImagePair } from '../../helpers/image-pair.ts';
import { LOOP_DEVICE_NEEDS, loopDevice } from '../../helpers/loop-device.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const MIB = 2 ** 20;

test('a block device that is written to meanwhile fails', async (t) => {
  if (!requirement(t, LOOP_DEVICE_NEEDS)) return;
  const folder = temporaryFolder(t);
  const [before, after] = ['a', 'b'].map((name) => join(folder, name));
  writeImagePair(before, after, { size: 12 * MIB, changedPages: 40 });
  const [destination, source] = [before, after].map((path) => loopDevice(t, path));
  const options = { input: source, destination, map: join(folder, 'm.caibx'), threadCount: 0 };
  let isWritten = false;
  const work = () =>
    sync({
      ...options,
      onProgress({ phase }) {
        if (isWritten || phase !== 'sync') return;
        isWritten = true;
        const file = fs.openSync(source, 'r+');
        fs.writeSync(file, noise(4096), 0, 4096, 11 * MIB);
        fs.fsyncSync(file);
        fs.closeSync(file);
      },
    });
  await t.throwsAsync(work, { code: 'SOURCE_CHANGED', message: /was written to/ });
  const result = await sync(options);
  t.true(result.wasMapClean);
  t.true(fs.readFileSync(source).equals(fs.readFileSync(destination)));
});
