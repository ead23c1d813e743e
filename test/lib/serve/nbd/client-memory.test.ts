/** The memory of the NBD server and who gets it. */
import test from 'ava';
import { SharedMemory } from '../../../../lib/serve/nbd/client-memory.ts';

const LIMITS = { totalBytes: 100, clientBytes: 60 };

/** Whether a promise is settled, after everything that is due now. */
async function isSettled(promise: Promise<unknown> | undefined): Promise<boolean> {
  let settled = promise === undefined;
  promise?.then(
    () => {
      settled = true;
    },
    () => {
      settled = true;
    },
  );
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

test('a client gets what it asks for, up to its part', async (t) => {
  const client = new SharedMemory(LIMITS).client();
  t.is(client.take(30), undefined);
  t.is(client.take(30), undefined);
  const more = client.take(1);
  t.false(await isSettled(more));
  client.give(30);
  t.true(await isSettled(more));
});

test('all clients together get what there is', async (t) => {
  const memory = new SharedMemory(LIMITS);
  const [a, b] = [memory.client(), memory.client()];
  a.take(60);
  b.take(30);
  const more = b.take(20);
  t.false(await isSettled(more));
  a.give(60);
  t.true(await isSettled(more));
  t.is(memory.used, 50);
});

test('who has nothing need not wait for those who have', async (t) => {
  const memory = new SharedMemory(LIMITS);
  const [a, b, c] = [memory.client(), memory.client(), memory.client()];
  a.take(60);
  b.take(40);
  t.is(c.take(40), undefined);
  const second = c.take(1);
  t.false(await isSettled(second));
  // Its own first piece is enough to get on.
  c.give(40);
  t.true(await isSettled(second));
});

test('a client that waits is not overtaken by itself', async (t) => {
  const client = new SharedMemory(LIMITS).client();
  client.take(40);
  const large = client.take(30);
  t.false(client.tryTake(10));
  const small = client.take(10);
  client.give(40);
  t.true(await isSettled(large));
  t.true(await isSettled(small));
});

test('clients that wait take turns', async (t) => {
  const memory = new SharedMemory(LIMITS);
  const clients = [memory.client(), memory.client(), memory.client()];
  for (const client of clients) client.take(30);
  const order: number[] = [];
  const waits = clients.flatMap((client, i) =>
    [1, 2].map(() => client.take(20)?.then(() => order.push(i))),
  );
  const donor = memory.client();
  donor.take(90);
  t.false(await isSettled(waits[0]));
  donor.give(90);
  for (const client of clients) client.give(10);
  for (const client of clients) client.give(10);
  for (const client of clients) client.give(10);
  for (let i = 0; i < 6; i++) await isSettled(undefined);
  t.deepEqual(order.slice(0, 3).sort(), [0, 1, 2]);
  t.is(order.length, 5);
});

test('a client that has gone waits for nothing', async (t) => {
  const memory = new SharedMemory(LIMITS);
  const client = memory.client();
  client.take(60);
  const waiting = client.take(10);
  client.close();
  await t.throwsAsync(async () => waiting, { message: 'interrupted' });
  await t.throwsAsync(async () => client.take(1), { message: 'interrupted' });
  client.give(60);
  t.is(memory.used, 0);
});
