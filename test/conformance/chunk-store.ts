/** What every ManagedChunkStore must do (store/chunk-store.ts). */
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import type { ManagedChunkStore } from '../../store/chunk-store.ts';
import { noise, text } from '../helpers/golden.ts';

/** Makes an empty store of SHA-512/256 chunks that the test may use alone. */
export type ChunkStoreFactory = (t: ExecutionContext) => ManagedChunkStore;

const digest = createDigest('sha512-256');
const CHUNKS = [Uint8Array.of(0), text(100), noise(70_000), new Uint8Array(300_000)];
const ABSENT = 'ab'.repeat(32) as ChunkId;

export function chunkStoreSuite(name: string, create: ChunkStoreFactory): void {
  test(`${name}: gives back the chunks that were put`, async (t) => {
    const store = create(t);
    for (const plain of CHUNKS) t.is(await store.put(digest.hash(plain), plain), 'stored');
    await store.flush();
    for (const plain of CHUNKS) {
      const id = digest.hash(plain);
      t.true(await store.has(id));
      t.deepEqual(await store.get(id), plain);
      t.deepEqual(await store.get(id, { expectedSize: plain.length }), plain);
    }
    await store.close();
  });

  test(`${name}: reads into memory of the caller that has room for the chunk`, async (t) => {
    const store = create(t);
    for (const plain of CHUNKS) await store.put(digest.hash(plain), plain);
    await store.flush();
    for (const plain of CHUNKS) {
      const id = digest.hash(plain);
      const expectedSize = plain.length;
      const into = new Uint8Array(new SharedArrayBuffer(plain.length + 9), 4, plain.length + 1);
      const found = await store.get(id, { expectedSize, into });
      t.is(found.buffer, into.buffer);
      t.is(found.byteOffset, 4);
      t.deepEqual(found.slice(), plain);
      const small = new Uint8Array(plain.length - 1);
      t.deepEqual(await store.get(id, { expectedSize, into: small }), plain);
      t.deepEqual(await store.get(id, { into }), plain);
    }
  });

  test(`${name}: many callers at once do not get into each other's way`, async (t) => {
    const store = create(t);
    const chunks = Array.from({ length: 60 }, (_, i) => noise(1000 + 700 * i, i + 1));
    await Promise.all(chunks.map((plain) => store.put(digest.hash(plain), plain)));
    await store.flush();
    const found = await Promise.all(
      chunks.map((plain) => {
        const into = new Uint8Array(plain.length);
        return store.get(digest.hash(plain), { expectedSize: plain.length, into });
      }),
    );
    for (const [i, plain] of chunks.entries()) t.deepEqual(found[i], plain);
  });

  test(`${name}: results belong to the caller`, async (t) => {
    const store = create(t);
    for (const plain of CHUNKS) await store.put(digest.hash(plain), plain);
    await store.flush();
    const found = await Promise.all(CHUNKS.map((plain) => store.get(digest.hash(plain))));
    for (const [i, plain] of CHUNKS.entries()) t.deepEqual(found[i], plain);
  });

  test(`${name}: a chunk that is there is not stored again`, async (t) => {
    const store = create(t);
    const id = digest.hash(text(100));
    t.is(await store.put(id, text(100)), 'stored');
    t.is(await store.put(id, text(100)), 'present');
    await store.flush();
    t.is(await store.put(id, text(100)), 'present');
  });

  test(`${name}: a chunk that is not there is missing`, async (t) => {
    const store = create(t);
    t.false(await store.has(ABSENT));
    await t.throwsAsync(store.get(ABSENT), { code: 'CHUNK_MISSING', message: new RegExp(ABSENT) });
  });

  test(`${name}: a chunk of another size than the index says is damaged`, async (t) => {
    const store = create(t);
    const plain = text(1000);
    const id = digest.hash(plain);
    await store.put(id, plain);
    await store.flush();
    for (const expectedSize of [1, 999, 1001, 100_000]) {
      await t.throwsAsync(store.get(id, { expectedSize }), { code: 'CHUNK_DAMAGED' });
    }
  });

  test(`${name}: content that is not what the id says is never given out`, async (t) => {
    const store = create(t);
    await store.put(ABSENT, text(100));
    await store.flush();
    await t.throwsAsync(store.get(ABSENT), { code: 'CHUNK_DAMAGED', message: new RegExp(ABSENT) });
  });

  test(`${name}: lists and removes chunks`, async (t) => {
    const store = create(t);
    const ids = CHUNKS.map((plain) => digest.hash(plain)).sort();
    for (const plain of CHUNKS) await store.put(digest.hash(plain), plain);
    await store.flush();
    const found: string[] = [];
    for await (const { id, size } of store.list()) {
      t.true(size > 0);
      found.push(id);
    }
    t.deepEqual(found.sort(), ids as string[]);
    await store.remove(ids[0]);
    await store.remove(ids[0]);
    t.false(await store.has(ids[0]));
    t.true(await store.has(ids[1]));
  });
}
