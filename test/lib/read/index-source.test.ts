import test from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { IndexBuilder } from '../../../formats/chunk-index.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { openIndexSource } from '../../../lib/read/index-source.node.ts';
import type { ChunkSource } from '../../../store/chunk-store.ts';
import { ChunkMissing } from '../../../store/errors.ts';
import { noise } from '../../helpers/golden.ts';

/** Chunks of 1 to 200 KiB, so that some batches hold many and some only a few. */
const CHUNKS = Array.from({ length: 120 }, (_, i) =>
  noise(1024 * (1 + ((i * 37) % 200)), 2 * i + 1),
);
const CONTENT = Buffer.concat(CHUNKS);

function idOf(chunk: Uint8Array): ChunkId {
  return Buffer.from(chunk.subarray(0, 32)).toString('hex') as ChunkId;
}

function openSource(lost?: ChunkId) {
  const builder = new IndexBuilder();
  for (const chunk of CHUNKS) builder.add(idOf(chunk), chunk.length);
  const chunkSizes = { min: 1, avg: 65536, max: 262144 };
  const index = builder.finish({ featureFlags: FEATURE.sha512_256, chunkSizes });
  const asked: ChunkId[] = [];
  const source: ChunkSource = {
    label: 'test',
    has: async () => true,
    async get(id) {
      asked.push(id);
      const chunk = CHUNKS.find((one) => idOf(one) === id);
      if (chunk === undefined || id === lost) throw new ChunkMissing({ reason: 'gone' });
      return chunk;
    },
    close: async () => {},
  };
  return { asked, bytes: openIndexSource(index, { source, threadCount: 0, label: 'x.caidx' }) };
}

test('reading in order gives the content and fetches each chunk once', async (t) => {
  const { asked, bytes } = openSource();
  const parts: Buffer[] = [];
  for (let offset = 0; ; ) {
    const part = await bytes.read(offset);
    if (part.length === 0) break;
    parts.push(Buffer.from(part));
    offset += part.length;
  }
  t.true(Buffer.concat(parts).equals(CONTENT));
  t.is(asked.length, CHUNKS.length);
  await bytes.close();
});

test('reading anywhere gives the bytes that are there', async (t) => {
  const { bytes } = openSource();
  for (let i = 0; i < 300; i++) {
    const offset = (i * 7_654_321 + (i % 3) * 100) % CONTENT.length;
    const part = await bytes.read(offset);
    t.true(part.length > 0);
    t.true(CONTENT.subarray(offset, offset + part.length).equals(part), `at ${offset}`);
  }
  t.is((await bytes.read(CONTENT.length)).length, 0);
  await bytes.close();
});

test('skipping forward fetches little of what is skipped', async (t) => {
  const { asked, bytes } = openSource();
  await bytes.read(0);
  await bytes.read(CONTENT.length - 1);
  t.true(asked.length < 30, `${asked.length} chunks`);
  await bytes.close();
});

test('a chunk that is missing fails when its turn comes, and only then', async (t) => {
  const lost = idOf(CHUNKS[60]);
  const { bytes } = openSource(lost);
  const place = CHUNKS.slice(0, 60).reduce((sum, chunk) => sum + chunk.length, 0);
  t.true((await bytes.read(0)).length > 0);
  const error = await t.throwsAsync(bytes.read(place));
  t.like(error, { code: 'CHUNK_MISSING', subject: lost });
  await bytes.close();
});
