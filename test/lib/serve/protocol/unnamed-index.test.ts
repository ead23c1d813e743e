import test from 'ava';
import { isUnnamedIndex } from '../../../../lib/serve/protocol/unnamed-index.ts';

test('the store and its folders of chunks are no names of indexes', (t) => {
  for (const store of ['a/s.castr', 'a/s.castr/', '/s', '.']) {
    const folder = store.replace(/\/$/, '');
    t.true(isUnnamedIndex(folder, store));
    t.true(isUnnamedIndex(`${folder}/0f3a`, store));
    for (const name of ['/0f3', '/0f3ab', '/0F3A', '/x.caibx', '.caibx', '/0f3a/x', '0f3a']) {
      t.false(isUnnamedIndex(`${folder}${name}`, store), name);
    }
  }
  t.false(isUnnamedIndex('other/0f3a', 'a/s.castr'));
  t.false(isUnnamedIndex('a', undefined));
});
