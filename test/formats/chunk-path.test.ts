import test from 'ava';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { chunkKey, parseChunkKey } from '../../formats/chunk-path.ts';

const ID = '0123456789abcdef'.repeat(4) as ChunkId;

test('a chunk lies in the folder of the first four digits of its id', (t) => {
  t.is(chunkKey(ID, '.cacnk'), `0123/${ID}.cacnk`);
  t.is(chunkKey(ID, ''), `0123/${ID}`);
});

test('a place tells the chunk', (t) => {
  t.is(parseChunkKey(`0123/${ID}.cacnk`, '.cacnk'), ID);
  t.is(parseChunkKey(`0123/${ID}`, ''), ID);
});

test('a name elsewhere is no chunk', (t) => {
  const keys = ['', '/', '.cacnk', ID, `${ID}.cacnk`, `0124/${ID}.cacnk`, `0123/${ID}.cacnk.tmp`];
  const more = [`0123/x/${ID}.cacnk`, `/0123/${ID}.cacnk`, `01234${ID}.cacnk`, `0123/${ID}`];
  for (const key of [...keys, ...more, `0123/${ID.toUpperCase()}.cacnk`, `0123/${ID}..cacnk`]) {
    t.is(parseChunkKey(key, '.cacnk'), undefined, key);
  }
});

test('a suffix does not stand for another', (t) => {
  t.is(parseChunkKey(`0123/${ID}.cacnk`, ''), undefined);
  t.is(parseChunkKey(`0123/${ID}.cacnk`, '.xz'), undefined);
});
