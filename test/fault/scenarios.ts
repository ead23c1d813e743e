/** Work that is killed at many points, and what must be true afterwards. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openOldFile } from '../../lib/extract/target-in-place.node.ts';
import { journalPath } from '../../lib/extract/update-journal.node.ts';
import { runReference, succeed } from '../helpers/run-casync.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';
import { changedBlob, randomBytes } from '../property/blobs.ts';
import { randomFrom } from '../property/random.ts';
import { makeRandomTree } from '../property/trees.ts';
import { extractOverTree } from './tree-scenario.ts';

export interface Scenario {
  readonly name: string;
  /** Fills the empty folder with what the work starts from, and `expected/` with its result. */
  readonly prepare: (folder: string) => Promise<void>;
  /** The command line of the work, in the prepared folder. */
  readonly args: (folder: string) => readonly string[];
  /** Complaints about what a killed run left. */
  readonly afterKill: (folder: string) => Promise<readonly string[]>;
  /** Complaints about the result of a complete run. */
  readonly afterSuccess: (folder: string) => Promise<readonly string[]>;
}

// Several segments and batches, so that threads are at work.
const BLOB_SIZE = 12_000_000;
const random = randomFrom(11);
const newBlob = Buffer.concat([random.bytes(BLOB_SIZE / 2), randomBytes(random, BLOB_SIZE / 2)]);
const oldBlob = changedBlob(random, newBlob);
/** Longer, and with a few changes of its own. */
const olderBlob = Buffer.concat([newBlob, random.bytes(50_000)]);
for (let offset = 0; offset < BLOB_SIZE; offset += 1_000_000) olderBlob[offset] ^= 0xff;
// gzip and SHA-256, so that chunks can be verified here without any code of ours.
const OPTIONS = ['--digest=sha256', '--compression=gzip', '--chunk-size=64K'];

function makeArgs(folder: string, index: string, input: string): readonly string[] {
  const store = `--store=${join(folder, 'store.castr')}`;
  return [...OPTIONS, store, 'make', join(folder, index), join(folder, input)];
}

/** Complaints about chunks that can be seen but are not what their name says. */
function damagedChunks(store: string): readonly string[] {
  if (!existsSync(store)) return [];
  const complaints: string[] = [];
  for (const shard of readdirSync(store)) {
    for (const name of readdirSync(join(store, shard))) {
      if (!name.endsWith('.cacnk')) continue;
      const id = hashOfChunk(join(store, shard, name));
      if (`${id}.cacnk` !== name) complaints.push(`chunk ${name} is damaged`);
    }
  }
  return complaints;
}

function hashOfChunk(path: string): string {
  try {
    return createHash('sha256')
      .update(gunzipSync(readFileSync(path)))
      .digest('hex');
  } catch (error) {
    return String(error);
  }
}

/** Which of the expected files the output equals. */
function versionOf(path: string, versions: Readonly<Record<string, string>>): string {
  if (!existsSync(path)) return 'absent';
  const content = readFileSync(path);
  const found = Object.entries(versions).find(([, file]) => readFileSync(file).equals(content));
  return found?.[0] ?? 'something else';
}

function makeBlob(name: string, overOldIndex: boolean): Scenario {
  const expected = (folder: string): string => join(folder, 'expected/x.caibx');
  const complete = async (folder: string): Promise<readonly string[]> => {
    const output = join(folder, 'check');
    const store = `--store=${join(folder, 'store.castr')}`;
    await succeed(runReference([store, 'extract', join(folder, 'x.caibx'), output]));
    return readFileSync(output).equals(newBlob) ? [] : ['the reference extracts something else'];
  };
  return {
    name,
    prepare: async (folder) => {
      writeFileSync(join(folder, 'blob'), oldBlob);
      if (overOldIndex) {
        await succeed(runReference(makeArgs(folder, 'x.caibx', 'blob')));
        await succeed(runReference(makeArgs(folder, 'expected/old.caibx', 'blob')));
      }
      writeFileSync(join(folder, 'blob'), newBlob);
      const store = `--store=${join(folder, 'expected/store.castr')}`;
      const words = ['make', expected(folder), join(folder, 'blob')];
      await succeed(runReference([...OPTIONS, store, ...words]));
    },
    args: (folder) => makeArgs(folder, 'x.caibx', 'blob'),
    afterKill: async (folder) => {
      const old: Record<string, string> = overOldIndex
        ? { old: join(folder, 'expected/old.caibx') }
        : {};
      const version = versionOf(join(folder, 'x.caibx'), { ...old, new: expected(folder) });
      const damaged = damagedChunks(join(folder, 'store.castr'));
      if (version === 'new') return [...damaged, ...(await complete(folder))];
      return version === (overOldIndex ? 'old' : 'absent')
        ? damaged
        : [...damaged, `index: ${version}`];
    },
    afterSuccess: async (folder) => {
      const version = versionOf(join(folder, 'x.caibx'), { new: expected(folder) });
      const wrong = version === 'new' ? [] : [`index: ${version}`];
      return [...wrong, ...damagedChunks(join(folder, 'store.castr')), ...(await complete(folder))];
    },
  };
}

