/** Equal reads at the same time (spec/remote.md, "Wrappers"). */
import test from 'ava';
import type { GetObjectOptions, ObjectBackend } from '../../../store/backend.ts';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { ObjectMissing } from '../../../store/errors.ts';
import { openCoalescingBackend } from '../../../store/wrap/coalesce.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { noise } from '../../helpers/golden.ts';

backendSuite('memory with shared reads', () => openCoalescingBackend(createMemoryBackend()));

interface Request {
  readonly key: string;
  readonly options: GetObjectOptions;
  readonly answer: (bytes: Uint8Array | Error) => void;
}

/** A backend whose reads wait for the test, and end with their signals. */
function waitingBackend(): { readonly backend: ObjectBackend; readonly requests: Request[] } {
  const requests: Request[] = [];
  const get: ObjectBackend['get'] = (key, options = {}) =>
    new Promise((resolve, reject) => {
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason));
      requests.push({
        key,
        options,
        answer(bytes) {
          if (bytes instanceof Error) reject(bytes);
          else if (options.into === undefined) resolve(bytes);
          else {
            options.into.set(bytes);
            resolve(options.into.subarray(0, bytes.length));
          }
        },
      });
    });
  const backend = openCoalescingBackend({ ...createMemoryBackend(), get });
  return { backend, requests };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('equal reads share one request, and each gets bytes of its own', async (t) => {
  const { backend, requests } = waitingBackend();
  const memory = [new Uint8Array(50), new Uint8Array(60), new Uint8Array(10)];
  const reads = memory.map((into) => backend.get('key', { into, maxSize: 99 }));
  // The first caller uses his memory for something else as soon as he can.
  const first = reads[0].then((bytes) => bytes.fill(0));
  t.is(requests.length, 1);
  requests[0].answer(noise(40));
  await first;
  const [, second, third] = await Promise.all(reads);
  t.deepEqual(second, noise(40));
  t.is(second.buffer, memory[1].buffer);
  t.deepEqual(third, noise(40));
  t.not(third.buffer, memory[2].buffer);
});

test('reads that differ, or come later, are requests of their own', async (t) => {
  const { backend, requests } = waitingBackend();
  const range = { offset: 0, length: 5 };
  const wishes: readonly [string, GetObjectOptions][] = [
    ['key', {}],
    ['other', {}],
    ['key', { maxSize: 5 }],
    ['key', { range }],
    ['key', { range: { ...range, length: 6 } }],
  ];
  const reads = wishes.map(([key, options]) => backend.get(key, options));
  t.is(requests.length, wishes.length);
  for (const { answer } of requests) answer(noise(3));
  await Promise.all(reads);
  const again = backend.get('key');
  t.is(requests.length, wishes.length + 1);
  requests[wishes.length].answer(noise(4));
  t.deepEqual(await again, noise(4));
});

test('a failure is everybody’s, and the next read asks again', async (t) => {
  const { backend, requests } = waitingBackend();
  const error = new ObjectMissing({ reason: 'No such object' });
  const reads = [1, 2, 3].map(() => t.throwsAsync(backend.get('key'), { is: error }));
  requests[0].answer(error);
  await Promise.all(reads);
  const again = backend.get('key');
  requests[1].answer(noise(1));
  t.deepEqual(await again, noise(1));
});

test('who is aborted ends neither the request nor the others', async (t) => {
  const { backend, requests } = waitingBackend();
  const controllers = [1, 2, 3].map(() => new AbortController());
  const reads = controllers.map(({ signal }) => backend.get('key', { signal }));
  const reason = new Error('stopped');
  controllers[1].abort(reason);
  await t.throwsAsync(reads[1], { is: reason });
  requests[0].answer(noise(7));
  t.deepEqual(await reads[0], noise(7));
  t.deepEqual(await reads[2], noise(7));
  t.is(requests.length, 1);
});

test('if the one who asked is aborted, the next of the others asks for all of them', async (t) => {
  const { backend, requests } = waitingBackend();
  const controller = new AbortController();
  const first = backend.get('key', { signal: controller.signal, into: new Uint8Array(9) });
  const into = new Uint8Array(9);
  const others = [backend.get('key', { into }), backend.get('key'), backend.get('key')];
  controller.abort(new Error('stopped'));
  await t.throwsAsync(first, { message: 'stopped' });
  await settled();
  t.is(requests.length, 2);
  t.is(requests[1].options.into, into);
  requests[1].answer(noise(9));
  for (const bytes of await Promise.all(others)) t.deepEqual(bytes, noise(9));
});

test('a read with a signal that has fired asks nothing', async (t) => {
  const { backend, requests } = waitingBackend();
  await t.throwsAsync(backend.get('key', { signal: AbortSignal.abort(new Error('stopped')) }), {
    message: 'stopped',
  });
  t.is(requests.length, 0);
});
