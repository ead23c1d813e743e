/** The writable layer of a block export, on real files, compared with plain bytes. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { BLOCK_LENGTH } from '../../../../formats/overlay.ts';
import { PipelineError } from '../../../../lib/errors.ts';
import type { BlobRange, BlobReader } from '../../../../lib/read/blob-reader.ts';
import { openBytesBlob } from '../../../../lib/read/bytes-blob.ts';
import type { BlockExport, BlockWriter } from '../../../../lib/serve/nbd/block-export.ts';
import { openOverlay } from '../../../../lib/serve/nbd/overlay.node.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

function writerOf({ writer }: BlockExport): BlockWriter {
  if (writer === undefined) throw new Error('not writable');
  return writer;
}

async function readAll(overlay: BlobReader, range?: BlobRange): Promise<Buffer> {
  const bytes = await overlay.read(range ?? { offset: 0, length: overlay.size });
  const copy = Buffer.concat(bytes.pieces);
  bytes.release();
  return copy;
}

/** Bytes that differ from block to block. */
function patternBytes(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => 1 + (((i >> 12) * 31 + i) % 251));
}

interface Opened {
  readonly overlay: BlockExport;
  readonly path: string;
  readonly base: Uint8Array;
}

async function openNew(t: ExecutionContext, size: number, base?: BlobReader): Promise<Opened> {
  const path = join(temporaryFolder(t), 'overlay');
  const bytes = patternBytes(size);
  const overlay = await openOverlay(base ?? openBytesBlob(bytes, 'base'), path);
  t.teardown(() => overlay.close().catch(() => {}));
  return { overlay, path, base: bytes };
}

type Step =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'zero'; readonly range: BlobRange; readonly keep: boolean }
  | { readonly kind: 'read'; readonly range: BlobRange }
  | { readonly kind: 'extents' | 'flush' | 'reopen' };

const SIZE = 9 * BLOCK_LENGTH + 777;

const ranges = fc
  .tuple(fc.nat(SIZE), fc.nat(3 * BLOCK_LENGTH), fc.boolean(), fc.boolean())
  .map(([offset, length, startsAligned, endsAligned]) => {
    const start = startsAligned ? offset - (offset % BLOCK_LENGTH) : offset;
    const end = endsAligned
      ? Math.ceil((start + length) / BLOCK_LENGTH) * BLOCK_LENGTH
      : start + length;
    return { offset: start, length: Math.min(end, SIZE) - start };
  });

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(ranges, fc.integer({ min: 1, max: 255 })).map(
      ([{ offset, length }, byte]): Step => ({
        kind: 'write',
        offset,
        bytes: Uint8Array.from({ length }, (_, i) => byte ^ (i & 0x7f)),
      }),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('zero'), range: ranges, keep: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read'), range: ranges }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('extents', 'flush', 'reopen') }) },
);

/** Every extent that is said to be zeros is; they cover everything. */
function checkExtents(overlay: BlockExport, expected: Uint8Array): void {
  for (let offset = 0; offset < overlay.size; ) {
    const { end, isZero } = overlay.extentAt(offset);
    if (end <= offset || end > overlay.size) throw new Error(`extent from ${offset} to ${end}`);
    if (isZero && expected.subarray(offset, end).some((byte) => byte !== 0)) {
      throw new Error(`not zero: ${offset} to ${end}`);
    }
    offset = end;
  }
}

test('reads, writes and zeroes are those of plain bytes, also after opening again', async (t) => {
  const folder = temporaryFolder(t);
  const original = patternBytes(SIZE);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 25 }), async (program) => {
      const path = join(folder, `overlay${runs++}`);
      const model = original.slice();
      const open = () => openOverlay(openBytesBlob(original.slice(), 'base'), path);
      let overlay = await open();
      for (const step of program) {
        if (step.kind === 'write') {
          await writerOf(overlay).write(step.offset, step.bytes);
          model.set(step.bytes, step.offset);
        } else if (step.kind === 'zero') {
          await writerOf(overlay).zero(step.range, { keep: step.keep });
          model.fill(0, step.range.offset, step.range.offset + step.range.length);
        } else if (step.kind === 'read') {
          const { offset, length } = step.range;
          const expected = model.subarray(offset, offset + length);
          if (!(await readAll(overlay, step.range)).equals(expected)) throw new Error('read');
        } else if (step.kind === 'extents') checkExtents(overlay, model);
        else if (step.kind === 'flush') await writerOf(overlay).flush();
        else {
          await overlay.close();
          overlay = await open();
        }
      }
      const found = await readAll(overlay);
      await overlay.close();
      return found.equals(model);
    }),
    { numRuns: 150 },
  );
  t.pass();
});

