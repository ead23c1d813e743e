import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { equalBytes } from '../../formats/bytes.ts';
import { createDigest } from '../../lib/digest/digest.node.ts';
import {
  type LocalStoreDescription,
  openLocalSource,
  openLocalStore,
} from '../../lib/local-store.node.ts';
import { chunkStoreSuite } from '../conformance/chunk-store.ts';
import { noise, text } from '../helpers/golden.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const digest = createDigest('sha512-256');

function describe(folder: string, change: Partial<LocalStoreDescription> = {}) {
  const description: LocalStoreDescription = {
    folder,
    digests: ['sha512-256'],
    compression: 'zstd',
    suffix: '.cacnk',
    sync: 'group',
    ...change,
  };
  return structuredClone(description);
}

for (const sync of ['group', 'none'] as const) {
  chunkStoreSuite(`store from a description, sync ${sync}`, (t) =>
    openLocalStore(describe(join(temporaryFolder(t), 'x.castr'), { sync })),
  );
}

test('with sync none, chunks are visible at once, and never partly', async (t) => {
  const folder = join(temporaryFolder(t), 'x.castr');
  const store = openLocalStore(describe(folder, { sync: 'none' }));
  const id = digest.hash(text(1000));
  await store.put(id, text(1000));
  const files = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  t.deepEqual(files, [id.slice(0, 4), `${id.slice(0, 4)}/${id}.cacnk`]);
});

test('one store opened several times is one store', async (t) => {
  const description = describe(join(temporaryFolder(t), 'x.castr'));
  const stores = [openLocalStore(description), openLocalStore(description)];
  const chunks = Array.from({ length: 200 }, (_, i) => noise(500 + i, i + 1));
  const puts = chunks.flatMap((chunk) =>
    stores.map((store) => store.put(digest.hash(chunk), chunk)),
  );
  t.is((await Promise.all(puts)).length, 400);
  await Promise.all(stores.map((store) => store.flush()));
  await Promise.all(stores.map((store) => store.close()));
  const source = openLocalSource([description]);
  for (const chunk of chunks) t.true(equalBytes(await source.get(digest.hash(chunk)), chunk));
  const files = fs.readdirSync(description.folder, { recursive: true, encoding: 'utf8' });
  t.false(files.some((file) => file.endsWith('.tmp')));
});

test('a source of several stores asks them in order', async (t) => {
  const folder = temporaryFolder(t);
  const descriptions = ['a', 'b'].map((name) => describe(join(folder, name)));
  const second = openLocalStore(descriptions[1]);
  const id = digest.hash(text(100));
  await second.put(id, text(100));
  await second.flush();
  const source = openLocalSource(descriptions);
  t.true(await source.has(id));
  t.deepEqual(await source.get(id, { expectedSize: 100, into: new Uint8Array(100) }), text(100));
});
