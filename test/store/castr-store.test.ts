import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { concatBytes, equalBytes } from '../../formats/bytes.ts';
import type { ChunkId } from '../../formats/chunk-id.ts';
import { createCodecs } from '../../lib/compress/codecs.node.ts';
import { createNativeXzCodec } from '../../lib/compress/xz-native.node.ts';
import { createPortableZstdCodec } from '../../lib/compress/zstd-portable.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import type { ObjectBackend } from '../../store/backend.ts';
import { openLocalBackend } from '../../store/backends/local.node.ts';
import { createMemoryBackend } from '../../store/backends/memory.ts';
import { openCastrStore } from '../../store/castr-store.ts';
import { detectCodec } from '../../store/codec-magic.ts';
import type { Codec } from '../../store/transforms.ts';
import { chunkStoreSuite } from '../conformance/chunk-store.ts';
import { GOLDEN, GOLDEN_STORES, goldenChunks, noise, text } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { decompressStreaming } from '../helpers/zstd-oracle.ts';

const codecs = createCodecs();
const sha512 = createDigest('sha512-256');
const sha256 = createDigest('sha256');
const options = { digests: [sha512, sha256], codecs };
const hasXz = createNativeXzCodec() !== undefined;

for (const compression of ['zstd', 'gzip', ...(hasXz ? (['xz'] as const) : [])] as const) {
  chunkStoreSuite(`castr in memory, ${compression}`, () =>
    openCastrStore(createMemoryBackend(), { ...options, compression }),
  );
  chunkStoreSuite(`castr in a folder, ${compression}`, (t) =>
    openCastrStore(openLocalBackend(join(temporaryFolder(t), 'x.castr')), {
      ...options,
      compression,
    }),
  );
}

chunkStoreSuite('castr with a codec that takes its time', () =>
  openCastrStore(createMemoryBackend(), {
    ...options,
    codecs: { ...codecs, zstd: createPortableZstdCodec() },
  }),
);

chunkStoreSuite('castr with another suffix', () =>
  openCastrStore(createMemoryBackend(), { ...options, suffix: '.xz' }),
);

const PLAIN = text(300);
const ID = sha512.hash(PLAIN);
const NAME = `${ID.slice(0, 4)}/${ID}`;

async function storeWith(stored: Uint8Array, name = `${NAME}.cacnk`) {
  const backend = createMemoryBackend();
  await backend.put(name, stored);
  return openCastrStore(backend, { ...options, maxChunkSize: 1 << 20 });
}

for (const store of GOLDEN_STORES) {
  test(`reads all chunks of ${store}`, async (t) => {
    const opened = openCastrStore(openLocalBackend(join(GOLDEN, store)), options);
    const chunks = goldenChunks(store);
    t.true(chunks.length > 0);
    for (const { id } of chunks) {
      const plain = await opened.get(id as ChunkId);
      t.true([sha512.hash(plain), sha256.hash(plain)].includes(id as ChunkId));
      t.true(equalBytes(await opened.get(id as ChunkId, { expectedSize: plain.length }), plain));
    }
    const listed: string[] = [];
    for await (const { id } of opened.list()) listed.push(id);
    t.deepEqual(listed.sort(), chunks.map(({ id }) => id).sort());
  });
}

test('writes the stores of casync 2, file by file, with zstd the same contents', async (t) => {
  const names = GOLDEN_STORES.filter((name) => /\/(zstd|xz)-/.test(name));
  for (const name of names) {
    const folder = join(temporaryFolder(t), 'x.castr');
    const compression = name.includes('/xz-') ? 'xz' : 'zstd';
    if (!requirement(t, { conditions: { 'libzstd and liblzma': hasXz } })) return;
    const made = openCastrStore(openLocalBackend(folder), { ...options, compression });
    const original = openCastrStore(openLocalBackend(join(GOLDEN, name)), options);
    for await (const { id } of original.list()) await made.put(id, await original.get(id));
    await made.flush();
    const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    t.deepEqual(files, fs.readdirSync(join(GOLDEN, name), { recursive: true }).sort() as string[]);
    for (const file of files.filter((path) => path.endsWith('.cacnk'))) {
      const [ours, theirs] = [join(folder, file), join(GOLDEN, name, file)];
      const [stored, expected] = [fs.readFileSync(ours), fs.readFileSync(theirs)];
      if (compression === 'xz') t.true(equalBytes(stored, expected), file);
      else
        t.true(
          equalBytes(await decompressStreaming(stored), await decompressStreaming(expected)),
          file,
        );
      t.is(fs.statSync(ours).mode & 0o7777, 0o444 & ~process.umask());
    }
  }
});

