/** What every BlobReader must do (lib/read/blob-reader.ts). */
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { isCasError } from '../../formats/errors.ts';
import type { BlobRange, BlobReader } from '../../lib/read/blob-reader.ts';
import { noise } from '../helpers/golden.ts';

export interface TestedBlob {
  /** Closed by the suite. */
  readonly reader: BlobReader;
  /** From now on nothing can be read but what is in memory, until {@link mend}. */
  fail?(): void | Promise<void>;
  mend?(): void | Promise<void>;
  /** From now on reads wait, but for what is in memory, until {@link letGo}. */
  hold?(): void;
  letGo?(): void;
}

/** What the factory's blobs can be made to do. */
export type Weakness = 'fails' | 'waits';

/** Makes a blob of these bytes that the test may use alone. */
export type BlobFactory = (
  t: ExecutionContext,
  bytes: Uint8Array,
) => TestedBlob | Promise<TestedBlob>;

const MIB = 1024 * 1024;

/** Noise, and zeros of many lengths between and behind it. */
function content(): Uint8Array {
  const bytes = new Uint8Array(4 * MIB + 12_345);
  bytes.set(noise(MIB + 17), 0);
  bytes.set(noise(70_000, 2), 3 * MIB);
  bytes.set(noise(5000, 3), bytes.length - 100_000);
  return bytes;
}

const CONTENT = content();
const SIZE = CONTENT.length;

async function readBytes(
  reader: BlobReader,
  range: BlobRange,
  signal?: AbortSignal,
): Promise<Buffer> {
  const { pieces, length, release } = await reader.read(range, signal ? { signal } : {});
  const bytes = Buffer.concat(pieces);
  release();
  if (bytes.length !== length) throw new Error(`${bytes.length} bytes that are called ${length}`);
  return bytes;
}

function expected({ offset, length }: BlobRange): Buffer {
  return Buffer.from(CONTENT.subarray(offset, offset + length));
}

export function blobReaderSuite(
  name: string,
  create: BlobFactory,
  weaknesses: readonly Weakness[] = [],
): void {
  const open = async (t: ExecutionContext): Promise<TestedBlob> => {
    const tested = await create(t, CONTENT);
    t.teardown(() => tested.reader.close());
    return tested;
  };
  reading(name, open);
  keeping(name, open);
  if (weaknesses.includes('fails')) failing(name, open);
  if (weaknesses.includes('waits')) waiting(name, open);
}

type Open = (t: ExecutionContext) => Promise<TestedBlob>;

const RANGE = fc.record({
  offset: fc.nat(SIZE + 10_000),
  length: fc.oneof(fc.nat(5000), fc.nat(300_000), fc.nat(2 * MIB)),
});

function reading(name: string, open: Open): void {
  test(`${name}: gives exactly the bytes of any ranges, many at a time`, async (t) => {
    const { reader } = await open(t);
    await fc.assert(
      fc.asyncProperty(fc.array(RANGE, { minLength: 1, maxLength: 12 }), async (ranges) => {
        const found = await Promise.all(ranges.map((range) => readBytes(reader, range)));
        for (const [i, range] of ranges.entries()) {
          const isEqual = found[i].equals(expected(range));
          if (!isEqual) throw new Error(`other bytes at ${JSON.stringify(range)}`);
        }
      }),
      { numRuns: 25 },
    );
    t.pass();
  });

  test(`${name}: gives the whole, front to back, as often as wanted`, async (t) => {
    const { reader } = await open(t);
    for (const length of [131_072, 1_000_003]) {
      for (let offset = 0; offset < SIZE; offset += length) {
        const found = await readBytes(reader, { offset, length });
        t.true(found.equals(expected({ offset, length })), `${offset}+${length}`);
      }
    }
    t.true((await readBytes(reader, { offset: 0, length: SIZE })).equals(CONTENT));
  });

  test(`${name}: gives less at the end, and nothing behind it or of empty ranges`, async (t) => {
    const { reader } = await open(t);
    t.is(reader.size, SIZE);
    t.deepEqual(await readBytes(reader, { offset: SIZE - 10, length: 100 }), Buffer.alloc(10));
    for (const [offset, length] of [
      [SIZE, 1],
      [SIZE + 1, 10],
      [2 ** 50, MIB],
      [0, 0],
      [5000, 0],
      [SIZE, 0],
    ]) {
      t.is((await readBytes(reader, { offset, length })).length, 0, `${offset}+${length}`);
    }
  });

  test(`${name}: extents follow each other, and those of zeros are zeros`, async (t) => {
    const { reader } = await open(t);
    let count = 0;
    for (let offset = 0; offset < SIZE; count++) {
      const { end, isZero } = reader.extentAt(offset);
      t.true(end > offset && end <= SIZE, `${offset}-${end}`);
      if (isZero)
        t.true(
          CONTENT.subarray(offset, end).every((byte) => byte === 0),
          `${offset}`,
        );
      offset = end;
    }
    t.true(count < 10_000);
    for (const offset of [1, MIB + 18, 2 * MIB, 3 * MIB - 1, SIZE - 1]) {
      const { end, isZero } = reader.extentAt(offset);
      t.true(end > offset && end <= SIZE);
      t.false(isZero && CONTENT.subarray(offset, end).some((byte) => byte !== 0), `${offset}`);
    }
  });
}