test('changes that overlap in time end as if they had come one after another', async (t) => {
  const { overlay } = await openNew(t, 64 * BLOCK_LENGTH);
  const writer = writerOf(overlay);
  const changes: Promise<void>[] = [];
  for (let i = 0; i < 400; i++) {
    // All within two blocks, so that their other bytes are read and written again and again.
    const offset = 5 * BLOCK_LENGTH + ((i * 37) % (2 * BLOCK_LENGTH - 50));
    if (i % 50 === 49) changes.push(writer.zero({ offset: 4 * BLOCK_LENGTH + 9, length: 9000 }));
    changes.push(writer.write(offset, new Uint8Array(50).fill(1 + (i % 250))));
  }
  await Promise.all(changes);
  const model = Buffer.from(patternBytes(64 * BLOCK_LENGTH));
  for (let i = 0; i < 400; i++) {
    const offset = 5 * BLOCK_LENGTH + ((i * 37) % (2 * BLOCK_LENGTH - 50));
    if (i % 50 === 49) model.fill(0, 4 * BLOCK_LENGTH + 9, 4 * BLOCK_LENGTH + 9 + 9000);
    model.fill(1 + (i % 250), offset, offset + 50);
  }
  t.true(model.equals(await readAll(overlay)));
});

/** A base that fails while it is told to. */
function failingBase(bytes: Uint8Array): BlobReader & { isDown: boolean; reads: number } {
  const reader = openBytesBlob(bytes, 'base');
  return {
    ...reader,
    isDown: false,
    reads: 0,
    read(range) {
      this.reads++;
      if (this.isDown) throw new PipelineError('UNAVAILABLE', { reason: 'store is down' });
      return reader.read(range);
    },
  };
}

test('without the base, whole blocks are written, and what was written is read', async (t) => {
  const base = failingBase(patternBytes(20 * BLOCK_LENGTH));
  const { overlay } = await openNew(t, 20 * BLOCK_LENGTH, base);
  const writer = writerOf(overlay);
  base.isDown = true;
  await writer.write(2 * BLOCK_LENGTH, new Uint8Array(3 * BLOCK_LENGTH).fill(9));
  await writer.write(3 * BLOCK_LENGTH + 5, Uint8Array.of(1, 2, 3));
  await writer.zero({ offset: 5 * BLOCK_LENGTH, length: BLOCK_LENGTH });
  await writer.write(5 * BLOCK_LENGTH + 7, Uint8Array.of(4));
  await writer.flush();
  const read = await readAll(overlay, { offset: 2 * BLOCK_LENGTH, length: 4 * BLOCK_LENGTH });
  t.deepEqual([...read.subarray(BLOCK_LENGTH + 4, BLOCK_LENGTH + 9)], [9, 1, 2, 3, 9]);
  t.is(read[3 * BLOCK_LENGTH + 7], 4);
  t.is(base.reads, 0);
});

test('what needs the base fails alone, changes nothing, and succeeds later', async (t) => {
  const base = failingBase(patternBytes(20 * BLOCK_LENGTH));
  const { overlay } = await openNew(t, 20 * BLOCK_LENGTH, base);
  const writer = writerOf(overlay);
  const before = await readAll(overlay);
  base.isDown = true;
  const bytes = new Uint8Array(2 * BLOCK_LENGTH).fill(5);
  await t.throwsAsync(writer.write(100, bytes), { code: 'UNAVAILABLE' });
  await t.throwsAsync(writer.zero({ offset: 100, length: 9000 }), { code: 'UNAVAILABLE' });
  await t.throwsAsync(readAll(overlay), { code: 'UNAVAILABLE' });
  await writer.write(8 * BLOCK_LENGTH, bytes);
  base.isDown = false;
  before.set(bytes, 8 * BLOCK_LENGTH);
  t.true(before.equals(await readAll(overlay)));
  await writer.write(100, bytes);
  before.set(bytes, 100);
  t.true(before.equals(await readAll(overlay)));
});

