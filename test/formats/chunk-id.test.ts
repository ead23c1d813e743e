import test from 'ava';
import fc from 'fast-check';
import { chunkIdFromBytes, parseChunkId, writeChunkId } from '../../formats/chunk-id.ts';

const HEX = '00ff'.repeat(16);

test('an id is 64 lower-case hex digits and nothing else', (t) => {
  t.true(parseChunkId(HEX) === HEX);
  const others = ['', HEX.slice(1), `${HEX}0`, HEX.toUpperCase(), `${HEX}\n`, `\n${HEX}`];
  for (const text of [...others, `g${HEX.slice(1)}`]) t.is(parseChunkId(text), undefined, text);
});

test('an id written as bytes is read as the same id', (t) => {
  const place = fc.tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat({ max: 9 }));
  const law = fc.property(place, ([raw, offset]) => {
    const id = chunkIdFromBytes(raw);
    const bytes = new Uint8Array(50);
    writeChunkId(id, bytes, offset);
    return chunkIdFromBytes(bytes, offset) === id && parseChunkId(id) === id;
  });
  t.notThrows(() => fc.assert(law));
});

test('writing an id leaves the bytes around it alone', (t) => {
  const bytes = new Uint8Array(36).fill(7);
  writeChunkId(chunkIdFromBytes(new Uint8Array(32)), bytes, 2);
  t.deepEqual(bytes, Uint8Array.of(7, 7, ...new Uint8Array(32), 7, 7));
});