function keeping(name: string, open: Open): void {
  test(`${name}: what was read stays as it is until it is released`, async (t) => {
    const { reader } = await open(t);
    const ranges = Array.from({ length: 8 }, (_, i) => ({ offset: 200_000 * i, length: 150_000 }));
    const kept = await Promise.all(ranges.map((range) => reader.read(range)));
    for (let offset = 0; offset < SIZE; offset += 500_000) {
      await readBytes(reader, { offset, length: 500_000 });
    }
    for (const [i, range] of ranges.entries()) {
      t.true(Buffer.concat(kept[i].pieces).equals(expected(range)));
      kept[i].release();
    }
  });

  test(`${name}: after close nothing is read any more`, async (t) => {
    const { reader } = await open(t);
    await readBytes(reader, { offset: 0, length: 100 });
    await reader.close();
    await aborted(t, readBytes(reader, { offset: 0, length: 100 }));
    await reader.close();
  });
}

function failing(name: string, open: Open): void {
  test(`${name}: a failure is an error of its call alone, and the next call tries again`, async (t) => {
    const { reader, fail, mend } = await open(t);
    const before = { offset: 0, length: 1000 };
    const behind = { offset: 3 * MIB, length: 60_000 };
    t.true((await readBytes(reader, before)).equals(expected(before)));
    await fail?.();
    for (let i = 0; i < 2; i++) {
      const error = await t.throwsAsync(async () => readBytes(reader, behind));
      t.true(isCasError(error), error?.stack);
      t.regex(error?.message ?? '', /\S: \S/);
    }
    await mend?.();
    t.true((await readBytes(reader, behind)).equals(expected(behind)));
    t.true((await readBytes(reader, before)).equals(expected(before)));
  });

  test(`${name}: a signal that has fired harms nobody else`, async (t) => {
    const { reader } = await open(t);
    const range = { offset: 3 * MIB, length: 100 };
    await readBytes(reader, range, AbortSignal.abort()).catch(() => {});
    t.true((await readBytes(reader, range)).equals(expected(range)));
  });
}

async function aborted(t: ExecutionContext, reading: Promise<unknown>): Promise<void> {
  const outcome = await reading.then(
    () => 'done',
    (error: unknown) => (isCasError(error) ? error.code : String(error)),
  );
  t.is(outcome, 'ABORTED');
}

function waiting(name: string, open: Open): void {
  test(`${name}: who gives up waiting does not end what others wait for`, async (t) => {
    const { reader, hold, letGo } = await open(t);
    const range = { offset: 3 * MIB - 1000, length: 60_000 };
    hold?.();
    const controller = new AbortController();
    const first = readBytes(reader, range, controller.signal);
    const second = readBytes(reader, range);
    const part = readBytes(reader, { offset: 3 * MIB, length: 10 }, controller.signal);
    const given = Promise.all([aborted(t, first), aborted(t, part)]);
    controller.abort();
    await given;
    letGo?.();
    t.true((await second).equals(expected(range)));
    t.true((await readBytes(reader, range)).equals(expected(range)));
  });

  test(`${name}: what all have given up can be read later`, async (t) => {
    const { reader, hold, letGo } = await open(t);
    const range = { offset: 3 * MIB - 1000, length: 60_000 };
    hold?.();
    const controller = new AbortController();
    const first = aborted(t, readBytes(reader, range, controller.signal));
    controller.abort();
    await first;
    const second = readBytes(reader, range);
    letGo?.();
    t.true((await second).equals(expected(range)));
  });

  test(`${name}: closing ends what waits`, async (t) => {
    const { reader, hold, letGo } = await open(t);
    hold?.();
    const calls = [0, MIB, 3 * MIB].map((offset) =>
      aborted(t, readBytes(reader, { offset, length: 50_000 })),
    );
    await new Promise((resolve) => setImmediate(resolve));
    await reader.close();
    await Promise.all(calls);
    letGo?.();
  });
}
