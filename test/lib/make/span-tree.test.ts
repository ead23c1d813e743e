// Spans are the archive: with the contents that they refer to in place they are the bytes of packTree.
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { IDENTITY_LENGTH } from '../../../lib/make/file-identity.ts';
import { nameOf, pathOf } from '../../../lib/make/held-folder.node.ts';
import { type PackTreeOptions, spanTree } from '../../../lib/make/pack-tree.node.ts';
import type { PackEntries } from '../../../lib/make/packing.ts';
import { packedArchive, packHere, packNothing, packWhenever } from '../../helpers/packing.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { randomFrom } from '../../property/random.ts';
import { makeRandomTree, randomTreeOptions } from '../../property/trees.ts';

const FEATURE_FLAGS = 0xb0000001ffeffe26n;

const OPTIONS: PackTreeOptions = {
  label: 'tree',
  featureFlags: FEATURE_FLAGS,
  applyExcludeFiles: true,
};

interface Materialised {
  readonly archive: Buffer;
  readonly identities: ReadonlyMap<string, string>;
}

async function materialised(
  root: string,
  pack: PackEntries,
  more: Partial<PackTreeOptions> = {},
): Promise<Materialised> {
  const pieces: Buffer[] = [];
  const identities = new Map<string, string>();
  for await (const span of spanTree(Buffer.from(root), { ...OPTIONS, ...more }, pack)) {
    if (span instanceof Uint8Array) {
      pieces.push(Buffer.from(span));
      continue;
    }
    const path = Buffer.from(pathOf(span.folder, nameOf(span.folder, span.number)));
    const content = readFileSync(Buffer.concat([Buffer.from(`${root}/`), path]));
    if (content.length !== span.length || span.length === 0) throw new Error(`${path}: length`);
    if (span.identity.length !== IDENTITY_LENGTH) throw new Error(`${path}: identity`);
    identities.set(path.toString('latin1'), Buffer.from(span.identity).toString('hex'));
    pieces.push(content);
  }
  return { archive: Buffer.concat(pieces), identities };
}

/** The value, or the message of the failure. */
async function outcome<Value>(promise: Promise<Value>): Promise<Value | string> {
  try {
    return await promise;
  } catch (error) {
    return String(error);
  }
}

const RUNNERS: readonly (readonly [name: string, pack: PackEntries])[] = [
  ['here', packHere],
  ['nowhere', packNothing],
  ['whenever', packWhenever(randomFrom(1))],
];

for (const seed of Array.from({ length: 40 }, (_, i) => i + 2000)) {
  test.serial(`spans of random tree ${seed} give the archive of packTree`, async (t) => {
    const root = join(temporaryFolder(t), 'tree');
    const random = randomFrom(seed);
    makeRandomTree(root, random, { ...randomTreeOptions(random), immutable: false });
    const shift = random.pick([{}, { uidShift: { shift: 0, range: 65536 } }]);
    const expected = await outcome(packedArchive(root, { ...OPTIONS, ...shift }, packHere));
    const identities: ReadonlyMap<string, string>[] = [];
    for (const [name, pack] of RUNNERS) {
      const result = await outcome(materialised(root, pack, shift));
      if (typeof expected === 'string' || typeof result === 'string') {
        t.deepEqual(result, expected, name);
        return;
      }
      t.true(result.archive.equals(expected), name);
      identities.push(result.identities);
    }
    const onEntry = () => {};
    const walked = await materialised(root, packHere, { ...shift, onEntry });
    t.true(Buffer.isBuffer(expected) && walked.archive.equals(expected), 'told entry by entry');
    for (const other of identities) t.deepEqual(other, walked.identities);
  });
}

test.serial('ten thousand files, large ones among them', async (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'many'));
  for (let i = 0; i < 10_000; i++) writeFileSync(join(root, 'many', `${i}`), `${i % 7 || ''}`);
  writeFileSync(join(root, 'large'), Buffer.alloc(3_000_000, 'large'));
  const expected = await packedArchive(root, OPTIONS, packHere);
  for (const [name, pack] of RUNNERS) {
    t.true((await materialised(root, pack)).archive.equals(expected), name);
  }
});

test.serial('files too large for a job are referred to, too', async (t) => {
  const root = temporaryFolder(t);
  const path = join(root, 'huge');
  writeFileSync(path, 'x');
  truncateSync(path, 5 * 2 ** 30);
  const lengths: number[] = [];
  for await (const span of spanTree(Buffer.from(root), OPTIONS, packHere)) {
    if (!(span instanceof Uint8Array)) lengths.push(span.length);
  }
  t.deepEqual(lengths, [5 * 2 ** 30]);
});
