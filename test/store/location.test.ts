import test from 'ava';
import { classifyLocator, defaultStore, redacted, suffixKind } from '../../store/location.ts';

const PATHS = [
  ...['/a', './a:b', '.', '..', 'a', 'a/b', 'x/y:z', 'host:', ':path', 'a b:c', '', '-', 'ä:b'],
  ...['../h:p', '/http://h/x', './http://h', '@h:p', 'u@:p', 'u@v@h:p'],
];

test('paths are paths', (t) => {
  for (const word of PATHS) t.deepEqual(classifyLocator(word), { kind: 'path', path: word }, word);
});

test('URLs are told by scheme and host', (t) => {
  const urls = [
    ...['http://h', 'http://h/', 'https://h/p/x.caidx?q=1', 'sftp://u@h:22/p', 'ftp://h;type=i'],
    ...['http://[::1]:80/x', 'a+b.c-d9://h?x', 'file://host/x'],
  ];
  for (const url of urls) {
    const scheme = url.slice(0, url.indexOf(':'));
    t.deepEqual(classifyLocator(url), { kind: 'url', url, scheme }, url);
  }
});

test('ssh locators are told by host and colon', (t) => {
  const locators = {
    'host:path': ['host', 'path'],
    'a:b.caidx': ['a', 'b.caidx'],
    'u.s-e_r@h.o-s_t:/a:b': ['u.s-e_r@h.o-s_t', '/a:b'],
    'HTTP://h/x': ['HTTP', '//h/x'],
    'http://': ['http', '//'],
    'http://h h/x': ['http', '//h h/x'],
  };
  for (const [word, [host, path]] of Object.entries(locators)) {
    t.deepEqual(classifyLocator(word), { kind: 'ssh', host, path }, word);
  }
});

test('file URLs of this machine are paths', (t) => {
  const urls = {
    'file:///a/b': '/a/b',
    'file://localhost/a': '/a',
    'file:///a%20b%2fc%C3%A4': '/a b/cä',
    'file:///a%3fb': '/a?b',
  };
  for (const [word, path] of Object.entries(urls)) {
    t.deepEqual(classifyLocator(word), { kind: 'path', path }, word);
  }
});

test('file URLs with broken escapes lead nowhere', (t) => {
  for (const word of ['file://localhost/a%00b', 'file://localhost/a%zz', 'file://localhost/%ff']) {
    t.deepEqual(classifyLocator(word), { kind: 'url', url: word, scheme: 'file' }, word);
  }
});

test('the suffix says the kind, if something stands before it', (t) => {
  const kinds = {
    ...{ 'x.catar': 'archive', 'a/b.caidx': 'archive-index', 'h:x.caibx': 'blob-index' },
    ...{ '.catar': undefined, 'x.CATAR': undefined, 'x.catar.gz': undefined, x: undefined },
    ...{ 'x.caidx?q': undefined, 'dir.catar/': undefined, '/.catar': undefined },
    ...{ './.caidx': undefined, 'h:.caidx': 'archive-index', 'h:d/.caidx': undefined },
    'http://h/.caidx': 'archive-index',
    'http://h/x.caidx?q=1': 'archive-index',
    'http://h/x.caidx;a=b': 'archive-index',
    'http://h/x.caidx;a?b': undefined,
    'http://h/x?y.caidx': undefined,
    'file:///x.caibx': 'blob-index',
  };
  for (const [word, kind] of Object.entries(kinds)) t.is(suffixKind(word), kind as never, word);
});

test('the default store lies beside the index', (t) => {
  const stores = {
    'x.caidx': 'default.castr',
    'a/b/x.caidx': 'a/b/default.castr',
    '/x.caidx': '/default.castr',
    'host:x.caidx': 'host:default.castr',
    'u@host:/a/x.caidx': 'u@host:/a/default.castr',
    'http://h/p/x.caidx?q=1': 'http://h/p/default.castr',
    'http://h/p/x.caidx?q=/a/b': 'http://h/p/default.castr',
    'http://h/x.caidx;type=i': 'http://h/default.castr',
    'http://h': 'http://h/default.castr',
    'file:///a/x.caidx': '/a/default.castr',
    '-': 'default.castr',
  };
  for (const [word, store] of Object.entries(stores)) t.is(defaultStore(word), store, word);
});

test('what is shown of a locator has no credentials', (t) => {
  const shown = {
    'http://u:p@h:80/x.caidx?token=1?b': 'http://h:80/x.caidx',
    'https://u:p%40s$@h/a/': 'https://h/a/',
    'http://h?key=1': 'http://h',
    'ftp://u@h/x;type=i': 'ftp://h/x',
    's3+https://k:s@h/b/p': 's3+https://h/b/p',
    'u@host:/x': 'u@host:/x',
    '/a?b': '/a?b',
  };
  for (const [word, text] of Object.entries(shown)) t.is(redacted(word), text, word);
});
