/** Reading a file over a connection that breaks (spec/remote.md, "Wrappers"). */
import test from 'ava';
import fc from 'fast-check';
import { StorageError } from '../../../store/errors.ts';
import type { RemoteFile, RemoteFileInfo } from '../../../store/remote-file.ts';
import { openRetryingFile } from '../../../store/wrap/retry-file.ts';
import { noise } from '../../helpers/golden.ts';
import { createSimulatedClock } from '../../helpers/simulated-clock.ts';

const PIECE = 100;
const OPTIONS = { clock: createSimulatedClock(), random: () => 0.5, attemptCount: 4 };

function broken(): StorageError {
  return new StorageError('UNAVAILABLE', { reason: 'connection reset', retry: 'later' });
}

interface Double extends RemoteFile {
  /** What has been asked, in order. */
  readonly calls: string[];
  content: Uint8Array;
  version: string | undefined;
}

/** @param failures at which calls, or behind how many pieces of a read, the connection breaks */
function openDouble(content: Uint8Array, failures: (call: number) => number | undefined): Double {
  const calls: string[] = [];
  const failing = (name: string): number | undefined => failures(calls.push(name) - 1);
  return {
    label: 'file',
    calls,
    content,
    version: 'one',
    async stat(): Promise<RemoteFileInfo> {
      if (failing('stat') !== undefined) throw broken();
      const { content, version } = this;
      const info = { size: content.length, hasRanges: true };
      return version === undefined ? info : { ...info, version };
    },
    async *read() {
      let left = failing('read') ?? Number.POSITIVE_INFINITY;
      const { content } = this;
      for (let offset = 0; offset < content.length; offset += PIECE) {
        if (left-- === 0) throw broken();
        yield content.slice(offset, offset + PIECE);
      }
    },
    async readRange({ offset, length }) {
      if (failing(`range ${offset}`) !== undefined) throw broken();
      return this.content.slice(offset, offset + length);
    },
    openWriter: () => Promise.reject(broken()),
    close: async () => {},
  };
}

async function readAll(file: RemoteFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read()) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

const at = (failures: Readonly<Record<number, number>>) => (call: number) => failures[call];

test('what was cut off goes on where it ended', async (t) => {
  const double = openDouble(noise(1000), at({ 1: 3 }));
  t.deepEqual(await readAll(openRetryingFile(double, OPTIONS)), noise(1000));
  t.deepEqual(double.calls, ['stat', 'read', 'stat', 'range 300', 'stat']);
});

test('what broke before its first byte is read again', async (t) => {
  const double = openDouble(noise(1000), at({ 0: 0, 2: 0 }));
  t.deepEqual(await readAll(openRetryingFile(double, OPTIONS)), noise(1000));
  t.deepEqual(double.calls, ['stat', 'stat', 'read', 'stat', 'read']);
});

test('nothing more is asked than a reader without retries does, if the file is known', async (t) => {
  const double = openDouble(noise(1000), at({}));
  const file = openRetryingFile(double, OPTIONS);
  await file.stat();
  await readAll(file);
  t.deepEqual(double.calls, ['stat', 'read']);
});

for (const [name, change] of Object.entries<(double: Double) => void>({
  'another version': (double) => {
    double.version = 'two';
  },
  'another size': (double) => {
    double.content = noise(900);
  },
})) {
  test(`a file that has become ${name} is not put together`, async (t) => {
    const double = openDouble(noise(1000), at({ 1: 3 }));
    const pieces = openRetryingFile(double, OPTIONS).read()[Symbol.asyncIterator]();
    await pieces.next();
    change(double);
    const rest = async (): Promise<void> => {
      while (!(await pieces.next()).done);
    };
    await t.throwsAsync(rest, { message: 'file: read: changed while it was read' });
  });
}

test('a file of which no version is known fails where it was cut off', async (t) => {
  const double = openDouble(noise(1000), at({ 1: 3 }));
  double.version = undefined;
  const error = await t.throwsAsync(readAll(openRetryingFile(double, OPTIONS)));
  t.is(error?.message, 'connection reset');
});

test('reading that gets nowhere ends', async (t) => {
  const double = openDouble(noise(1000), (call) => (call === 0 ? undefined : 0));
  const error = await t.throwsAsync(readAll(openRetryingFile(double, OPTIONS)));
  t.is(error?.message, 'connection reset (tried 4 times)');
});

test('ranges and what is known of a file are asked again', async (t) => {
  const double = openDouble(noise(1000), at({ 0: 0, 2: 0 }));
  const file = openRetryingFile(double, OPTIONS);
  t.is((await file.stat()).size, 1000);
  t.deepEqual(await file.readRange({ offset: 5, length: 7 }), noise(1000).slice(5, 12));
  t.deepEqual(double.calls, ['stat', 'stat', 'range 5', 'range 5']);
});

test('however a connection breaks, the bytes are those of the file, or there is an error', async (t) => {
  const failures = fc.array(fc.option(fc.nat(12), { nil: undefined }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(failures, fc.nat(1200), async (plan, size) => {
      const double = openDouble(noise(size), (call) => plan[call]);
      try {
        t.deepEqual(await readAll(openRetryingFile(double, OPTIONS)), noise(size));
      } catch (error) {
        t.is((error as StorageError).code, 'UNAVAILABLE');
      }
    }),
    { numRuns: 300 },
  );
});
