/** A server under load for a short time; longer ones by `npm run test:load`. */
import test from 'ava';
import { loadServer } from './serve-load.ts';

test('beside slow and silent connections every good request is answered, in bounded memory', async (t) => {
  const result = await loadServer({ seconds: 5, connections: 50, badConnections: 20 });
  t.deepEqual(result.errors, []);
  t.true(result.requestCount > 200);
  t.true(result.peakMemoryBytes < 512 * 1024 * 1024);
});
