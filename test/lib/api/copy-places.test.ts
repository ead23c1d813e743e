/** Where copied indexes go (spec/remote.md, "copy"). */
import test from 'ava';
import { placeBeside } from '../../../lib/api/copy-places.ts';

const ROWS: readonly (readonly [store: string, index: string, place: string])[] = [
  ['b.castr', 'x.caibx', 'x.caibx'],
  ['./b.castr', 'sub/x.caibx', './x.caibx'],
  ['sub/b.castr/', '/srv/x.caibx', 'sub/x.caibx'],
  ['/srv/b.castr', 'x.caibx', '/srv/x.caibx'],
  ['/', 'x.caibx', '/x.caibx'],
  ['file:///srv/b.castr', 'x.caibx', '/srv/x.caibx'],
  ['host:b.castr', 'x.caibx', 'host:x.caibx'],
  ['me@host:/srv/b.castr', 'other:dir/x.caibx', 'me@host:/srv/x.caibx'],
  ['https://h.org/a/b.castr', 'x.caibx', 'https://h.org/a/x.caibx'],
  ['https://u:p@h.org:81/a/b.castr/?sig=1', 'x.caibx', 'https://u:p@h.org:81/a/x.caibx'],
  ['https://h.org/b.castr', 'my image.caibx', 'https://h.org/my%20image.caibx'],
  ['https://h.org', 'x.caibx', 'https://h.org/x.caibx'],
  ['s3://bucket', 'x.caibx', 's3://bucket/x.caibx'],
  [
    's3://bucket/p/b.castr',
    'https://h.org/a/my%20image.caibx?sig=a/b',
    's3://bucket/p/my%20image.caibx',
  ],
  ['b.castr', 'https://h.org/a/my%20image.caibx;v=1', 'my image.caibx'],
];

for (const [store, index, place] of ROWS) {
  test(`${index} beside ${store} is ${place}`, (t) => t.is(placeBeside(store, index), place));
}

for (const index of [
  'https://h.org/a/',
  'https://h.org/',
  'https://h.org/..%2f..%2fetc%2fx.caibx',
  'https://h.org/a/%2e%2e',
  'https://h.org/%zz.caibx',
  'https://h.org/a%00b',
  'folder/',
  '..',
]) {
  test(`${index} has no name to copy it under`, (t) => {
    t.throws(() => placeBeside('b.castr', index), { code: 'USAGE' });
  });
}
