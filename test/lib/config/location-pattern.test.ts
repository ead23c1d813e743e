/** Which places a pattern means (spec/remote.md, "Settings"). */
import test from 'ava';
import { parseLocationPattern } from '../../../lib/config/location-pattern.ts';

const ROWS: Readonly<Record<string, readonly [matching: string[], others: string[]]>> = {
  '**': [
    ['https://a.org/', 's3://bucket', 'host:path', 'user@host:path'],
    ['/path', 'path', 'file:///a'],
  ],
  'https://example.org': [
    ['https://example.org', 'https://example.org/', 'https://example.org/a/b?c=d'],
    ['http://example.org/', 'https://www.example.org/', 'https://example.org:444/'],
  ],
  'https://EXAMPLE.org:443/a': [[], ['https://example.org/a']],
  'https://Example.org/a': [
    ['https://EXAMPLE.org/a', 'https://example.org:443/a', 'https://example.org/b/../a?x#y'],
    ['https://example.org/A', 'https://example.org/a/', 'https://example.org/a/b'],
  ],
  'https://example.org:8443/**': [['https://example.org:8443/a'], ['https://example.org/a']],
  'https://*.example.org/**': [
    ['https://a.example.org/', 'https://a.b.example.org/c', 'https://u:p@a.example.org/'],
    [
      'https://example.org/',
      'https://aexample.org/',
      'https://evil.org/a.example.org/',
      'https://a.example.org@evil.org/',
      'https://evil.org/?a.example.org/',
      'https://a.example.org.evil.org/',
    ],
  ],
  'https://example.org/*/x.castr': [
    ['https://example.org/a/x.castr'],
    ['https://example.org/a/b/x.castr', 'https://example.org/x.castr'],
  ],
  'https://example.org/**/x.castr': [['https://example.org/a/b/x.castr'], []],
  'https://example.org/images/**': [
    ['https://example.org/images', 'https://example.org/images/', 'https://example.org/images/a/b'],
    ['https://example.org/images2', 'https://example.org/', 'https://example.org/images/../a'],
  ],
  '*://example.org/': [
    ['http://example.org', 'https://example.org/', 'ftp://example.org/'],
    ['https://example.org/a', 'example.org:a'],
  ],
  's3://bucket/**': [
    ['s3://bucket', 's3://bucket/a'],
    ['s3://bucket2', 's3+https://bucket/a'],
  ],
  's3+http://host:9000/bucket/**': [['s3+http://host:9000/bucket/a'], ['s3+http://host/bucket/a']],
  'ssh://host/srv/**': [
    ['host:/srv/x', 'user@HOST:/srv/x', 'host:srv/x'],
    ['host:/home', 'other:/srv/x', 'sftp://host/srv/x'],
  ],
  'https://a+b.(c)[d].org/$x^': [[], ['https://aab.c.org/x']],
};

for (const [pattern, [matching, others]] of Object.entries(ROWS)) {
  test(`${pattern} means what it says`, (t) => {
    const parsed = parseLocationPattern(pattern);
    for (const locator of matching) t.true(parsed?.matches(locator), locator);
    for (const locator of others) t.false(parsed?.matches(locator), locator);
  });
}

test('the more of a place a pattern says, the more it weighs', (t) => {
  const patterns = [
    '**',
    '*://*/**',
    'https://*.org',
    'https://*.example.org/**',
    'https://a.example.org/**',
    'https://a.example.org/images/**',
    'https://a.example.org/images/x.castr',
  ];
  const weights = patterns.map((pattern) => parseLocationPattern(pattern)?.weight ?? -1);
  t.deepEqual(
    weights,
    [...weights].sort((a, b) => a - b),
  );
  t.is(new Set(weights).size, weights.length);
});

for (const text of [
  '',
  'example.org',
  '/srv/**',
  'https://',
  'https:///a',
  'https://user@example.org/',
  'https://example.org/?a',
  'https://exam ple.org/',
  'host:path',
]) {
  test(`"${text}" is no pattern`, (t) => t.is(parseLocationPattern(text), undefined));
}
