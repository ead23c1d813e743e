import test from 'ava';
import { concatBytes, equalBytes } from '../../../formats/bytes.ts';
import { createXzCodec } from '../../../lib/compress/xz.node.ts';
import { createNativeXzCodec } from '../../../lib/compress/xz-native.node.ts';
import { createPortableXzCodec } from '../../../lib/compress/xz-portable.ts';
import { codecSuite } from '../../conformance/codec.ts';
import { GOLDEN_STORES, goldenChunks } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';

const native = createNativeXzCodec();
const portable = createPortableXzCodec();
const chunks = GOLDEN_STORES.flatMap(goldenChunks).filter(({ stored }) => stored[0] === 0xfd);
const small = chunks.toSorted((a, b) => a.stored.length - b.stored.length)[0].stored;
const refused = { 'padding behind the stream': concatBytes([small, new Uint8Array(8)]) };

if (native !== undefined) {
  codecSuite('liblzma', native, { refused });
  codecSuite('chosen', createXzCodec(), { refused });
  codecSuite('WASM xz', portable, { compress: native.compress, refused });
}

test('WASM xz decodes every chunk that casync 2 made', async (t) => {
  t.true(chunks.length > 10);
  for (const { stored } of chunks) {
    const plain = await portable.decompress(stored, 1 << 20);
    if (native) t.true(equalBytes(plain, await native.decompress(stored, 1 << 20)));
  }
});

test('WASM xz says what is missing when it shall compress', (t) => {
  t.throws(() => portable.compress(Uint8Array.of(1)), { code: 'UNSUPPORTED' });
});

test('liblzma makes the chunk files of casync 2, byte for byte', async (t) => {
  if (!requirement(t, { conditions: { 'liblzma.so.5 and koffi': native !== undefined } })) return;
  if (native === undefined) return;
  for (const { stored, id } of chunks) {
    const made = await native.compress(await native.decompress(stored, 1 << 20));
    t.true(equalBytes(made, stored), id);
  }
});

test('a dictionary that would take too much memory is refused', async (t) => {
  if (!requirement(t, { commands: ['xz'], conditions: { liblzma: native !== undefined } })) return;
  if (native === undefined) return;
  const { execFileSync } = await import('node:child_process');
  const stored = execFileSync('xz', ['--lzma2=dict=1GiB,mode=fast,mf=hc3,nice=10', '-c'], {
    input: 'text',
  });
  await t.throwsAsync(async () => native.decompress(stored, 100), { code: 'LIMIT_EXCEEDED' });
});
