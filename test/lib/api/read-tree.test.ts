/** What list, manifest, stat and digest of the library take and give (spec/api.md). */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ChunkId } from '../../../formats/chunk-id.ts';
import { digest } from '../../../lib/api/digest.node.ts';
import { list } from '../../../lib/api/list.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import { manifest } from '../../../lib/api/manifest.node.ts';
import type { ReadTreeOptions } from '../../../lib/api/options.ts';
import { stat } from '../../../lib/api/stat.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const NAMES = ['', 'a', 'sub', 'sub/b', 'sub/deep', 'sub/deep/c'];

interface Forms {
  readonly path: (name: string) => string;
  /** The same tree in all forms. */
  readonly inputs: readonly ReadTreeOptions[];
}

async function prepare(t: ExecutionContext): Promise<Forms> {
  const folder = temporaryFolder(t);
  const path = (name: string): string => join(folder, name);
  mkdirSync(path('tree/sub/deep'), { recursive: true });
  for (const name of ['a', 'sub/b', 'sub/deep/c']) writeFileSync(path(`tree/${name}`), name);
  await make({ input: path('tree'), output: path('x.catar') });
  await make({ input: path('tree'), output: path('x.caidx') });
  const inputs: ReadTreeOptions[] = [
    { input: path('tree') },
    { input: path('x.catar') },
    { input: path('x.caidx') },
    { input: readFileSync(path('x.catar')) },
    { input: readFileSync(path('x.caidx')), kind: 'archive-index', store: path('default.castr') },
  ];
  return { path, inputs };
}

function sha256(bytes: string | Uint8Array): ChunkId {
  return createHash('sha256').update(bytes).digest('hex') as ChunkId;
}

async function pathsOf(entries: AsyncIterable<{ readonly path: Uint8Array }>): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of entries) paths.push(Buffer.from(path).toString());
  return paths;
}

test('all forms of a tree have the same entries', async (t) => {
  const { inputs } = await prepare(t);
  for (const options of inputs) t.deepEqual(await pathsOf(list(options)), NAMES);
});

test('a part has the paths of the whole', async (t) => {
  const { inputs } = await prepare(t);
  for (const options of inputs.slice(1)) {
    t.deepEqual(await pathsOf(list({ ...options, subtree: 'sub/deep' })), NAMES.slice(4));
    t.deepEqual(await pathsOf(manifest({ ...options, subtree: '/sub/' })), NAMES.slice(2));
    await t.throwsAsync(pathsOf(list({ ...options, subtree: 'none' })), {
      code: 'NOT_IN_ARCHIVE',
    });
  }
});

test('a manifest has the digests of contents', async (t) => {
  const { inputs } = await prepare(t);
  for (const options of inputs) {
    for await (const { path, node, contentDigest } of manifest(options)) {
      t.is(contentDigest, node.type === 'file' ? sha256(path) : undefined);
    }
  }
});

test('whoever has seen enough ends the work', async (t) => {
  const { inputs } = await prepare(t);
  for (const options of inputs) {
    for await (const { depth } of list(options)) if (depth === 1) break;
    const entries = list(options)[Symbol.asyncIterator]();
    await entries.next();
    t.deepEqual(await entries.return?.(), { done: true, value: undefined });
    t.deepEqual(await entries.next(), { done: true, value: undefined });
  }
});

test('a stream of entries can be aborted', async (t) => {
  const { path } = await prepare(t);
  for (let i = 0; i < 500; i++) writeFileSync(path(`tree/${i}`), '');
  const controller = new AbortController();
  const options = { input: path('tree'), signal: controller.signal };
  const take = async (): Promise<void> => {
    for await (const { depth } of list(options)) if (depth === 1) controller.abort();
  };
  await t.throwsAsync(take, { code: 'ABORTED' });
});

test('one object is the same in all forms of an archive', async (t) => {
  const { inputs } = await prepare(t);
  const content = sha256('sub/b');
  const offsets = new Set<number>();
  for (const options of inputs.slice(1)) {
    const { node, contentDigest, offset } = await stat({ ...options, subtree: 'sub/b' });
    t.is(node.size, 5);
    t.is(contentDigest, content);
    offsets.add(offset);
  }
  t.is(offsets.size, 1);
  const [folder] = inputs;
  t.is((await stat(folder)).node.type, 'directory');
  await t.throwsAsync(stat({ ...folder, subtree: 'a' }), { code: 'USAGE' });
});

test('all forms of a tree have the same digest', async (t) => {
  const { inputs } = await prepare(t);
  const digests = new Set<string>();
  for (const { kind, ...options } of inputs) {
    digests.add(await digest({ ...options, kind: kind ?? kindOf(options) }));
  }
  t.is(digests.size, 1);
});

/** Bytes are taken for a blob, where nothing else is said. */
function kindOf({ input }: ReadTreeOptions): 'archive' | undefined {
  return typeof input === 'string' ? undefined : 'archive';
}

test('the digest of a part is that of the file', async (t) => {
  const { inputs } = await prepare(t);
  const expected = sha256('sub/deep/c');
  for (const options of inputs.slice(1)) {
    const kind = options.kind ?? kindOf(options);
    t.is(await digest({ ...options, kind, subtree: 'sub/deep/c' }), expected);
  }
});
