/** What every ObjectBackend must do (store/backend.ts). */
import test, { type ExecutionContext } from 'ava';
import type { ListedObject, ObjectBackend } from '../../store/backend.ts';
import { noise, text } from '../helpers/golden.ts';

/** Makes an empty backend that the test may use alone. */
export type BackendFactory = (t: ExecutionContext) => ObjectBackend | Promise<ObjectBackend>;

const KEY = `abcd/${'ab'.repeat(32)}.cacnk`;

async function listed(backend: ObjectBackend, prefix = ''): Promise<readonly ListedObject[]> {
  const found: ListedObject[] = [];
  for await (const object of backend.list(prefix)) found.push(object);
  return found.sort((a, b) => (a.key < b.key ? -1 : 1));
}

async function keys(backend: ObjectBackend, prefix = ''): Promise<readonly string[]> {
  return (await listed(backend, prefix)).map(({ key }) => key);
}

export function backendSuite(name: string, create: BackendFactory): void {
  readingAndWriting(name, create);
  presence(name, create);
  listing(name, create);
  refusals(name, create);
}

function readingAndWriting(name: string, create: BackendFactory): void {
  test(`${name}: gives back what was put, byte for byte`, async (t) => {
    const backend = await create(t);
    const objects = { [KEY]: text(5000), top: noise(1), 'a/b/c/deep': noise(100_000), e: noise(0) };
    for (const [key, bytes] of Object.entries(objects)) {
      t.is(await backend.put(key, bytes), 'stored');
    }
    await backend.flush();
    for (const [key, bytes] of Object.entries(objects)) t.deepEqual(await backend.get(key), bytes);
    await backend.close();
  });

  test(`${name}: bytes may be reused after put, and results belong to the caller`, async (t) => {
    const backend = await create(t);
    const bytes = text(100);
    await backend.put(KEY, bytes);
    bytes.fill(0);
    await backend.flush();
    (await backend.get(KEY)).fill(0);
    const found = await backend.get(KEY);
    t.deepEqual(found, text(100));
    t.is(found.constructor, Uint8Array);
  });

  test(`${name}: reads into memory of the caller, if the object fits`, async (t) => {
    const backend = await create(t);
    for (const size of [0, 1, 5000]) {
      await backend.put(`key-${size}`, noise(size));
      await backend.flush();
      const into = new Uint8Array(5010).subarray(5, 5 + size).fill(0xee);
      const found = await backend.get(`key-${size}`, { into });
      t.deepEqual(found, noise(size));
      t.is(found.buffer, into.buffer);
      t.is(found.byteOffset, 5);
      if (size === 0) continue;
      const small = new Uint8Array(size - 1);
      const other = await backend.get(`key-${size}`, { into: small });
      t.deepEqual(other, noise(size));
      t.not(other.buffer, small.buffer);
    }
  });

  test(`${name}: gives a range of an object, as far as it goes`, async (t) => {
    const backend = await create(t);
    const bytes = noise(5000);
    await backend.put(KEY, bytes);
    await backend.flush();
    for (const [offset, length] of [
      [0, 1],
      [0, 5000],
      [17, 100],
      [4999, 1],
      [4000, 2000],
      [5000, 10],
      [9000, 10],
    ]) {
      const range = { offset, length };
      const found = await backend.get(KEY, { range, maxSize: 5000 });
      t.deepEqual(found, bytes.slice(offset, offset + length), `${offset}+${length}`);
      const into = new Uint8Array(length);
      t.deepEqual(await backend.get(KEY, { range, into }), found);
    }
    await t.throwsAsync(backend.get(KEY, { range: { offset: 0, length: 11 }, maxSize: 10 }), {
      code: 'LIMIT_EXCEEDED',
    });
    await t.throwsAsync(backend.get('other', { range: { offset: 0, length: 11 } }), {
      code: 'OBJECT_MISSING',
    });
  });

  test(`${name}: put replaces, with the last one winning`, async (t) => {
    const backend = await create(t);
    for (let i = 0; i < 5; i++) await backend.put('key', noise(10, i));
    await backend.flush();
    t.deepEqual(await backend.get('key'), noise(10, 4));
    await backend.put('key', text(3));
    await backend.flush();
    t.deepEqual(await backend.get('key'), text(3));
    t.deepEqual(await keys(backend), ['key']);
  });

  test(`${name}: many objects at once, from many callers`, async (t) => {
    const backend = await create(t);
    const names = Array.from({ length: 2500 }, (_, i) => `${(i % 7).toString(16)}000/object-${i}`);
    await Promise.all(names.map((key, i) => backend.put(key, noise(50, i), { ifAbsent: true })));
    await Promise.all([backend.flush(), backend.flush(), backend.flush()]);
    t.is((await keys(backend)).length, names.length);
    for (let i = 0; i < names.length; i += 97) {
      t.deepEqual(await backend.get(names[i]), noise(50, i));
    }
    await backend.close();
  });
}

