import test from 'ava';
import { soakGc } from './gc-soak.ts';

test('five seconds of makes, some of them killed, and gc leave every index complete', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  t.log(`seed ${seed}`);
  const { complaints, makeCount, gcCount, ...counts } = await soakGc({ seed, durationMs: 5000 });
  t.log({ makeCount, gcCount, ...counts });
  t.deepEqual(complaints, []);
  t.true(makeCount > 0 && gcCount > 0);
});
