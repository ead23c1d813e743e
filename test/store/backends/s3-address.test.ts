import test from 'ava';
import {
  encodeS3Key,
  encodeS3Word,
  parseS3File,
  parseS3Folder,
  s3Service,
} from '../../../store/backends/s3-address.ts';

test('a folder is a bucket and a prefix, without query, parameters and slashes at the end', (t) => {
  t.deepEqual(parseS3Folder('s3://bucket'), { bucket: 'bucket', key: '' });
  t.deepEqual(parseS3Folder('s3://bucket/'), { bucket: 'bucket', key: '' });
  t.deepEqual(parseS3Folder('s3://my.bucket/a/b c//?x=y;z'), { bucket: 'my.bucket', key: 'a/b c' });
  t.deepEqual(parseS3Folder('s3+http://127.0.0.1:8080/bucket/a'), {
    bucket: 'bucket',
    key: 'a',
    endpoint: 'http://127.0.0.1:8080',
  });
  t.deepEqual(parseS3Folder('s3+https://[::1]:9/bucket'), {
    bucket: 'bucket',
    key: '',
    endpoint: 'https://[::1]:9',
  });
});

test('keys may stand in a locator, escaped', (t) => {
  t.deepEqual(parseS3Folder('s3://AK:a%2Fb%3A@bucket/x'), {
    bucket: 'bucket',
    key: 'x',
    accessKeyId: 'AK',
    secretAccessKey: 'a/b:',
  });
});

test('a file is used as it is', (t) => {
  t.deepEqual(parseS3File('s3://bucket/a%20b/x.caidx'), { bucket: 'bucket', key: 'a%20b/x.caidx' });
});

test('what cannot be a place of S3 is refused, without its secrets', (t) => {
  const folders = [
    's3://',
    's3:///x',
    's3://b',
    's3://a b/x',
    's3+http://host',
    's3+http:///bucket/x',
    's3+http://host:x/bucket',
    's3+ftp://host/bucket',
    's3://bucket/a/../b',
    's3://bucket/./b',
    's3://bucket/a\nb',
    's3://AK:canary%zz@bucket/x',
    's3://canary@bucket/x',
    's3://:canary@bucket/x',
    'http://bucket/x',
    `s3://bucket/${'x'.repeat(1025)}`,
  ];
  for (const url of folders) {
    const error = t.throws(() => parseS3Folder(url), { code: 'USAGE' }, url);
    t.false(error?.message.includes('canary'), error?.message);
  }
  for (const url of [
    's3://bucket',
    's3://bucket/',
    's3://bucket/a/',
    's3://bucket/a?versionId=1',
  ]) {
    t.throws(() => parseS3File(url), { code: 'USAGE' }, url);
  }
});

test("Amazon's buckets are hosts, unless their names have dots; all others are in the path", (t) => {
  const at = (bucket: string, options = {}, region = 'eu-west-1'): string => {
    const service = s3Service(bucket, options);
    return service.origin(region) + service.path;
  };
  t.is(at('bucket'), 'https://bucket.s3.eu-west-1.amazonaws.com');
  t.is(at('bucket', {}, 'cn-north-1'), 'https://bucket.s3.cn-north-1.amazonaws.com.cn');
  t.is(at('my.bucket'), 'https://s3.eu-west-1.amazonaws.com/my.bucket');
  t.is(at('bucket', { pathStyle: true }), 'https://s3.eu-west-1.amazonaws.com/bucket');
  t.is(at('bucket', { endpoint: 'http://host:80' }), 'http://host/bucket');
  t.is(at('bucket', { endpoint: 'https://host:9/a/b/' }), 'https://host:9/a/b/bucket');
  t.is(at('bucket', { endpoint: 'https://host', pathStyle: false }), 'https://bucket.host');
  const dual = 'https://s3.dualstack.eu-west-1.amazonaws.com';
  t.is(at('bucket', { endpoint: dual }), 'https://bucket.s3.dualstack.eu-west-1.amazonaws.com');
});

test('an endpoint is the URL of a service', (t) => {
  for (const endpoint of ['host', 'ftp://host', 'https://user@host', 'https://host/?x', '']) {
    t.throws(() => s3Service('bucket', { endpoint }), { code: 'USAGE' }, endpoint);
  }
});

test('keys are escaped as signatures need it', (t) => {
  t.is(encodeS3Key('abcd/0123-x_y.z~'), 'abcd/0123-x_y.z~');
  t.is(encodeS3Key("a b/ä+'()*!%"), 'a%20b/%C3%A4%2B%27%28%29%2A%21%25');
  t.is(encodeS3Word('a/b=c'), 'a%2Fb%3Dc');
});
