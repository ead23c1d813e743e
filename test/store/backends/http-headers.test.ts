import test from 'ava';
import {
  basicAuthorization,
  folderUrl,
  parseHttpAddress,
} from '../../../store/backends/http-address.ts';
import {
  contentLength,
  contentRange,
  lastModified,
  retryAfterMs,
  versionOf,
} from '../../../store/backends/http-headers.ts';

test('a part is what the server says, or nothing', (t) => {
  const of = (value: string) => contentRange({ 'content-range': value });
  t.deepEqual(of('bytes 0-9/100'), { first: 0, last: 9, total: 100 });
  t.deepEqual(of('Bytes 5-5/*'), { first: 5, last: 5, total: undefined });
  t.deepEqual(of('bytes */100'), { first: undefined, last: 0, total: 100 });
  for (const wrong of [
    '',
    'bytes',
    'bytes 9-0/100',
    'bytes 0-100/100',
    'bytes */*',
    'items 0-9/100',
    'bytes 0-9',
    'bytes -9/100',
    'bytes 0x1-9/100',
    'bytes 99999999999999999999-99999999999999999999/*',
  ]) {
    t.is(of(wrong), undefined, wrong);
  }
  t.is(contentRange({}), undefined);
});

test('lengths are whole numbers', (t) => {
  t.is(contentLength({ 'content-length': '42' }), 42);
  for (const wrong of ['', '-1', '+1', '1e3', '0x10', '4 2', '12345678901234567890']) {
    t.is(contentLength({ 'content-length': wrong }), undefined, wrong);
  }
  t.is(contentLength({ 'content-length': ['1', '1'] }), undefined);
});

test('a pause is given in seconds or as a moment', (t) => {
  const of = (value: string) => retryAfterMs({ 'retry-after': value }, Date.UTC(2026, 0, 1));
  t.is(of('120'), 120_000);
  t.is(of('0'), 0);
  t.is(of('Thu, 01 Jan 2026 00:00:10 GMT'), 10_000);
  t.is(of('Thu, 01 Jan 2020 00:00:10 GMT'), 0);
  t.is(of('soon'), undefined);
  t.is(retryAfterMs({}, 0), undefined);
});

test('versions are strong tags or times', (t) => {
  const time = 'Thu, 01 Jan 2026 00:00:10 GMT';
  t.is(versionOf({ etag: '"a"', 'last-modified': time }), '"a"');
  t.is(versionOf({ etag: 'W/"a"', 'last-modified': time }), time);
  t.is(versionOf({ etag: 'W/"a"' }), undefined);
  t.is(lastModified({ 'last-modified': time }).getTime(), Date.UTC(2026, 0, 1, 0, 0, 10));
  t.is(lastModified({ 'last-modified': 'long ago' }).getTime(), 0);
});

test('URLs come apart into place, path and login', (t) => {
  t.deepEqual(parseHttpAddress('http://u%40x:p%3A%20w@Host:8080/a%20b/x.caibx?sig=1'), {
    origin: 'http://host:8080',
    host: 'host',
    target: '/a%20b/x.caibx?sig=1',
    login: { user: 'u@x', password: 'p: w' },
  });
  t.deepEqual(parseHttpAddress('https://[::1]:443'), {
    origin: 'https://[::1]',
    host: '[::1]',
    target: '/',
  });
  t.deepEqual(parseHttpAddress('http://u:100%@h/').login, { user: 'u', password: '100%' });
  for (const wrong of ['http://', 'ftp://h/', 'http://h:99999/', 'nothing']) {
    t.throws(() => parseHttpAddress(wrong), { code: 'USAGE' }, wrong);
  }
  const secret = t.throws(() => parseHttpAddress('http://user:s3cret@h:99999/?t=s3cret'));
  t.false(secret.message.includes('s3cret'));
});

test('the URL of a store ends before query and parameters, without slashes', (t) => {
  t.is(folderUrl('http://h/a/s.castr//?x=/y;z'), 'http://h/a/s.castr');
  t.is(folderUrl('http://h/s;v=1?x'), 'http://h/s');
  t.is(folderUrl('http://h/'), 'http://h');
});

test('logins are sent in UTF-8', (t) => {
  t.is(
    basicAuthorization({ user: 'Aladdin', password: 'open sesame' }),
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  );
  t.is(basicAuthorization({ user: 'test', password: '123£' }), 'Basic dGVzdDoxMjPCow==');
});