function makeTree(): Scenario {
  const complete = async (folder: string): Promise<readonly string[]> => {
    const output = join(folder, 'check');
    const store = `--store=${join(folder, 'store.castr')}`;
    await succeed(runReference([store, 'extract', join(folder, 'x.caidx'), output]));
    return compareTrees(join(folder, 'tree'), output);
  };
  return {
    name: 'make of a new tree index',
    prepare: async (folder) => {
      makeRandomTree(join(folder, 'tree'), randomFrom(12), {
        nodeCount: 40,
        maxFileSize: 100_000,
        ids: [0],
        metadataRate: 0,
        excludeRate: 0,
        maxNameLength: 200,
        ancient: false,
        immutable: false,
      });
    },
    args: (folder) => makeArgs(folder, 'x.caidx', 'tree'),
    afterKill: async (folder) => {
      const damaged = damagedChunks(join(folder, 'store.castr'));
      if (!existsSync(join(folder, 'x.caidx'))) return damaged;
      return [...damaged, ...(await complete(folder))];
    },
    afterSuccess: async (folder) => [
      ...damagedChunks(join(folder, 'store.castr')),
      ...(await complete(folder)),
    ],
  };
}

/** Over half of the old file has changed, or less: it is replaced, or updated in place. */
function extractBlob(name: string, older?: Buffer): Scenario {
  const overOldFile = older !== undefined;
  return {
    name,
    prepare: async (folder) => {
      writeFileSync(join(folder, 'expected/new'), newBlob);
      writeFileSync(join(folder, 'expected/old'), older ?? oldBlob);
      await succeed(runReference(makeArgs(folder, 'x.caibx', 'expected/new')));
      if (overOldFile) writeFileSync(join(folder, 'output'), older);
    },
    args: (folder) => {
      const store = `--store=${join(folder, 'store.castr')}`;
      return [store, 'extract', join(folder, 'x.caibx'), join(folder, 'output')];
    },
    afterKill: async (folder) => {
      const versions = { new: join(folder, 'expected/new'), old: join(folder, 'expected/old') };
      const version = versionOf(join(folder, 'output'), versions);
      const allowed = ['new', overOldFile ? 'old' : 'absent'];
      if (allowed.includes(version)) return [];
      // In the middle of an update in place; the journal completes it, without any store.
      const recovered = overOldFile && recoverUpdate(join(folder, 'output'));
      const after = versionOf(join(folder, 'output'), versions);
      return recovered && after === 'new' ? [] : [`output: ${version}, then ${after}`];
    },
    afterSuccess: async (folder) => {
      const version = versionOf(join(folder, 'output'), { new: join(folder, 'expected/new') });
      return version === 'new' ? [] : [`output: ${version}`];
    },
  };
}

/** A kill leaves garbage at worst, never an index that lacks a chunk. */
function collectGarbage(): Scenario {
  const kept = (folder: string): string => join(folder, 'kept.caibx');
  const store = (folder: string): string => join(folder, 'store.castr');
  const complete = async (folder: string): Promise<readonly string[]> => {
    const output = join(folder, 'check');
    await succeed(runReference([`--store=${store(folder)}`, 'extract', kept(folder), output]));
    return readFileSync(output).equals(newBlob) ? [] : ['the reference extracts something else'];
  };
  // An unfinished lease stays for a day.
  const filesOf = (folder: string): string =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => !/^leases(\/.*\.tmp)?$/.test(path))
      .sort()
      .join();
  return {
    name: 'gc',
    prepare: async (folder) => {
      writeFileSync(join(folder, 'new'), newBlob);
      writeFileSync(join(folder, 'old'), oldBlob);
      const expected = `--store=${join(folder, 'expected/store.castr')}`;
      await succeed(runReference([...makeArgs(folder, 'kept.caibx', 'new'), expected]));
      await succeed(runReference(makeArgs(folder, 'kept.caibx', 'new')));
      await succeed(runReference(makeArgs(folder, 'old.caibx', 'old')));
    },
    args: (folder) => [`--store=${store(folder)}`, 'gc', kept(folder)],
    afterKill: async (folder) => [...damagedChunks(store(folder)), ...(await complete(folder))],
    afterSuccess: async (folder) => {
      const isClean = filesOf(store(folder)) === filesOf(join(folder, 'expected/store.castr'));
      const wrong = isClean ? [] : ['not exactly the chunks of the index are left'];
      return [...wrong, ...(await complete(folder))];
    },
  };
}

/** What the next update of a file does before anything else. @returns whether there was a journal */
function recoverUpdate(path: string): boolean {
  if (!existsSync(journalPath(path))) return false;
  const old = openOldFile(path);
  if (old !== undefined) closeSync(old.descriptor);
  return old !== undefined;
}

/** Each with its share of the kill points in a long run. */
export const SCENARIOS: readonly { readonly scenario: Scenario; readonly pointCount: number }[] = [
  { scenario: makeBlob('make of a new blob index', false), pointCount: 45 },
  { scenario: makeBlob('make over an old blob index', true), pointCount: 20 },
  { scenario: makeTree(), pointCount: 25 },
  { scenario: extractBlob('extract to a new file'), pointCount: 25 },
  { scenario: extractBlob('extract over another file', oldBlob), pointCount: 20 },
  { scenario: extractBlob('extract over an old version', olderBlob), pointCount: 40 },
  { scenario: collectGarbage(), pointCount: 25 },
  { scenario: extractOverTree('extract an archive over an old tree', '.catar'), pointCount: 40 },
  { scenario: extractOverTree('extract an index over an old tree', '.caidx'), pointCount: 20 },
];
