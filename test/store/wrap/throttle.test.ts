/** Bytes per second (spec/remote.md, "Wrappers"). */
import test, { type ExecutionContext } from 'ava';
import { createMemoryBackend } from '../../../store/backends/memory.ts';
import { openThrottledBackend, openThrottledFile, Throttle } from '../../../store/wrap/throttle.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { noise } from '../../helpers/golden.ts';
import { createSimulatedClock } from '../../helpers/simulated-clock.ts';

backendSuite('memory with a rate limit', () =>
  openThrottledBackend(createMemoryBackend(), new Throttle(1e6, createSimulatedClock())),
);

function isAbout(t: ExecutionContext, actual: number, expected: number, share: number): void {
  t.true(Math.abs(actual - expected) <= expected * share, `${actual}, expected ${expected}`);
}

for (const [rate, sizes] of [
  [1000, [10, 20, 3000, 5]],
  [1e6, [16_384, 65_536, 262_144]],
  [100e6, [16_384, 65_536, 20]],
] as const) {
  for (const parallel of [1, 64]) {
    const name = `${rate} bytes a second, ${parallel} at a time`;

    test(`writing takes the time of its bytes: ${name}`, async (t) => {
      const clock = createSimulatedClock();
      const backend = openThrottledBackend(createMemoryBackend(), new Throttle(rate, clock));
      const bytes = await inParallel(parallel, sizes, (size, key) => backend.put(key, noise(size)));
      isAbout(t, clock.now(), (bytes / rate) * 1000, 0.1);
    });

    test(`reading takes the time of its bytes: ${name}`, async (t) => {
      const clock = createSimulatedClock();
      const memory = createMemoryBackend();
      await inParallel(parallel, sizes, (size, key) => memory.put(key, noise(size)));
      const backend = openThrottledBackend(memory, new Throttle(rate, clock));
      const bytes = await inParallel(parallel, sizes, (_, key) => backend.get(key));
      isAbout(t, clock.now(), (bytes / rate) * 1000, 0.2);
    });
  }
}

/** Does something with objects whose sizes take turns. @returns bytes in all */
async function inParallel(
  parallel: number,
  sizes: readonly number[],
  act: (size: number, key: string) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  let bytes = 0;
  const run = async (): Promise<void> => {
    while (next < 600) {
      const size = sizes[next % sizes.length];
      bytes += size;
      await act(size, `key-${next++}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, run));
  return bytes;
}

test('time in which nothing was wanted is not made up for', async (t) => {
  const clock = createSimulatedClock();
  const throttle = new Throttle(1000, clock);
  await clock.sleep(3_600_000, undefined);
  for (let i = 0; i < 10; i++) await throttle.enter(1000, undefined);
  await throttle.enter(0, undefined);
  isAbout(t, clock.now() - 3_600_000, 10_000, 0.02);
});

test('who is aborted while he waits leaves at once, and holds nobody up', async (t) => {
  const clock = createSimulatedClock();
  const throttle = new Throttle(1000, clock);
  await throttle.enter(5000, undefined);
  const controller = new AbortController();
  const reason = new Error('stopped');
  const first = throttle.enter(1, undefined);
  const second = throttle.enter(1_000_000, controller.signal);
  const third = throttle.enter(1, undefined);
  controller.abort(reason);
  await t.throwsAsync(second, { is: reason });
  t.true(clock.now() < 5000);
  await Promise.all([first, third]);
  isAbout(t, clock.now(), 5001, 0.001);
});

test('bytes of files count, in both directions', async (t) => {
  const clock = createSimulatedClock();
  const throttle = new Throttle(1000, clock);
  const writer = { write: () => {}, commit: async () => {}, discard: async () => {} };
  const file = openThrottledFile(
    {
      label: 'file',
      stat: async () => ({ size: 3000, hasRanges: true }),
      async *read() {
        for (let i = 0; i < 3; i++) yield noise(1000);
      },
      readRange: async () => noise(500),
      openWriter: async () => writer,
      close: async () => {},
    },
    throttle,
  );
  for await (const piece of file.read()) t.is(piece.length, 1000);
  await file.readRange({ offset: 0, length: 800 });
  await (await file.openWriter()).write(noise(1500));
  await throttle.enter(0, undefined);
  t.is(Math.round(clock.now()), 5000);
});
