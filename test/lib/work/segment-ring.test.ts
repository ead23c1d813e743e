import test from 'ava';
import { SegmentRing } from '../../../lib/work/segment-ring.ts';

test('slots do not overlap, lie behind the reserved bytes and keep what is written', async (t) => {
  const ring = new SegmentRing({ reservedSize: 65536, slotSize: 5000, slotCount: 4 });
  const addresses = [];
  for (let i = 0; i < 4; i++) addresses.push(await ring.acquire());
  for (const [i, address] of addresses.entries()) ring.view(address).fill(i + 1);
  for (const [i, address] of addresses.entries()) {
    t.true(address >= 65536);
    t.is(ring.view(address).length, 5000);
    t.true(ring.view(address).every((byte) => byte === i + 1));
  }
  t.true(new Uint8Array(ring.memory.buffer, 0, 65536).every((byte) => byte === 0));
});

test('who wants a slot waits for one, first come, first served', async (t) => {
  const ring = new SegmentRing({ reservedSize: 0, slotSize: 10, slotCount: 1 });
  const first = await ring.acquire();
  const order: string[] = [];
  const second = ring.acquire().then((address) => {
    order.push('second');
    return address;
  });
  const third = ring.acquire().then(() => order.push('third'));
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(order, []);
  ring.release(first);
  t.is(await second, first);
  t.deepEqual(order, ['second']);
  ring.release(first);
  await third;
});