test('an uncompressed chunk is read, after the compressed name', async (t) => {
  const store = await storeWith(PLAIN, NAME);
  t.deepEqual(await store.get(ID), PLAIN);
  t.deepEqual(await store.get(ID, { expectedSize: PLAIN.length }), PLAIN);
  const into = new Uint8Array(1000);
  const placed = await store.get(ID, { expectedSize: PLAIN.length, into });
  t.is(placed.buffer, into.buffer);
  t.deepEqual(placed, PLAIN);
  t.is(await store.put(ID, PLAIN), 'present');
  const damaged = await storeWith(text(299), NAME);
  await t.throwsAsync(damaged.get(ID), { code: 'CHUNK_DAMAGED' });
});

test('without an index, both digests are tried', async (t) => {
  const store = openCastrStore(createMemoryBackend(), options);
  await store.put(sha256.hash(PLAIN), PLAIN);
  t.deepEqual(await store.get(sha256.hash(PLAIN)), PLAIN);
});

test('with an index, only its digest counts', async (t) => {
  const backend = createMemoryBackend();
  const store = openCastrStore(backend, { ...options, digests: [sha512] });
  await store.put(sha256.hash(PLAIN), PLAIN);
  await t.throwsAsync(store.get(sha256.hash(PLAIN)), { code: 'CHUNK_DAMAGED' });
});

for (const name of ['zstd', 'gzip', ...(hasXz ? (['xz'] as const) : [])] as const) {
  const compressed = async () => codecs[name].compress(PLAIN);

  test(`${name}: the algorithm is recognised from the content`, async (t) => {
    const stored = await compressed();
    t.is(detectCodec(stored), name);
    t.deepEqual(await (await storeWith(stored)).get(ID), PLAIN);
  });

  test(`${name}: a truncated chunk is damaged, at every byte`, async (t) => {
    const stored = await compressed();
    for (let length = 0; length < stored.length; length++) {
      const store = await storeWith(stored.subarray(0, length));
      await t.throwsAsync(store.get(ID), { code: 'CHUNK_DAMAGED', message: new RegExp(ID) });
    }
  });

  test(`${name}: a flipped bit is seen, or changes nothing`, async (t) => {
    const stored = await compressed();
    let unseen = 0;
    for (let bit = 0; bit < 8 * stored.length; bit++) {
      const flipped = stored.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      try {
        t.deepEqual(await (await storeWith(flipped)).get(ID), PLAIN);
        unseen += 1;
      } catch (error) {
        t.is((error as { code?: string }).code, 'CHUNK_DAMAGED', `bit ${bit}`);
      }
    }
    t.true(unseen < 100, `${unseen} bits without meaning`);
  });

  test(`${name}: bytes behind the stream are damage`, async (t) => {
    const stored = await compressed();
    for (const tail of [Uint8Array.of(0), Uint8Array.of(1), stored]) {
      const store = await storeWith(concatBytes([stored, tail]));
      await t.throwsAsync(store.get(ID), { code: 'CHUNK_DAMAGED' });
    }
  });

  test(`${name}: a bomb is damage`, async (t) => {
    const store = await storeWith(await codecs[name].compress(new Uint8Array(1 << 26)));
    await t.throwsAsync(store.get(ID), { code: 'CHUNK_DAMAGED' });
    await t.throwsAsync(store.get(ID, { expectedSize: 300 }), { code: 'CHUNK_DAMAGED' });
  });
}

test('what no algorithm wrote is damaged', async (t) => {
  for (const stored of [new Uint8Array(0), PLAIN, noise(100), new Uint8Array(10)]) {
    await t.throwsAsync((await storeWith(stored)).get(ID), { code: 'CHUNK_DAMAGED' });
  }
});

