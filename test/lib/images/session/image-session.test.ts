import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { BlockTable } from '../../../../formats/block-table.ts';
import { equalBytes } from '../../../../formats/bytes.ts';
import type { CasError } from '../../../../formats/errors.ts';
import { IMAGE_KIND } from '../../../../formats/session-images.ts';
import { createBlockDigest } from '../../../../lib/digest/block-digest.node.ts';
import { receiveImage } from '../../../../lib/images/session/image-receiver.node.ts';
import { sendImage } from '../../../../lib/images/session/image-sender.node.ts';
import type {
  HeldTable,
  SendImageOptions,
  SentImage,
} from '../../../../lib/images/session/sent-image.node.ts';
import { imageOfFile, imageOfStream } from '../../../../lib/images/source/image-source.node.ts';
import { type MemoryDestination, openMemoryUpdate } from '../../../helpers/memory-update.ts';
import { sessionPair } from '../../../helpers/session-pair.ts';
import { makeTemporaryFolder, removeTree } from '../../../helpers/temporary-folder.ts';

const BLOCK = 512;
const folder = makeTemporaryFolder();
test.after.always(() => removeTree(folder));
let counter = 0;

interface Transfer {
  readonly source: Uint8Array;
  readonly old: Uint8Array;
  readonly isMapClean?: boolean;
  readonly isStream?: boolean;
  readonly held?: HeldTable;
  readonly digestLength?: number;
  readonly options?: Partial<SendImageOptions>;
}

interface Transferred {
  readonly sent: SentImage;
  readonly place: MemoryDestination;
  readonly wireBytes: number;
}

async function transfer({ source, old, ...how }: Transfer): Promise<Transferred> {
  const { isMapClean = true, isStream = false, held, digestLength, options = {} } = how;
  const path = join(folder, `source-${counter++}`);
  writeFileSync(path, source);
  const descriptor = openSync(path, 'r');
  const { near, far } = sessionPair({ compresses: false });
  const place: MemoryDestination = { content: old.slice(), written: 0, read: 0 };
  let isFirst = true;
  try {
    const receiving = receiveImage(far, {
      open: async (size) => {
        const isClean = isMapClean || !isFirst;
        isFirst = false;
        return openMemoryUpdate(place, { blockSize: BLOCK, isMapClean: isClean, size });
      },
    });
    const pieces = [source.subarray(0, 700), source.subarray(700)];
    const sending = sendImage(near, {
      source: isStream
        ? imageOfStream('stream', pieces)
        : imageOfFile({ descriptor, label: path, size: source.length }),
      descriptor: isStream ? undefined : descriptor,
      held,
      threadCount: 0,
      ...(digestLength === undefined ? {} : { digestLength }),
      ...options,
    });
    const [sent] = await Promise.all([sending, receiving]);
    return { sent, place, wireBytes: near.sentBytes + near.receivedBytes };
  } finally {
    near.destroy();
    far.destroy();
    closeSync(descriptor);
  }
}

function tableOf(content: Uint8Array): BlockTable {
  const digest = createBlockDigest('sha256');
  const table = new BlockTable(BLOCK, content.length);
  for (let i = 0; i < table.count; i++) {
    const into = new Uint8Array(32);
    digest.write(content.subarray(i * BLOCK, i * BLOCK + table.sizeOf(i)), into, 0);
    table.set(i, into);
  }
  return table;
}

function changed(content: Uint8Array, blocks: readonly number[], zeroed: readonly number[] = []) {
  const result = content.slice();
  for (const block of blocks) result.set(randomBytes(BLOCK), block * BLOCK);
  for (const block of zeroed) result.fill(0, block * BLOCK, (block + 1) * BLOCK);
  return result;
}

const OLD = Uint8Array.from(randomBytes(BLOCK * 3000));
const NEW = changed(OLD, [0, 77, 78, 1500, 2999], [5, 6, 2000]);

test('two clean maps are compared by levels; only blocks that differ cross', async (t) => {
  const { sent, place, wireBytes } = await transfer({ source: NEW, old: OLD });
  t.is(sent.way, 'levels');
  t.true(equalBytes(place.content, NEW));
  t.is(place.written, 5 * BLOCK);
  t.is(sent.sentBlockBytes, 5 * BLOCK);
  t.true(wireBytes < 5 * BLOCK + 8000);
});

test('equal images cost next to nothing', async (t) => {
  const { sent, place, wireBytes } = await transfer({ source: OLD, old: OLD });
  t.is(sent.way, 'equal');
  t.is(place.written, 0);
  t.true(wireBytes < 600);
});

