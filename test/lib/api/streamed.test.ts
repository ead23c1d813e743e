/** Work that gives items away, as a stream of them. */
import test from 'ava';
import { type Give, streamed } from '../../../lib/api/streamed.ts';

async function produceNumbers(give: Give<number>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await give(i);
}

async function taken<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

test('all items come, in order', async (t) => {
  const items = await taken(streamed<number>((give) => produceNumbers(give, 10_000)));
  t.deepEqual(
    items,
    Array.from({ length: 10_000 }, (_, i) => i),
  );
});

test('nothing is begun before the first item is asked for', async (t) => {
  let isBegun = false;
  const items = streamed<number>(async () => {
    isBegun = true;
  });
  t.false(isBegun);
  t.deepEqual(await items.next(), { done: true, value: undefined });
  t.true(isBegun);
});

test('whoever gives waits for whoever takes', async (t) => {
  let given = 0;
  const items = streamed<number>(async (give) => {
    for (; given < 1000; given++) await give(given);
  });
  await items.next();
  await new Promise((resolve) => setImmediate(resolve));
  t.true(given < 200, `${given}`);
  t.is((await taken(items)).length, 999);
});

test('a failure comes behind the items before it, and once', async (t) => {
  const items = streamed<number>(async (give) => {
    await give(1);
    throw new Error('broken');
  });
  t.deepEqual(await items.next(), { done: false, value: 1 });
  await t.throwsAsync(() => items.next(), { message: 'broken' });
  t.deepEqual(await items.next(), { done: true, value: undefined });
});

test('who stops taking is the end of the work', async (t) => {
  let wasStopped = false;
  const items = streamed<number>(async (give, signal) => {
    for (let i = 0; !signal.aborted; i++) await give(i);
    wasStopped = true;
  });
  for await (const item of items) if (item === 5) break;
  t.true(wasStopped);
});

test('the signal of the caller reaches the work', async (t) => {
  const controller = new AbortController();
  const items = streamed<number>(async (give, signal) => {
    for (let i = 0; !signal.aborted; i++) await give(i);
    throw new Error('aborted');
  }, controller.signal);
  await items.next();
  controller.abort();
  await t.throwsAsync(taken(items), { message: 'aborted' });
});