test('extents are those of the overlay, and of the base where that shows', async (t) => {
  const bytes = patternBytes(8 * BLOCK_LENGTH);
  const base: BlobReader = {
    ...openBytesBlob(bytes.fill(0, 4 * BLOCK_LENGTH), 'base'),
    extentAt: (offset) =>
      offset < 4 * BLOCK_LENGTH
        ? { end: 4 * BLOCK_LENGTH, isZero: false }
        : { end: 8 * BLOCK_LENGTH, isZero: true },
  };
  const { overlay } = await openNew(t, 8 * BLOCK_LENGTH, base);
  const writer = writerOf(overlay);
  t.deepEqual(overlay.extentAt(0), { end: 4 * BLOCK_LENGTH, isZero: false });
  await writer.zero({ offset: 3 * BLOCK_LENGTH, length: BLOCK_LENGTH });
  await writer.write(6 * BLOCK_LENGTH, Uint8Array.of(1));
  t.deepEqual(overlay.extentAt(5), { end: 3 * BLOCK_LENGTH, isZero: false });
  t.deepEqual(overlay.extentAt(3 * BLOCK_LENGTH), { end: 6 * BLOCK_LENGTH, isZero: true });
  t.deepEqual(overlay.extentAt(6 * BLOCK_LENGTH), { end: 7 * BLOCK_LENGTH, isZero: false });
  t.deepEqual(overlay.extentAt(7 * BLOCK_LENGTH), { end: 8 * BLOCK_LENGTH, isZero: true });
});

const used = (path: string): number => statSync(path).blocks * 512;

test('zeroes give space back, and keep it if they are asked to', async (t) => {
  const { overlay, path } = await openNew(t, 1 << 20);
  const writer = writerOf(overlay);
  const empty = used(path);
  await writer.write(0, new Uint8Array(1 << 20).fill(1));
  await writer.flush();
  const full = used(path);
  t.true(full >= empty + (1 << 20));
  await writer.zero({ offset: 0, length: 1 << 19 }, { keep: true });
  await writer.flush();
  t.is(used(path), full);
  await writer.zero({ offset: 1 << 19, length: 1 << 19 });
  await writer.flush();
  t.is(used(path), full - (1 << 19));
  t.true((await readAll(overlay)).every((byte) => byte === 0));
});

test('space that zeroes are to keep is there before it is written to', async (t) => {
  const { overlay, path } = await openNew(t, 1 << 20);
  const before = used(path);
  await writerOf(overlay).zero({ offset: 0, length: 1 << 20 }, { keep: true });
  t.true(used(path) >= before + (1 << 20));
});

test.serial('an overlay of a large image is small, and opens without reading much', async (t) => {
  const size = 8 * 1024 ** 4;
  const base: BlobReader = { ...openBytesBlob(new Uint8Array(0), 'base'), size };
  const { overlay, path } = await openNew(t, 0, base);
  const writer = writerOf(overlay);
  await writer.write(size - BLOCK_LENGTH, new Uint8Array(BLOCK_LENGTH).fill(3));
  await writer.write(size / 2, new Uint8Array(BLOCK_LENGTH).fill(4));
  await overlay.close();
  t.true(used(path) < 1 << 20);
  const heapBefore = process.memoryUsage().arrayBuffers;
  const again = await openOverlay(base, path);
  t.true(process.memoryUsage().arrayBuffers - heapBefore < 8 << 20);
  t.is((await readAll(again, { offset: size / 2, length: 1 }))[0], 4);
  t.is((await readAll(again, { offset: size - 1, length: 1 }))[0], 3);
  await again.close();
  const tooLarge: BlobReader = { ...base, size: size + 1 };
  await t.throwsAsync(openOverlay(tooLarge, `${path}2`), { code: 'LIMIT_EXCEEDED' });
});

