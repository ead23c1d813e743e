import test from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openS3Backend, openS3File } from '../../../store/backends/s3.node.ts';
import { classifyLocator } from '../../../store/location.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { openBackendAt, openFileAt } from '../../../store/open-location.node.ts';
import type { RemoteFile } from '../../../store/remote-file.ts';
import { type FaultChoice, sometimes, startFaultyProxy } from '../../helpers/faulty-proxy.ts';
import { noise, text } from '../../helpers/golden.ts';
import {
  askGateway,
  gateway,
  gatewaySettings,
  gatewayUrl,
  hasGateway,
  makeBucket,
} from '../../helpers/radosgw.ts';

const MIB = 1024 * 1024;

async function listed(backend: ObjectBackend, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of backend.list(prefix)) keys.push(key);
  return keys;
}

async function contentOf(file: RemoteFile): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read()) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

/** Everything that an error could show. */
function shown(error: unknown): string {
  const texts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause)
    texts.push(`${at.stack} ${JSON.stringify(at)}`);
  return texts.join('\n');
}

async function uploads(bucket: string): Promise<number> {
  const { text: answer } = await askGateway('GET', `/${bucket}`, { uploads: '' });
  return answer.split('<Upload>').length - 1;
}

test('thousands of objects are listed in order, and removed in batches', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const folder = "odd & <folder> 'é+%";
  const backend = await openS3Backend(
    await gatewayUrl(`${bucket}/${folder}`),
    await gatewaySettings(),
  );
  const keys = Array.from({ length: 2300 }, (_, i) => `${(i % 16).toString(16)}000/${10_000 + i}`);
  const rest = keys.values();
  const writer = async (): Promise<void> => {
    for (const key of rest) await backend.put(key, text(3));
  };
  await Promise.all(Array.from({ length: 100 }, writer));
  await askGateway('PUT', `/${bucket}/beside`, {}, 'not in the folder');
  t.deepEqual(await listed(backend), [...keys].sort());
  const gone = keys.slice(0, 2200);
  await backend.removeMany?.([...gone, '0000/never-there']);
  t.deepEqual(await listed(backend), keys.slice(2200).sort());
  t.is((await askGateway('GET', `/${bucket}/beside`)).status, 200);
  await backend.close();
});

test('of twenty who put the same object if it is absent, one stores it', async (t) => {
  if (!hasGateway(t)) return;
  const url = await gatewayUrl(`${await makeBucket()}/store`);
  const settings = await gatewaySettings();
  const backends = await Promise.all(
    Array.from({ length: 20 }, async () => openBackendAt(urlOf(url), settings)),
  );
  const outcomes = await Promise.all(
    backends.map((backend, i) => backend.put('key', noise(1000, i), { ifAbsent: true })),
  );
  t.is(outcomes.filter((outcome) => outcome === 'stored').length, 1);
  const winner = outcomes.indexOf('stored');
  t.deepEqual(await backends[0].get('key'), noise(1000, winner));
  for (const backend of backends) await backend.close();
});

function urlOf(url: string) {
  const locator = classifyLocator(url);
  if (locator.kind !== 'url') throw new TypeError(url);
  return locator;
}

test('a wrong secret is denied, and nothing that is shown has a secret in it', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const { accessKeyId, secretAccessKey: right } = await gateway();
  const [host] = [new URL((await gateway()).endpoint).host];
  const cases: readonly [string, Partial<LocationSettings>, RegExp][] = [
    ['', { secretAccessKey: 'canary-secret' }, /secret key does not fit/],
    ['', { accessKeyId: 'canary-id' }, /access key is not known/],
    [`${accessKeyId}:canary-secret@`, {}, /secret key does not fit/],
  ];
  for (const [login, given, reason] of cases) {
    const settings = await gatewaySettings(given);
    const backend = await openBackendAt(
      urlOf(`s3+http://${login}${host}/${bucket}/store`),
      settings,
    );
    t.false(backend.label.includes('canary'));
    const actions: (() => unknown)[] = [
      () => backend.get('key'),
      () => backend.stat('key'),
      () => backend.put('key', text(3)),
      () => backend.put('key', text(3), { ifAbsent: true }),
      () => backend.remove('key'),
      () => backend.removeMany?.(['key']),
      () => listed(backend),
    ];
    for (const action of actions) {
      const error = await t.throwsAsync(async () => action(), { code: 'DENIED', message: reason });
      t.notRegex(shown(error), /canary/);
      t.false(shown(error).includes(right));
    }
    await backend.close();
  }
});

test('a bucket that is not there is told', async (t) => {
  if (!hasGateway(t)) return;
  const settings = await gatewaySettings();
  const backend = await openS3Backend(await gatewayUrl('no-such-bucket/store'), settings);
  const expectation = { code: 'STORE_MISSING', message: /There is no bucket no-such-bucket/ };
  await t.throwsAsync(backend.get('key'), expectation);
  await t.throwsAsync(async () => backend.has(['key']), expectation);
  await t.throwsAsync(backend.put('key', text(3)), expectation);
  await t.throwsAsync(listed(backend), expectation);
  await t.throwsAsync(async () => backend.removeMany?.(['key']), expectation);
  await backend.close();
});

