/** Lists of runs of blocks. */

import test from 'ava';
import fc from 'fast-check';
import { BlockRunList } from '../../../lib/images/run-list.ts';

test('a list has the blocks that were added, neighbours joined', (t) => {
  const property = fc.property(fc.uniqueArray(fc.nat(5000), { maxLength: 4000 }), (blocks) => {
    blocks.sort((a, b) => a - b);
    const list = new BlockRunList();
    for (const first of blocks) list.add({ first, count: 1 });
    const runs = [...list];
    const found = runs.flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, i) => first + i),
    );
    const isJoined = runs.every(
      ({ first }, i) => i === 0 || runs[i - 1].first + runs[i - 1].count < first,
    );
    return isJoined && found.join() === blocks.join();
  });
  t.notThrows(() => fc.assert(property, { numRuns: 100 }));
});
