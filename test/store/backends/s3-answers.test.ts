import test from 'ava';
import {
  completionBody,
  deleteBody,
  parseDeleted,
  parseField,
  parseListing,
  parseRefusal,
} from '../../../store/backends/s3-answers.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (body: Uint8Array): string => new TextDecoder().decode(body);

function contents(key: string, size = '5', time = '2026-11-21T11:37:18.488Z'): string {
  return `<Contents><Size>${size}</Size><Key>${key}</Key><LastModified>${time}</LastModified>
    <Owner><ID>Key</ID></Owner></Contents>`;
}

function listing(inner: string): Uint8Array {
  return bytes(
    `<?xml version="1.0"?><ListBucketResult xmlns="x"><Name>b</Name>${inner}</ListBucketResult>`,
  );
}

test('a page of a listing has keys, sizes and times, and where the next one begins', (t) => {
  const modified = new Date('2026-11-21T11:37:18.488Z');
  const more =
    '<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b=</NextContinuationToken>';
  t.deepEqual(parseListing(listing(`${more}${contents('x')}${contents('y/z', '0')}`)), {
    objects: [
      { key: 'x', size: 5, modified },
      { key: 'y/z', size: 0, modified },
    ],
    next: 'a&b=',
  });
  const last = '<IsTruncated>false</IsTruncated><NextContinuationToken>t</NextContinuationToken>';
  t.deepEqual(parseListing(listing(last)), { objects: [], next: undefined });
});

test('keys are decoded where the answer says that they are encoded', (t) => {
  const key = 'a%2Bb+c%C3%A4%2Fd';
  const [plain] = parseListing(listing(contents(key))).objects;
  t.is(plain.key, key);
  const encoding = '<EncodingType>url</EncodingType>';
  const [encoded] = parseListing(listing(contents(key) + encoding)).objects;
  t.is(encoded.key, 'a+b cä/d');
  t.throws(() => parseListing(listing(contents('%zz') + encoding)), { code: 'FORMAT' });
});

test('a page that lacks something is refused', (t) => {
  for (const inner of [
    '<Contents><Key>x</Key></Contents>',
    contents('x', '-1'),
    contents('x', ''),
    contents('x', '1e999'),
    contents('x', '5', 'yesterday'),
    contents(''),
    '<IsTruncated>true</IsTruncated>',
  ]) {
    t.throws(() => parseListing(listing(inner)), { code: 'FORMAT' }, inner);
  }
  t.throws(() => parseListing(bytes('<html/>')), { code: 'FORMAT' });
  t.throws(() => parseListing(new Uint8Array([0x3c, 0xff])), { code: 'FORMAT' });
});

test('a refusal is a code and a region, and nothing that could be text of somebody else', (t) => {
  const body =
    '<Error><Code>AccessDenied</Code><Message>secret</Message><Region>eu-west-1</Region></Error>';
  t.deepEqual(parseRefusal(bytes(body)), { code: 'AccessDenied', region: 'eu-west-1' });
  const odd = '<Error><Code>a b\u001b</Code><Region>evil.example/</Region></Error>';
  t.deepEqual(parseRefusal(bytes(odd)), { code: '', region: '' });
  t.deepEqual(parseRefusal(bytes('<html><p>no')), { code: '', region: '' });
  t.deepEqual(parseRefusal(new Uint8Array()), { code: '', region: '' });
});

test('a batch tells each object that could not be deleted', (t) => {
  const failure = (key: string): string =>
    `<Error><Key>${key}</Key><Code>InternalError</Code><Message>m</Message></Error>`;
  const body = `<DeleteResult><Deleted><Key>c</Key></Deleted>${failure('a&lt;')}${failure('b')}</DeleteResult>`;
  t.deepEqual(parseDeleted(bytes(body)), [
    { key: 'a<', code: 'InternalError' },
    { key: 'b', code: 'InternalError' },
  ]);
  t.deepEqual(parseDeleted(bytes('<DeleteResult/>')), []);
});

test('what is sent is escaped', (t) => {
  t.is(
    text(deleteBody(['a&b<c>"d"', "e'"])),
    '<Delete><Quiet>true</Quiet><Object><Key>a&#38;b&#60;c&#62;&#34;d&#34;</Key></Object><Object><Key>e&#39;</Key></Object></Delete>',
  );
  t.is(
    text(completionBody(['"1"', '2'])),
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&#34;1&#34;</ETag></Part><Part><PartNumber>2</PartNumber><ETag>2</ETag></Part></CompleteMultipartUpload>',
  );
});

test('one field of an answer', (t) => {
  const body = bytes('<R><Bucket>b</Bucket><UploadId>2~x&amp;</UploadId></R>');
  t.is(parseField(body, 'UploadId'), '2~x&');
  t.throws(() => parseField(body, 'ETag'), { code: 'FORMAT' });
});