test('files of any length are written, replaced and read again', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const settings = await gatewaySettings();
  for (const size of [0, 1, 4 * MIB, 8 * MIB, 8 * MIB + 1, 21 * MIB]) {
    const file = await openS3File(await gatewayUrl(`${bucket}/x.catar`), settings);
    const bytes = noise(size);
    const writer = await file.openWriter();
    for (let i = 0; i < size; i += 3 * MIB) {
      const piece = bytes.slice(i, i + 3 * MIB);
      await writer.write(piece);
      piece.fill(0);
    }
    await writer.commit();
    await writer.discard();
    const info = await file.stat();
    t.is(info.size, size);
    t.truthy(info.version);
    t.true(Buffer.from(await contentOf(file)).equals(bytes), `${size}`);
    const range = { offset: Math.max(0, size - 10), length: 100 };
    t.deepEqual(await file.readRange(range), bytes.slice(range.offset));
    await file.close();
  }
  t.is(await uploads(bucket), 0);
});

test('a file is not there before it is committed, and nothing of it stays when it is given up', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const file = await openS3File(await gatewayUrl(`${bucket}/x.catar`), await gatewaySettings());
  await t.throwsAsync(file.stat(), { code: 'OBJECT_MISSING' });
  await t.throwsAsync(contentOf(file), { code: 'OBJECT_MISSING' });
  for (const size of [100, 20 * MIB]) {
    const writer = await file.openWriter();
    await writer.write(noise(size));
    await t.throwsAsync(file.stat(), { code: 'OBJECT_MISSING' });
    await writer.discard();
    await writer.discard();
  }
  await t.throwsAsync(file.stat(), { code: 'OBJECT_MISSING' });
  t.is(await uploads(bucket), 0);
  await file.close();
});

test('an upload that fails is an error, and leaves nothing', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const proxy = await startFaultyProxy((await gateway()).endpoint, ({ target, method }) =>
    method === 'PUT' && target.includes('partNumber=2')
      ? { kind: 'status', status: 500 }
      : undefined,
  );
  t.teardown(() => proxy.stop());
  const url = `s3+${proxy.url}/${bucket}/x.catar`;
  const file = await openS3File(url, await gatewaySettings({ attemptCount: 2 }));
  const writer = await file.openWriter();
  await t.throwsAsync(
    async () => {
      for (let i = 0; i < 5; i++) await writer.write(noise(8 * MIB));
      await writer.commit();
    },
    { code: 'UNAVAILABLE' },
  );
  await writer.discard();
  await t.throwsAsync(file.stat(), { code: 'OBJECT_MISSING' });
  t.is(await uploads(bucket), 0);
  await file.close();
});

const FAULTS: FaultChoice = sometimes(
  0.15,
  [
    { kind: 'status', status: 500 },
    { kind: 'status', status: 503, retryAfter: '0' },
    { kind: 'status', status: 429 },
    { kind: 'reset', afterBytes: -1 },
    { kind: 'reset', afterBytes: 20 },
    { kind: 'truncate', afterBytes: 20 },
    { kind: 'delay', milliseconds: 30 },
  ],
  7,
);

test('behind a proxy that spoils every seventh request, all objects come and go as they should', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const proxy = await startFaultyProxy((await gateway()).endpoint, FAULTS);
  t.teardown(() => proxy.stop());
  const settings = await gatewaySettings({ attemptCount: 12 });
  const backend = await openBackendAt(urlOf(`s3+${proxy.url}/${bucket}/store`), settings);
  const keys = Array.from({ length: 300 }, (_, i) => `abcd/${1000 + i}`);
  await Promise.all(keys.map((key, i) => backend.put(key, noise(300, i), { ifAbsent: true })));
  t.deepEqual(await listed(backend), keys);
  const found = await Promise.all(keys.map((key) => backend.get(key)));
  for (const [i, bytes] of found.entries()) if (i % 10 === 0) t.deepEqual(bytes, noise(300, i));
  await t.throwsAsync(backend.get('missing'), { code: 'OBJECT_MISSING' });
  await backend.removeMany?.(keys);
  t.deepEqual(await listed(backend), []);
  t.true(proxy.faultCount() > 30);
  await backend.close();
});

test('behind the same proxy, long files are written and read whole', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const proxy = await startFaultyProxy((await gateway()).endpoint, FAULTS);
  t.teardown(() => proxy.stop());
  const settings = await gatewaySettings({ attemptCount: 12 });
  const file = await openFileAt(urlOf(`s3+${proxy.url}/${bucket}/x.catar`), settings);
  const bytes = noise(18 * MIB);
  const writer = await file.openWriter();
  await writer.write(bytes);
  await writer.commit();
  for (let i = 0; i < 3; i++) t.true(Buffer.from(await contentOf(file)).equals(bytes));
  t.is(await uploads(bucket), 0);
  await file.close();
});

test('bytes that are damaged on the way there are refused', async (t) => {
  if (!hasGateway(t)) return;
  const bucket = await makeBucket();
  const backend = await openS3Backend(await gatewayUrl(bucket), await gatewaySettings());
  // What is signed and what is sent are read at different moments.
  const bytes = noise(200_000);
  const put = backend.put('key', bytes);
  bytes[100_000] ^= 1;
  await t.throwsAsync(put, { code: 'UNAVAILABLE', message: /SHA256Mismatch|BadDigest/ });
  t.is(await backend.stat('key'), undefined);
  await backend.close();
});
