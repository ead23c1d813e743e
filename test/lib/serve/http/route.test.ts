/** What has a route and what has none, whatever lies in the folder. */
import test from 'ava';
import fc from 'fast-check';
import { findRoute } from '../../../../lib/serve/http/route.ts';
import { isObjectKey } from '../../../../store/object-key.ts';

const RULES = { isStore: false, suffix: '.cacnk' };
const ID = `abcd${'0'.repeat(60)}`;
const CHUNK = `/default.castr/abcd/${ID}.cacnk`;

for (const [target, key] of [
  ['/x.caibx', 'x.caibx'],
  ['/x.caidx?version=1&a=/../b', 'x.caidx'],
  ['/a/b/c/x.caibx', 'a/b/c/x.caibx'],
  ['/1/2/3/4/5/6/7/8/x.caibx', '1/2/3/4/5/6/7/8/x.caibx'],
  ['/a..b.caibx', 'a..b.caibx'],
]) {
  test(`an index has a route: ${target}`, (t) => {
    const route = findRoute(target, RULES);
    t.like(route, { kind: 'index', key });
  });
}

test('a chunk has a route below a store, compressed and plain', (t) => {
  const found = { kind: 'chunk', store: 'default.castr', id: ID, isCompressed: true };
  t.like(findRoute(CHUNK, RULES), found);
  t.like(findRoute(CHUNK.replace('.cacnk', ''), RULES), { ...found, isCompressed: false });
  t.like(findRoute(`/a/b${CHUNK}`, RULES), { ...found, store: 'a/b/default.castr' });
});

test('a store that is served alone has its chunks at the root, and nothing else', (t) => {
  const rules = { ...RULES, isStore: true };
  t.like(findRoute(`/abcd/${ID}.cacnk`, rules), { kind: 'chunk', store: '', id: ID });
  t.is(findRoute(CHUNK, rules), undefined);
  t.is(findRoute('/x.caibx', rules), undefined);
  t.is(findRoute(`/abcd/${ID}.cacnk`, RULES), undefined);
});

const REFUSED: readonly (readonly [string, string])[] = [
  ['nothing', ''],
  ['the root', '/'],
  ['a list', '/default.castr'],
  ['a list with a slash', '/default.castr/'],
  ['a folder of chunks', '/default.castr/abcd/'],
  ['a parent', '/../x.caibx'],
  ['a parent within', '/a/../x.caibx'],
  ['the same folder', '/./x.caibx'],
  ['an escaped parent', '/%2e%2e/x.caibx'],
  ['an escaped slash', '/a%2fx.caibx'],
  ['an escaped letter', '/%78.caibx'],
  ['an escaped NUL', '/x.caibx%00'],
  ['a NUL', '/x.caibx\0'],
  ['a NUL before the suffix', '/secret.txt\0.caibx'],
  ['an overlong slash', '/..%c0%af..%c0%afx.caibx'],
  ['overlong bytes', '/..\xc0\xaf..\xc0\xafx.caibx'],
  ['a double slash', '//x.caibx'],
  ['a double slash within', '/a//x.caibx'],
  ['a backslash', '/a\\x.caibx'],
  ['an escaped backslash', '/..%5cx.caibx'],
  ['an absolute URL', 'http://127.0.0.1/x.caibx'],
  ['an authority', '127.0.0.1:80'],
  ['an asterisk', '*'],
  ['no slash', 'x.caibx'],
  ['a hidden index', '/.x.caibx'],
  ['nothing but a suffix', '/.caibx'],
  ['a hidden folder', '/.git/x.caibx'],
  ['a store without a name', `/.castr/abcd/${ID}.cacnk`],
  ['an archive', '/x.catar'],
  ['another file', '/secret.txt'],
  ['an index in capitals', '/x.CAIBX'],
  ['an index with something behind it', '/x.caibx/'],
  ['an index with parameters', '/x.caibx;a=1'],
  ['an index with a fragment', '/x.caibx#a'],
  ['an index in a store', '/default.castr/x.caibx'],
  ['a temporary of an index', '/.#x.caibx0123456789abcdef'],
  ['a temporary of a chunk', `/default.castr/abcd/${ID}.cacnk.0f.tmp`],
  ['a lease', '/default.castr/leases/0123456789abcdef'],
  ['a chunk in another folder', `/default.castr/abce/${ID}.cacnk`],
  ['a chunk without a folder', `/default.castr/${ID}.cacnk`],
  ['a chunk in capitals', CHUNK.replace(/abcd/g, 'ABCD')],
  ['a chunk with a digit less', CHUNK.replace('0.cacnk', '.cacnk')],
  ['a chunk with two suffixes', `${CHUNK}.cacnk`],
  ['a chunk with another suffix', CHUNK.replace('.cacnk', '.xyz')],
  ['a chunk outside of a store', `/folder/abcd/${ID}.cacnk`],
  ['a chunk at the root', `/abcd/${ID}.cacnk`],
  ['a store in a store', `/a.castr/b.castr/abcd/${ID}.cacnk`],
  ['too many folders', '/1/2/3/4/5/6/7/8/9/x.caibx'],
  ['a very long name', `/${'x'.repeat(2000)}.caibx`],
  ['a very long query', `/x.caibx?${'x'.repeat(2000)}`],
  ['a space', '/a b.caibx'],
  ['a tilde', '/~root/x.caibx'],
  ['a line break', '/x.caibx\r\nX: 1'],
];

for (const [name, target] of REFUSED) {
  test(`no route: ${name}`, (t) => {
    t.is(findRoute(target, RULES), undefined);
  });
}

test('what has a route names something below the place, without a dot at its begin', (t) => {
  const piece = fc.constantFrom(
    ...['..', '.', '/', '//', '%2e', '%2f', '\\', '\0', 'a', 'x.caibx', 'default.castr', 'abcd'],
    ...[ID, '.cacnk', '.castr', '?', ';', '#', '.caidx', '~', ' ', ''],
  );
  const targets = fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`);
  fc.assert(
    fc.property(targets, (target) => {
      const route = findRoute(target, RULES);
      if (route === undefined || !('key' in route)) return;
      t.true(isObjectKey(route.key));
      t.false(/(^|\/)\.|\/\/|%/.test(route.key));
      t.regex(route.key, /\.ca[ib][bd]x$|[0-9a-f]{64}(\.cacnk)?$/);
    }),
    { numRuns: 5000 },
  );
  t.pass();
});
