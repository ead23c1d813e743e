/** Deltas of rdiff from signatures (spec/bridges.md, "rdiff deltas"). */
import test from 'ava';
import fc from 'fast-check';
import { RdiffDeltaParser } from '../../../../formats/rdiff-delta.ts';
import {
  encodeRdiffEntry,
  encodeRdiffSignatureHeader,
  RdiffSignature,
  type RdiffSignatureHeader,
} from '../../../../formats/rdiff-signature.ts';
import { RdiffDeltaMaker } from '../../../../lib/images/bridges/rdiff-delta-maker.ts';
import { strongSumOf } from '../../../../lib/images/bridges/rdiff-signature.node.ts';
import { createRollingSum, weakSumOf } from '../../../../lib/images/bridges/rolling-sum.ts';
import { BlocksBySum } from '../../../../lib/images/bridges/sum-filter.ts';
import { noise } from '../../../helpers/golden.ts';

const HEADERS: readonly RdiffSignatureHeader[] = [
  { strongSum: 'blake2b-256', weakSum: 'rabinkarp', blockSize: 64, strongLength: 32 },
  { strongSum: 'md4', weakSum: 'rollsum', blockSize: 50, strongLength: 16 },
];

function signatureOf(old: Uint8Array, header: RdiffSignatureHeader): RdiffSignature {
  const { blockSize, strongSum, strongLength, weakSum } = header;
  const entries: Uint8Array[] = [encodeRdiffSignatureHeader(header)];
  for (let at = 0; at < old.length; at += blockSize) {
    const block = old.subarray(at, at + blockSize);
    const [entry, strong] = [new Uint8Array(4 + strongLength), new Uint8Array(32)];
    strongSumOf(strongSum)(block, strong, 0);
    encodeRdiffEntry(entry, weakSumOf(createRollingSum(weakSum), block), strong);
    entries.push(entry);
  }
  return new RdiffSignature(Buffer.concat(entries));
}

function deltaOf(signature: RdiffSignature, bytes: Uint8Array, portion: number) {
  const maker = new RdiffDeltaMaker(signature, strongSumOf(signature.header.strongSum));
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += portion) {
    maker.feed(bytes.subarray(at, at + portion));
    parts.push(...maker.takeOutput());
  }
  maker.finish();
  parts.push(...maker.takeOutput());
  return { delta: Buffer.concat(parts), counts: maker.counts };
}

function patched(old: Uint8Array, delta: Uint8Array): Buffer {
  const parser = new RdiffDeltaParser();
  const parts: Buffer[] = [];
  parser.feed(delta);
  for (let event = parser.next(); event !== undefined; event = parser.next()) {
    if (event.type === 'literal') parts.push(Buffer.from(event.bytes));
    else parts.push(Buffer.from(old.subarray(event.start, event.start + event.length)));
  }
  parser.finish();
  return Buffer.concat(parts);
}

for (const header of HEADERS) {
  const name = `${header.weakSum}, ${header.strongSum}`;

  test(`sums roll and shrink to what they are of the bytes alone: ${name}`, (t) => {
    const bytes = noise(400);
    const sum = createRollingSum(header.weakSum);
    sum.start(bytes, 3, 100);
    for (let at = 3; at < 250; at++) {
      const expected = weakSumOf(createRollingSum(header.weakSum), bytes.subarray(at, at + 100));
      t.is(sum.value, expected);
      sum.roll(bytes, at);
    }
    for (let at = 250; at < 349; at++) {
      const expected = weakSumOf(createRollingSum(header.weakSum), bytes.subarray(at, 350));
      t.is(sum.value, expected);
      sum.shrink(bytes[at] ?? 0);
    }
  });

  test(`any file is made of any other by its delta: ${name}`, (t) => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 0, max: 300 }).map((length) => new Uint8Array(length)),
      fc.tuple(fc.nat(900), fc.nat(300)).map(([at, n]) => noise(1200).subarray(at, at + n)),
    );
    const file = fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.concat(pieces));
    fc.assert(
      fc.property(file, file, fc.integer({ min: 1, max: 500 }), (old, fresh, portion) => {
        const { delta } = deltaOf(signatureOf(old, header), fresh, portion);
        t.deepEqual(patched(old, delta), fresh);
      }),
      { numRuns: 150 },
    );
  });

  test(`zeros that are not looked at are found as others are: ${name}`, (t) => {
    const { blockSize } = header;
    const old = Buffer.concat([noise(5 * blockSize), new Uint8Array(90 * blockSize), noise(70, 3)]);
    const olds = [old, noise(1000), new Uint8Array(blockSize - 1)];
    fc.assert(
      fc.property(
        fc.constantFrom(...olds),
        fc.array(fc.tuple(fc.nat(200), fc.nat(100 * blockSize)), { maxLength: 5 }),
        (before, stretches) => {
          const maker = new RdiffDeltaMaker(
            signatureOf(before, header),
            strongSumOf(header.strongSum),
          );
          const parts: Buffer[] = [];
          for (const [data, zeros] of stretches) {
            const bytes = noise(data, data + 1);
            maker.feed(bytes);
            maker.feedZeros(zeros);
            parts.push(Buffer.from(bytes), Buffer.alloc(zeros));
          }
          maker.finish();
          const fresh = Buffer.concat(parts);
          const delta = Buffer.concat(maker.takeOutput());
          t.deepEqual(patched(before, delta), fresh);
          if (before !== old) return;
          const { counts } = deltaOf(signatureOf(before, header), fresh, 1000);
          t.deepEqual(maker.counts, counts);
        },
      ),
      { numRuns: 60 },
    );
  });

  test(`content that has moved is copied, at any offset and in one piece: ${name}`, (t) => {
    const { blockSize } = header;
    const old = noise(200 * blockSize + 17);
    const fresh = Buffer.concat([noise(1001, 9), old]);
    const { delta, counts } = deltaOf(signatureOf(old, header), fresh, 777);
    t.deepEqual(patched(old, delta), fresh);
    t.is(counts.literalBytes, 1001);
    t.true(delta.length < 1001 + 40, `${delta.length}`);
  });

  test(`equal blocks one behind the other are one copy: ${name}`, (t) => {
    const old = new Uint8Array(1000 * header.blockSize);
    const { delta } = deltaOf(signatureOf(old, header), old, 4096);
    t.true(delta.length < 20, `${delta.length}`);
    t.deepEqual(patched(old, delta), Buffer.from(old));
  });
}

test('blocks whose weak sums are all equal cost bounded time, and nothing else', (t) => {
  const header: RdiffSignatureHeader = {
    strongSum: 'md4',
    weakSum: 'rollsum',
    blockSize: 16,
    strongLength: 16,
  };
  const entries = Array.from({ length: 20_000 }, (_, i) => {
    const [entry, strong] = [new Uint8Array(20), Buffer.alloc(16)];
    strong.writeUInt32LE(i);
    encodeRdiffEntry(entry, 0x01f0_01f0, strong);
    return entry;
  });
  const all = Buffer.concat([encodeRdiffSignatureHeader(header), ...entries]);
  const blocks = new BlocksBySum(new RdiffSignature(all));
  let asked = 0;
  const found = blocks.find(
    0x01f0_01f0,
    () => {
      asked += 1;
      return Buffer.alloc(16, 0xff);
    },
    5,
  );
  t.is(found, undefined);
  t.true(asked <= 2);
});