test('a destination that must be read is compared by segments', async (t) => {
  const { sent, place } = await transfer({ source: NEW, old: OLD, isMapClean: false });
  t.is(sent.way, 'segments');
  t.true(equalBytes(place.content, NEW));
  t.is(place.written, 5 * BLOCK);
  t.is(place.read, OLD.length);
});

test('what was held from the last time needs no comparison at all', async (t) => {
  const held = { table: tableOf(OLD), digest: 'sha256' as const };
  const { sent, place, wireBytes } = await transfer({ source: NEW, old: OLD, held });
  t.is(sent.way, 'held');
  t.true(equalBytes(place.content, NEW));
  t.true(wireBytes < 5 * BLOCK + 1000);
  t.true(equalBytes(sent.table?.table.digests() ?? OLD, tableOf(NEW).digests()));
});

test('what is held of something else is not believed', async (t) => {
  const held = { table: tableOf(NEW), digest: 'sha256' as const };
  const { sent, place } = await transfer({ source: NEW, old: OLD, held });
  t.is(sent.way, 'levels');
  t.true(equalBytes(place.content, NEW));
});

test('a stream is read once, behind the digests of the destination', async (t) => {
  for (const isMapClean of [true, false]) {
    const { sent, place } = await transfer({ source: NEW, old: OLD, isMapClean, isStream: true });
    t.is(sent.way, 'stream');
    t.true(equalBytes(place.content, NEW));
    t.is(place.written, 5 * BLOCK);
  }
});

test('all of it goes where nothing is', async (t) => {
  const { sent, place } = await transfer({ source: NEW, old: new Uint8Array(0) });
  t.is(sent.way, 'all');
  t.true(equalBytes(place.content, NEW));
});

test('digests that collide are noticed by the root, and the second attempt is right', async (t) => {
  const source = changed(OLD, [...Array(3000).keys()]);
  for (const isMapClean of [true, false]) {
    const { place, sent } = await transfer({ source, old: OLD, isMapClean, digestLength: 1 });
    t.true(equalBytes(place.content, source));
    t.is(sent.way, 'levels');
    t.true(sent.sentBlockBytes < source.length / 2);
  }
});

test('whatever both sides have, the destination has the image in the end', async (t) => {
  const blocks = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        size: fc.integer({ min: 0, max: 40 * BLOCK }),
        oldSize: fc.integer({ min: 0, max: 40 * BLOCK }),
        blocks,
        zeroed: blocks,
        isMapClean: fc.boolean(),
        isStream: fc.boolean(),
        isHeld: fc.boolean(),
      }),
      async ({ size, oldSize, isHeld, ...how }) => {
        const base = OLD.slice(0, 42 * BLOCK);
        const old = base.slice(0, oldSize);
        const source = changed(base, how.blocks, how.zeroed).slice(0, size);
        const held = { table: tableOf(old), digest: 'sha256' as const };
        const { place } = await transfer({ source, old, ...how, ...(isHeld ? { held } : {}) });
        t.true(equalBytes(place.content, source));
      },
    ),
    { numRuns: 150, verbose: true },
  );
});

test('a change of the source during the work is told', async (t) => {
  const sourceChange = () => 'it was modified';
  const { sent } = await transfer({ source: NEW, old: OLD, options: { sourceChange } });
  t.is(sent.sourceChange, 'it was modified');
});

test('a block that is not what its digest says is not written', async (t) => {
  const { near, far } = sessionPair({ compresses: false });
  const place: MemoryDestination = { content: OLD.slice(), written: 0, read: 0 };
  const receiving = receiveImage(
    {
      label: 'liar',
      sentBytes: 0,
      receivedBytes: 0,
      send: (kind, content) => far.send(kind, content),
      warn: (text) => far.warn(text),
      lend: (length) => far.lend(length),
      sendLent: (kind, content) => far.sendLent(kind, content),
      giveBack: (content) => far.giveBack(content),
      async receive() {
        const message = await far.receive();
        if (message?.kind === IMAGE_KIND.data) message.content[message.content.length - 1] ^= 1;
        return message;
      },
    },
    {
      open: async (size) => openMemoryUpdate(place, { blockSize: BLOCK, isMapClean: true, size }),
    },
  );
  const path = join(folder, 'harmed');
  writeFileSync(path, NEW);
  const descriptor = openSync(path, 'r');
  const source = imageOfFile({ descriptor, label: path, size: NEW.length });
  const sending = sendImage(near, { source, descriptor, threadCount: 0 });
  const error = await t.throwsAsync(receiving);
  t.is((error as CasError).code, 'VERIFY_FAILED');
  const last = (content: Uint8Array) => content.subarray(2999 * BLOCK);
  t.true(equalBytes(last(place.content), last(OLD)));
  far.destroy();
  await t.throwsAsync(sending);
  near.destroy();
  closeSync(descriptor);
});