test('a stored chunk that is too large is damaged, without being read', async (t) => {
  const store = await storeWith(noise(3 << 20));
  await t.throwsAsync(store.get(ID), { code: 'CHUNK_DAMAGED' });
});

test('an empty chunk is damaged', async (t) => {
  const empty = await codecs.zstd.compress(new Uint8Array(0));
  const id = sha512.hash(new Uint8Array(0));
  const store = await storeWith(empty, `${id.slice(0, 4)}/${id}.cacnk`);
  await t.throwsAsync(store.get(id), { code: 'CHUNK_DAMAGED' });
});

test('a failing storage is neither missing nor damaged', async (t) => {
  const failure = Object.assign(new Error('broken'), { code: 'UNAVAILABLE' });
  const backend: ObjectBackend = {
    ...createMemoryBackend(),
    get: () => Promise.reject(failure),
    has: () => Promise.reject(failure),
  };
  const store = openCastrStore(backend, options);
  await t.throwsAsync(store.get(ID), { is: failure });
  await t.throwsAsync(store.has(ID), { is: failure });
  await t.throwsAsync(store.put(ID, PLAIN), { is: failure });
});

const { zstd } = codecs;
const FAULTY: Readonly<Record<string, Partial<Codec>>> = {
  'flips a bit': {
    async compress(plain) {
      const wrong = plain.slice();
      wrong[7] ^= 1;
      return zstd.compress(wrong);
    },
  },
  'loses the end': { compress: (plain) => zstd.compress(plain.subarray(0, -1)) },
  'adds a byte': { compress: (plain) => zstd.compress(concatBytes([plain, PLAIN])) },
  'writes nothing': { compress: () => new Uint8Array(0) },
  'cuts its output': { compress: async (plain) => (await zstd.compress(plain)).subarray(0, 20) },
};
for (const [what, fault] of Object.entries(FAULTY)) {
  test(`a codec that ${what} cannot poison the store`, async (t) => {
    const backend = createMemoryBackend();
    const faulty = { ...codecs, zstd: { ...zstd, ...fault } };
    const store = openCastrStore(backend, { ...options, codecs: faulty });
    await t.throwsAsync(store.put(ID, PLAIN), { code: 'IO', message: new RegExp(ID) });
    await store.flush();
    for await (const { key } of backend.list('')) t.fail(key);
    t.false(await store.has(ID));
  });
}

test('objects that are no chunks of this store are not listed', async (t) => {
  const backend = createMemoryBackend();
  const names = [
    `${NAME}.cacnk`,
    ...[`${NAME}.xz`, `ffff/${ID}.cacnk`, ID, `${NAME}.cacnk.tmp`, 'abcd/short.cacnk', 'readme'],
    `${ID.slice(0, 4)}/${ID.toUpperCase()}.cacnk`,
  ];
  for (const name of names) await backend.put(name, PLAIN);
  const ids: string[] = [];
  for await (const { id } of openCastrStore(backend, options).list()) ids.push(id);
  t.deepEqual(ids, [ID]);
});

test('a suffix that is no part of a name is refused', (t) => {
  for (const suffix of ['/x', '.a/../b', ' ', '.ä']) {
    const open = () => openCastrStore(createMemoryBackend(), { ...options, suffix });
    t.throws(open, { code: 'USAGE' });
  }
});

test('a symbolic link hides a chunk', async (t) => {
  const folder = temporaryFolder(t);
  const store = openCastrStore(openLocalBackend(folder), options);
  fs.mkdirSync(join(folder, ID.slice(0, 4)));
  fs.symlinkSync('nowhere', join(folder, `${NAME}.cacnk`));
  t.false(await store.has(ID));
  await t.throwsAsync(store.get(ID), { code: 'CHUNK_MISSING', message: /symbolic link/ });
  t.is(await store.put(ID, PLAIN), 'present');
});

test('a store that does not exist has no chunks', async (t) => {
  const store = openCastrStore(openLocalBackend(join(temporaryFolder(t), 'none')), options);
  t.false(await store.has(ID));
  await t.throwsAsync(store.get(ID), { code: 'CHUNK_MISSING' });
  for await (const { id } of store.list()) t.fail(id);
});