function presence(name: string, create: BackendFactory): void {
  test(`${name}: says missing only for what is not there`, async (t) => {
    const backend = await create(t);
    await t.throwsAsync(backend.get(KEY), { code: 'OBJECT_MISSING' });
    t.is(await backend.stat(KEY), undefined);
    await backend.put('abcd/other', text(5));
    await backend.flush();
    await t.throwsAsync(backend.get(KEY), { code: 'OBJECT_MISSING' });
    t.is(await backend.stat(KEY), undefined);
  });

  test(`${name}: has says whether any of the names is there`, async (t) => {
    const backend = await create(t);
    t.false(await backend.has([KEY, 'abcd/other']));
    await backend.put('abcd/other', text(5));
    t.true(await backend.has([KEY, 'abcd/other']));
    await backend.flush();
    t.true(await backend.has([KEY, 'abcd/other']));
    t.true(await backend.has(['abcd/other']));
    t.false(await backend.has([KEY, 'ffff/other']));
    t.false(await backend.has([]));
    await backend.remove('abcd/other');
    t.false(await backend.has([KEY, 'abcd/other']));
  });

  test(`${name}: ifAbsent leaves what is there, or was accepted before`, async (t) => {
    const backend = await create(t);
    t.is(await backend.put(KEY, text(10), { ifAbsent: true }), 'stored');
    t.is(await backend.put(KEY, text(20), { ifAbsent: true }), 'present');
    await backend.flush();
    t.is(await backend.put(KEY, text(30), { ifAbsent: true }), 'present');
    await backend.flush();
    t.deepEqual(await backend.get(KEY), text(10));
  });

  test(`${name}: stat knows size and time`, async (t) => {
    const backend = await create(t);
    await backend.put(KEY, text(123));
    await backend.flush();
    const info = await backend.stat(KEY);
    t.is(info?.size, 123);
    t.true(Math.abs(Date.now() - (info?.modified.getTime() ?? 0)) < 60_000);
  });

  test(`${name}: removed is gone, and removing what is not there succeeds`, async (t) => {
    const backend = await create(t);
    await backend.remove(KEY);
    await backend.put(KEY, text(5));
    await backend.put('abcd/stays', text(6));
    await backend.flush();
    await backend.remove(KEY);
    await backend.remove(KEY);
    t.is(await backend.stat(KEY), undefined);
    t.deepEqual(await keys(backend), ['abcd/stays']);
    t.is(await backend.put(KEY, text(7), { ifAbsent: true }), 'stored');
    await backend.flush();
    t.deepEqual(await backend.get(KEY), text(7));
  });

  test(`${name}: what was removed before it was flushed does not come back`, async (t) => {
    const backend = await create(t);
    await backend.put(KEY, text(5));
    await backend.remove(KEY);
    await backend.flush();
    t.deepEqual(await keys(backend), []);
  });
}

function listing(name: string, create: BackendFactory): void {
  test(`${name}: lists exactly the objects whose key begins with the prefix`, async (t) => {
    const backend = await create(t);
    t.deepEqual(await keys(backend), []);
    const all = ['abcd/1', 'abcd/12', 'abce/1', 'top', 'x/y/z'];
    for (const [i, key] of all.entries()) await backend.put(key, noise(i + 1));
    await backend.flush();
    t.deepEqual(await keys(backend), all);
    for (const prefix of [
      'abcd/',
      'abcd/1',
      'abcd/12',
      'abc',
      'a',
      'x/y',
      'top',
      'topper',
      'no/',
    ]) {
      const expected = all.filter((key) => key.startsWith(prefix));
      t.deepEqual(await keys(backend, prefix), expected, prefix);
    }
    t.deepEqual(
      (await listed(backend)).map(({ size }) => size),
      [1, 2, 3, 4, 5],
    );
  });
}

function refusals(name: string, create: BackendFactory): void {
  test(`${name}: an object above maxSize is not read`, async (t) => {
    const backend = await create(t);
    await backend.put(KEY, text(1000));
    await backend.flush();
    await t.throwsAsync(backend.get(KEY, { maxSize: 999 }), { code: 'LIMIT_EXCEEDED' });
    t.is((await backend.get(KEY, { maxSize: 1000 })).length, 1000);
  });

  test(`${name}: refuses names that are not keys`, async (t) => {
    const backend = await create(t);
    for (const key of [
      '',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      '.hidden',
      'a/.b',
      'a\\b',
      'ä',
    ]) {
      await t.throwsAsync(backend.put(key, text(1)), { instanceOf: TypeError }, key);
      await t.throwsAsync(backend.get(key), { instanceOf: TypeError }, key);
      await t.throwsAsync(backend.remove(key), { instanceOf: TypeError }, key);
      await t.throwsAsync(async () => backend.has([key]), { instanceOf: TypeError }, key);
    }
  });

  test(`${name}: does nothing when the signal has fired`, async (t) => {
    const backend = await create(t);
    const reason = new Error('stopped');
    const signal = AbortSignal.abort(reason);
    await t.throwsAsync(backend.put(KEY, text(1), { signal }), { is: reason });
    await t.throwsAsync(backend.get(KEY, { signal }), { is: reason });
    await t.throwsAsync(backend.stat(KEY, { signal }), { is: reason });
    await t.throwsAsync(async () => backend.has([KEY], { signal }), { is: reason });
    await t.throwsAsync(backend.remove(KEY, { signal }), { is: reason });
    t.is(await backend.stat(KEY), undefined);
  });
}
