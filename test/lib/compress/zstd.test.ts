import test from 'ava';
import { concatBytes, equalBytes } from '../../../formats/bytes.ts';
import { createZstdCodec } from '../../../lib/compress/zstd.node.ts';
import { zstdCapacity } from '../../../lib/compress/zstd-frame.ts';
import { createNativeZstdCodec } from '../../../lib/compress/zstd-native.node.ts';
import { createPortableZstdCodec } from '../../../lib/compress/zstd-portable.ts';
import { createNodeZstdCodec } from '../../../lib/compress/zstd-zlib.node.ts';
import type { Codec } from '../../../store/transforms.ts';
import { codecSuite } from '../../conformance/codec.ts';
import { GOLDEN_STORES, goldenChunks, noise, text } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { decompressStreaming } from '../../helpers/zstd-oracle.ts';

const native = createNativeZstdCodec();
const node = createNodeZstdCodec();
const portable = createPortableZstdCodec();
const implementations: Readonly<Record<string, Codec>> = {
  chosen: createZstdCodec(),
  'WASM zstd': portable,
  ...(native ? { libzstd: native } : {}),
  ...(node ? { 'zstd of node': node } : {}),
};
const chunks = GOLDEN_STORES.flatMap(goldenChunks).filter(({ stored }) => stored[0] === 0x28);

const SKIPPABLE = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4);
/** Claims 2^62 bytes and holds one empty block. */
const HUGE_CLAIM = Uint8Array.of(
  ...[0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0x58, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0],
);
const frame = await portable.compress(text(100));
const refused = {
  'a skippable frame': SKIPPABLE,
  'a skippable frame before the data': concatBytes([SKIPPABLE, frame]),
  'a huge content size': HUGE_CLAIM,
  'a reserved block type': Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 7, 0, 0),
};

for (const [name, codec] of Object.entries(implementations)) {
  codecSuite(name, codec, { refused });

  test(`${name}: decodes every chunk that casync 2 made, as the oracle does`, async (t) => {
    t.true(chunks.length > 20);
    for (const { stored } of chunks) {
      const plain = await codec.decompress(stored, 1 << 20);
      t.true(equalBytes(plain, await decompressStreaming(stored)));
    }
  });

  test(`${name}: all implementations and the oracle decode its frames`, async (t) => {
    for (const plain of [text(10), text(200_000), noise(100_000)]) {
      const stored = await codec.compress(plain);
      t.true(equalBytes(await decompressStreaming(stored), plain));
      for (const other of Object.values(implementations)) {
        t.true(equalBytes(await other.decompress(stored, plain.length), plain));
      }
    }
  });
}

test('libzstd makes chunk files as small as those of casync 2, which say their size', async (t) => {
  if (!requirement(t, { conditions: { 'libzstd.so.1 and koffi': native !== undefined } })) return;
  if (native === undefined) return;
  let [ours, theirs] = [0, 0];
  for (const { stored, id } of chunks) {
    const plain = await native.decompress(stored, 1 << 20);
    const made = await native.compress(plain);
    t.is(zstdCapacity(made, 1 << 27), plain.length, id);
    ours += made.length;
    theirs += stored.length;
  }
  t.true(ours <= theirs * 1.01, `${ours} bytes instead of ${theirs}`);
});

test('decoding never takes more room than a frame can need', async (t) => {
  t.is(zstdCapacity(await portable.compress(text(1000)), 1 << 27), 1000);
  for (const { stored } of chunks) {
    const plain = await portable.decompress(stored, 1 << 20);
    const room = zstdCapacity(stored, 1 << 27);
    t.true(room >= plain.length && room < plain.length + 131_073);
  }
});
