import test from 'ava';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { text } from '../../helpers/golden.ts';

backendSuite('memory', () => createMemoryBackend());
backendSuite('memory, held back', () => createMemoryBackend({ holdBack: true }));

test('held back objects appear when flushed', async (t) => {
  const backend = createMemoryBackend({ holdBack: true });
  await backend.put('key', text(5));
  t.is(await backend.stat('key'), undefined);
  await backend.flush();
  t.is((await backend.stat('key'))?.size, 5);
});