test('an empty image has an overlay, too', async (t) => {
  const { overlay } = await openNew(t, 0);
  t.is((await readAll(overlay)).length, 0);
  await writerOf(overlay).flush();
  await t.throwsAsync(writerOf(overlay).write(0, Uint8Array.of(1)), { code: 'USAGE' });
});

test('a second opener is refused, and the first one goes on', async (t) => {
  const { overlay, path, base } = await openNew(t, 5 * BLOCK_LENGTH);
  const second = await t.throwsAsync(openOverlay(openBytesBlob(base, 'base'), path));
  t.is(second?.message, `${path}: open overlay: in use by someone else`);
  await writerOf(overlay).write(1, Uint8Array.of(1));
  await overlay.close();
  const third = await openOverlay(openBytesBlob(base, 'base'), path);
  t.is((await readAll(third))[1], 1);
  await third.close();
});

test('an overlay is refused on another base, and nothing is written', async (t) => {
  const size = 5 * BLOCK_LENGTH;
  const path = join(temporaryFolder(t), 'overlay');
  const identity = new Uint8Array(32).fill(1);
  const open = (bytes: number, options: { readonly identity?: Uint8Array }) =>
    openOverlay(openBytesBlob(new Uint8Array(bytes), 'base'), path, options);
  await (await open(size, { identity })).close();
  const before = readFileSync(path);
  const { mtimeMs } = statSync(path);
  const messages = [
    [size + 1, { identity }, `it is for an image of ${size} bytes, this one has ${size + 1}`],
    [size, {}, 'it is for the image behind an index'],
    [size, { identity: new Uint8Array(32) }, 'it is for the image behind another index'],
  ] as const;
  for (const [bytes, options, reason] of messages) {
    await t.throwsAsync(open(bytes, options), {
      code: 'USAGE',
      message: `${path}: open overlay: ${reason}`,
    });
  }
  t.true(before.equals(readFileSync(path)));
  t.is(statSync(path).mtimeMs, mtimeMs);
  await (await open(size, { identity })).close();
});

test('what is no overlay is refused and left as it is', async (t) => {
  const folder = temporaryFolder(t);
  const open = (path: string) => openOverlay(openBytesBlob(new Uint8Array(9999), 'base'), path);
  for (const content of ['', 'x', 'x'.repeat(9999)]) {
    const path = join(folder, `file${content.length}`);
    writeFileSync(path, content);
    await t.throwsAsync(open(path), { code: 'FORMAT', message: /not an overlay/ });
    t.is(readFileSync(path, 'latin1'), content);
  }
  await t.throwsAsync(open(folder), { message: /Is a directory/ });
  await t.throwsAsync(open(join(folder, 'none/overlay')), { message: /No such file/ });
  t.is(readdirSync(folder).length, 3);
});

test('closing ends writes that wait for the base, and keeps all others', async (t) => {
  const size = 5 * BLOCK_LENGTH;
  let fail = (_: Error): void => {};
  const base: BlobReader = {
    ...openBytesBlob(new Uint8Array(size), 'base'),
    read: () =>
      new Promise((_, reject) => {
        fail = reject;
      }),
    close: async () => fail(new PipelineError('ABORTED', { reason: 'closed' })),
  };
  const { overlay, path } = await openNew(t, size, base);
  const writer = writerOf(overlay);
  const waiting = t.throwsAsync(writer.write(1, Uint8Array.of(1)), { code: 'ABORTED' });
  await writer.write(BLOCK_LENGTH, new Uint8Array(BLOCK_LENGTH).fill(6));
  await overlay.close();
  await waiting;
  await t.throwsAsync(writer.write(0, Uint8Array.of(1)), { code: 'ABORTED' });
  await t.throwsAsync(writer.flush(), { code: 'ABORTED' });
  const again = await openOverlay(openBytesBlob(new Uint8Array(size), 'base'), path);
  const read = await readAll(again, { offset: 1, length: BLOCK_LENGTH });
  t.deepEqual([read[0], read[BLOCK_LENGTH - 1]], [0, 6]);
  await again.close();
});
