import test from 'ava';
import fc from 'fast-check';
import { type ChunkId, chunkIdFromBytes } from '../../../../formats/chunk-id.ts';
import { RequestQueue } from '../../../../lib/serve/protocol/request-queue.ts';

function idOf(number: number): ChunkId {
  const bytes = new Uint8Array(32).fill(1);
  new DataView(bytes.buffer).setUint32(0, number);
  return chunkIdFromBytes(bytes);
}

const [A, B, C] = [1, 2, 3].map(idOf);

/** Everything that waits, each answered before the next is taken. */
async function answerAll(queue: RequestQueue): Promise<readonly ChunkId[]> {
  queue.end({ drop: false });
  const order: ChunkId[] = [];
  for (;;) {
    const id = await queue.take();
    if (id === undefined) return order;
    order.push(id);
    queue.done(id);
  }
}

test('requests are answered in order, urgent ones first', async (t) => {
  const queue = new RequestQueue();
  queue.add(A, false);
  queue.add(B, true);
  queue.add(C, true);
  t.deepEqual(await answerAll(queue), [B, C, A]);
});

test('an urgent request moves one that waits to the front', async (t) => {
  const queue = new RequestQueue();
  for (const id of [A, B, C]) queue.add(id, false);
  queue.add(C, true);
  t.deepEqual(await answerAll(queue), [C, A, B]);
});

test('what is asked for again before it was answered is answered once', async (t) => {
  const queue = new RequestQueue();
  for (const isUrgent of [true, false, true]) queue.add(A, isUrgent);
  t.is(await queue.take(), A);
  queue.add(A, true);
  queue.done(A);
  t.deepEqual(await answerAll(queue), []);
});

test('what is asked for in both ways is answered once, also if the answer is on its way', async (t) => {
  const queue = new RequestQueue();
  queue.add(A, false);
  t.is(await queue.take(), A);
  queue.done(A);
  queue.add(A, true);
  t.deepEqual(await answerAll(queue), []);
});

test('who asks in the same way after the answer is answered again', async (t) => {
  const queue = new RequestQueue();
  queue.add(A, true);
  t.is(await queue.take(), A);
  queue.done(A);
  queue.add(A, true);
  t.deepEqual(await answerAll(queue), [A]);
});

test('whoever waits gets the next request, or learns that none comes', async (t) => {
  const queue = new RequestQueue();
  const takers = [queue.take(), queue.take()];
  queue.add(A, false);
  queue.end({ drop: false });
  t.deepEqual(await Promise.all(takers), [A, undefined]);
});

test('a dropped queue gives nothing any more', async (t) => {
  const queue = new RequestQueue();
  queue.add(A, false);
  queue.end({ drop: true });
  t.is(await queue.take(), undefined);
});

test('who asks for more than is kept waits until there is room', async (t) => {
  const queue = new RequestQueue();
  let number = 0;
  let room: Promise<void> | undefined;
  while (room === undefined) room = queue.add(idOf(number++), false);
  t.is(number, 256 * 1024);
  let hasRoom = false;
  room.then(() => {
    hasRoom = true;
  });
  await Promise.resolve();
  t.false(hasRoom);
  await queue.take();
  await room;
  t.pass();
});

test('every id that was asked for is answered, whatever the order', async (t) => {
  const step = fc.record({ number: fc.nat(20), isUrgent: fc.boolean(), answers: fc.nat(3) });
  const property = fc.asyncProperty(fc.array(step), async (steps) => {
    const queue = new RequestQueue();
    const answered: ChunkId[] = [];
    let waiting = 0;
    const answer = async () => {
      const id = await queue.take();
      if (id === undefined) return;
      answered.push(id);
      queue.done(id);
    };
    const running: Promise<void>[] = [];
    for (const { number, isUrgent, answers } of steps) {
      queue.add(idOf(number), isUrgent);
      for (waiting = answers; waiting > 0; waiting--) running.push(answer());
    }
    const rest = await answerAll(queue);
    await Promise.all(running);
    const wanted = new Set(steps.map(({ number }) => idOf(number)));
    t.deepEqual([...new Set([...answered, ...rest])].sort(), [...wanted].sort());
  });
  await fc.assert(property, { verbose: true });
});
