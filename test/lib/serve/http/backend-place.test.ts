/** Places that are no folder of this machine, through the handler, without sockets. */
import test from 'ava';
import { chunkKey } from '../../../../formats/chunk-path.ts';
import { createDigest } from '../../../../lib/digest/digest.node.ts';
import type { Answer } from '../../../../lib/serve/http/answer.ts';
import { createBackendPlace } from '../../../../lib/serve/http/backend-place.ts';
import { createHandler } from '../../../../lib/serve/http/handler.ts';
import { PIECE_BYTES } from '../../../../lib/serve/http/served-place.ts';
import type { ObjectBackend } from '../../../../store/backend.ts';
import { createMemoryBackend } from '../../../../store/backends/memory.ts';
import { StorageError, type StorageErrorCode } from '../../../../store/errors.ts';
import { noise } from '../../../helpers/golden.ts';

const ID = createDigest('sha256').hash(noise(100));
const CHUNK = `default.castr/${chunkKey(ID, '.cacnk')}`;

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function ask(backend: ObjectBackend, path: string, asked: Asked = {}, failures: unknown[] = []) {
  const handle = createHandler({
    place: createBackendPlace(backend, async () => backend),
    rules: { isStore: false, suffix: '.cacnk' },
    metrics: () => '',
    onFailure: (error) => failures.push(error),
  });
  return handle({
    method: asked.method ?? 'GET',
    target: `/${path}`,
    header: (name) => asked.headers?.[name],
    signal: () => new AbortController().signal,
    readBody: async () => new Uint8Array(0),
  });
}

function headerOf({ headers }: Answer, name: string): string | undefined {
  const place = headers.indexOf(name);
  return place < 0 ? undefined : headers[place + 1];
}

async function bytesOf({ body }: Answer): Promise<Uint8Array | undefined> {
  if (body === undefined || !('file' in body)) return body;
  const { file, offset, length } = body;
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; done += PIECE_BYTES) {
    const size = Math.min(PIECE_BYTES, length - done);
    bytes.set(await file.read({ offset: offset + done, length: size }), done);
  }
  file.close();
  return bytes;
}

for (const size of [0, 100, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 5]) {
  test(`chunks and indexes of ${size} bytes, and parts of them`, async (t) => {
    const backend = createMemoryBackend();
    const content = noise(size);
    for (const key of [CHUNK, 'x.caibx']) {
      await backend.put(key, content);
      const whole = await ask(backend, key);
      t.is(whole.status, 200);
      t.is(headerOf(whole, 'Content-Length'), String(size));
      t.deepEqual(await bytesOf(whole), content);
      const head = await ask(backend, key, { method: 'HEAD' });
      t.is(headerOf(head, 'Content-Length'), String(size));
      t.is(headerOf(head, 'ETag'), headerOf(whole, 'ETag'));
      if (size < 100) continue;
      const part = await ask(backend, key, { headers: { range: 'bytes=10-' } });
      t.is(part.status, 206);
      t.deepEqual(await bytesOf(part), content.subarray(10));
    }
  });
}

test('what the storage says is missing is not found', async (t) => {
  for (const key of [CHUNK, 'x.caibx']) {
    for (const method of ['GET', 'HEAD']) {
      t.is((await ask(createMemoryBackend(), key, { method })).status, 404);
    }
  }
});

test('two versions of an index are never put together', async (t) => {
  const backend = createMemoryBackend();
  await backend.put('x.caibx', noise(2 * PIECE_BYTES));
  const answer = await ask(backend, 'x.caibx');
  const { body } = answer;
  t.true(body !== undefined && 'file' in body);
  if (body === undefined || !('file' in body)) return;
  await body.file.read({ offset: 0, length: PIECE_BYTES });
  await backend.put('x.caibx', noise(2 * PIECE_BYTES + 1, 2));
  const rest = { offset: PIECE_BYTES, length: PIECE_BYTES };
  await t.throwsAsync(async () => body.file.read(rest), { code: 'UNAVAILABLE' });
});

const FAILURES: readonly (readonly [StorageErrorCode, 'later' | 'never', number])[] = [
  ['UNAVAILABLE', 'later', 503],
  ['DENIED', 'never', 500],
  ['IO', 'never', 500],
];

for (const [code, retry, status] of FAILURES) {
  test(`a failure ${code} of the storage is ${status}, never missing, and says no more`, async (t) => {
    const fail = async (): Promise<never> => {
      throw new StorageError(code, { subject: 's3://secret', reason: 'secret', retry });
    };
    const backend: ObjectBackend = { ...createMemoryBackend(), get: fail, stat: fail };
    for (const key of [CHUNK, 'x.caibx']) {
      const failures: unknown[] = [];
      const answer = await ask(backend, key, {}, failures);
      t.is(answer.status, status);
      t.false(Buffer.from((await bytesOf(answer)) ?? []).includes('secret'));
      t.is(failures.length, 1);
      t.is(headerOf(answer, 'Cache-Control'), 'no-store');
    }
  });
}
