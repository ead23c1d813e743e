import { gunzipSync, gzipSync } from 'node:zlib';
import test from 'ava';
import { concatBytes } from '../../../formats/bytes.ts';
import { createGzipCodec } from '../../../lib/compress/gzip.node.ts';
import { codecSuite } from '../../conformance/codec.ts';
import { GOLDEN_STORES, goldenChunks, text } from '../../helpers/golden.ts';

const codec = createGzipCodec();
const chunks = GOLDEN_STORES.flatMap(goldenChunks).filter(({ stored }) => stored[0] === 0x1f);
const deflated = gzipSync(text(100)).subarray(10);

/** A member whose header has the given flags and fields. */
function member(flags: number, fields: readonly number[]): Uint8Array {
  const header = Uint8Array.of(0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3, ...fields);
  return concatBytes([header, deflated]);
}

codecSuite('gzip', codec, {
  refused: {
    'a reserved flag': member(0x20, []),
    'a name without end': Uint8Array.of(0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, 65, 66),
    'an extra field behind the end': Uint8Array.of(0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 255, 255),
  },
});

test('gzip: decodes every chunk that casync 2 made', async (t) => {
  t.true(chunks.length > 5);
  for (const { stored } of chunks) {
    const plain = await codec.decompress(stored, 1 << 20);
    t.deepEqual(new Uint8Array(plain), new Uint8Array(gunzipSync(stored)));
  }
});

test('gzip: begins as the chunk files of casync 2 do', async (t) => {
  const made = await codec.compress(text(1000));
  t.deepEqual(made.subarray(0, 10), chunks[0].stored.subarray(0, 10));
});

test('gzip: reads headers with optional fields', async (t) => {
  const name = [0x61, 0];
  const fields = { 4: [2, 0, 9, 9], 8: name, 16: name, 2: [0, 0] };
  for (const [flag, bytes] of Object.entries(fields)) {
    t.deepEqual(
      new Uint8Array(await codec.decompress(member(Number(flag), bytes), 100)),
      text(100),
    );
  }
  const all = member(0x1e, [...fields[0x04], ...name, ...name, ...fields[0x02]]);
  t.deepEqual(new Uint8Array(await codec.decompress(all, 100)), text(100));
});

test('gzip: a checksum or length that differs is refused', async (t) => {
  const stored = await codec.compress(text(1000));
  for (let i = 1; i <= 8; i++) {
    const wrong = stored.slice();
    wrong[wrong.length - i] ^= 1;
    await t.throwsAsync(async () => codec.decompress(wrong, 1000), { code: 'FORMAT' });
  }
});
