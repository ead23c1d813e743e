import { createHash } from 'node:crypto';
import test from 'ava';
import type { CatarEvent, CatarNode } from '../../../formats/catar-events.ts';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { IndexBuilder } from '../../../formats/chunk-index.ts';
import { readArchive } from '../../../lib/read/archive.ts';
import { openIndexSource } from '../../../lib/read/index-source.node.ts';
import { locateNode, readSubtree } from '../../../lib/read/locate.ts';
import type { ChunkSource } from '../../../store/chunk-store.ts';
import { serializeEvents } from '../../helpers/catar.ts';
import { noise } from '../../helpers/golden.ts';

const CHUNK_LENGTH = 65536;
const FLAGS = 0n;
const LEAVE: CatarEvent = { kind: 'leave' };

function nodeOf(type: 'directory' | 'file', size = 0): CatarNode {
  const mode = type === 'directory' ? 0o040777 : 0o100666;
  return {
    type,
    featureFlags: FLAGS,
    mode,
    entryFlags: 0,
    uid: 0,
    gid: 0,
    mtime: 0n,
    xattrs: [],
    size,
  };
}

function folder(name: string, children: readonly CatarEvent[]): CatarEvent[] {
  return [
    { kind: 'enter', name: Buffer.from(name), node: nodeOf('directory') },
    ...children,
    LEAVE,
  ];
}

function file(name: string, content: Uint8Array): CatarEvent[] {
  const enter: CatarEvent = {
    kind: 'enter',
    name: Buffer.from(name),
    node: nodeOf('file', content.length),
  };
  return [enter, ...(content.length > 0 ? [{ kind: 'data', bytes: content } as const] : []), LEAVE];
}

/** The archive behind an index, with the numbers of the chunks that were fetched. */
function openArchive(events: readonly CatarEvent[]) {
  const archive = serializeEvents(events);
  const chunks = new Map<ChunkId, { number: number; bytes: Uint8Array }>();
  const builder = new IndexBuilder();
  for (let offset = 0; offset < archive.length; offset += CHUNK_LENGTH) {
    const bytes = archive.subarray(offset, offset + CHUNK_LENGTH);
    const id = createHash('sha256').update(bytes).digest('hex') as ChunkId;
    chunks.set(id, { number: chunks.size, bytes });
    builder.add(id, bytes.length);
  }
  const chunkSizes = { min: CHUNK_LENGTH, avg: CHUNK_LENGTH, max: CHUNK_LENGTH };
  const index = builder.finish({ featureFlags: FLAGS, chunkSizes });
  const asked = new Set<number>();
  let fetchCount = 0;
  const chunkSource: ChunkSource = {
    label: 'test',
    has: async () => true,
    async get(id) {
      const chunk = chunks.get(id);
      asked.add(chunk?.number ?? -1);
      fetchCount += 1;
      return chunk?.bytes ?? new Uint8Array(0);
    },
    close: async () => {},
  };
  const source = openIndexSource(index, { source: chunkSource, threadCount: 0, label: 'x.caidx' });
  return { source, asked, fetches: () => fetchCount, chunkCount: index.count };
}

const number = (i: number): string => String(i).padStart(4, '0');

/** A thousand folders with a few files each; about 30 MB. */
const WIDE = folder(
  '',
  Array.from({ length: 1000 }, (_, i) =>
    folder(
      `folder-${number(i)}`,
      [1, 2, 3].flatMap((k) => file(`file-${k}`, noise(10_000, 3 * i + k))),
    ),
  ).flat(),
);

test('one small file of a thousand folders costs a few chunks', async (t) => {
  for (const [path, most] of [
    ['folder-0500/file-2', 8],
    ['folder-0000/file-1', 8],
    ['folder-0999/file-3', 8],
    ['folder-0123', 8],
  ] as const) {
    const { source, asked, chunkCount } = openArchive(WIDE);
    let bytes = 0;
    await readSubtree(source, Buffer.from(path), (event) => {
      if (event.kind === 'data') bytes += event.bytes.length;
      return undefined;
    });
    t.true(bytes >= 10_000);
    t.true(chunkCount > 450);
    t.true(asked.size <= most, `${path}: ${asked.size} of ${chunkCount} chunks`);
    await source.close();
  }
});

test('where a node lies is known after a few chunks', async (t) => {
  const { source, asked } = openArchive(WIDE);
  const { node } = await locateNode(source, Buffer.from('folder-0777/file-1'));
  t.is(node.size, 10_000);
  t.true(asked.size <= 8, `${asked.size} chunks`);
  await source.close();
});

test('without contents, few chunks are fetched besides those that hold metadata', async (t) => {
  const files = Array.from({ length: 24 }, (_, i) =>
    file(`large-${number(i)}`, noise(40 * CHUNK_LENGTH + 1000 * i, i + 1)),
  );
  const { source, asked, chunkCount } = openArchive(folder('', files.flat()));
  let count = 0;
  const handle = (event: CatarEvent): undefined => {
    if (event.kind === 'enter') count += 1;
  };
  await readArchive(source, handle, { skipPayloads: true });
  t.is(count, files.length + 1);
  t.true(asked.size <= 2 * (files.length + 2), `${asked.size} of ${chunkCount} chunks`);
  await source.close();
});

test('listing one level goes over the archive once', async (t) => {
  const { source, fetches, chunkCount } = openArchive(WIDE);
  let count = 0;
  const handle = (event: CatarEvent): undefined => {
    if (event.kind === 'enter') count += 1;
  };
  await readSubtree(source, Buffer.from(''), handle, { skipPayloads: true, childrenOnly: true });
  t.is(count, 1001);
  t.true(fetches() < 2 * chunkCount, `${fetches()} fetches for ${chunkCount} chunks`);
  await source.close();
});

test('one level of a part costs a few chunks', async (t) => {
  const { source, fetches } = openArchive(WIDE);
  let count = 0;
  const handle = (event: CatarEvent): undefined => {
    if (event.kind === 'enter') count += 1;
  };
  const options = { skipPayloads: true, childrenOnly: true };
  await readSubtree(source, Buffer.from('folder-0321'), handle, options);
  t.is(count, 4);
  t.true(fetches() < 12, `${fetches()} fetches`);
  await source.close();
});
