import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import test, { type ExecutionContext } from 'ava';
import { concatBytes, hexOf } from '../../formats/bytes.ts';
import { chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { encodePackHeader, encodePackTrailer, PACK_HEADER_LENGTH } from '../../formats/pack.ts';
import { PackIndexBuilder } from '../../formats/pack-builder.ts';
import { PACK_FOLDER, PackFolder } from '../../store/pack-folder.node.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const COUNT = 400;

function idOf(text: string): Uint8Array {
  return sha256(new TextEncoder().encode(text));
}

/** Chunks of one byte each. @returns path of the pack */
function writePack(store: string, name: string): string {
  const header = encodePackHeader('sha256');
  const builder = new PackIndexBuilder(Math.random);
  for (let i = 0; i < COUNT; i++) {
    const offset = PACK_HEADER_LENGTH + i;
    builder.add(idOf(`${name} ${i}`), 0, { offset, storedLength: 1, plainLength: 1 });
  }
  const index = builder.encode();
  const checksum = sha256(concatBytes([header, index]));
  const indexOffset = PACK_HEADER_LENGTH + COUNT;
  const trailer = encodePackTrailer({ indexOffset, count: COUNT, checksum });
  const path = join(store, PACK_FOLDER, `${hexOf(checksum)}.capack`);
  const bytes = Uint8Array.from({ length: COUNT }, (_, i) => i);
  writeFileSync(path, concatBytes([header, bytes, index, trailer]));
  return path;
}

function storeWith(t: ExecutionContext, ...names: readonly string[]) {
  const store = temporaryFolder(t);
  mkdirSync(join(store, PACK_FOLDER), { recursive: true });
  const paths = names.map((name) => writePack(store, name));
  const packs = new PackFolder(store);
  t.teardown(() => packs.close());
  return { packs, paths };
}

test('chunks of several packs are found, however often and in whatever order', async (t) => {
  const names = ['a', 'b', 'c'];
  const { packs } = storeWith(t, ...names);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < COUNT; i++) {
      for (const name of names) {
        const id = chunkIdFromBytes(idOf(`${name} ${i}`));
        const { bytes } = await packs.getStored(id, { maxSize: 10 });
        t.deepEqual([...bytes], [i % 256]);
      }
    }
    t.false(packs.has(chunkIdFromBytes(idOf('another'))));
  }
});

test('a pack whose index cannot be read is passed over, and told of for what nobody has', async (t) => {
  const { packs, paths } = storeWith(t, 'a', 'b');
  const [ofA, ofB] = ['a 0', 'b 0'].map((text) => chunkIdFromBytes(idOf(text)));
  t.true(packs.has(ofA));
  truncateSync(paths[0], PACK_HEADER_LENGTH + COUNT);
  t.true(packs.has(ofB));
  await t.throwsAsync(packs.getStored(ofA, { maxSize: 10 }), {
    code: 'CHUNK_DAMAGED',
    message: /\.capack: read: the file ends at byte/,
  });
});
