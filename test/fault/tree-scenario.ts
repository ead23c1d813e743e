/** Extraction of a tree over an older version, killed: every file is old or new, and nothing else. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runReference, succeed } from '../helpers/run-casync.ts';
import { compareTrees, snapshotTree } from '../helpers/tree-snapshot.ts';
import { randomBytes } from '../property/blobs.ts';
import { randomFrom } from '../property/random.ts';

const SMALL_COUNT = 60;
const LARGE = 3_000_000;
const EXECUTABLE = 5;

/** A version of the tree: 0 or 1. */
function makeVersion(folder: string, version: number): void {
  const [random, ownRandom] = [randomFrom(21), randomFrom(22 + version)];
  mkdirSync(join(folder, 'small'), { recursive: true });
  mkdirSync(join(folder, `only-${version}`));
  for (let i = 0; i < SMALL_COUNT; i++) {
    const path = join(folder, 'small', `f${i}`);
    const common = randomBytes(random, 100 + 50 * i);
    // A third stays, a third gets other content, a third other attributes.
    writeFileSync(path, i % 3 === 1 ? Buffer.concat([common, Buffer.of(version)]) : common);
    if (i % 3 === 2 && version === 1) changeAttribute(path, i);
    else utimesSync(path, 1, 1_000_000);
  }
  const large = randomBytes(random, LARGE);
  writeFileSync(join(folder, 'large kept'), large);
  large[LARGE / 2] = version;
  writeFileSync(join(folder, 'large changed'), large);
  writeFileSync(join(folder, 'large other'), randomBytes(ownRandom, LARGE));
  for (const name of ['large kept', 'large changed', 'large other']) {
    utimesSync(join(folder, name), 1, 1_000_000);
  }
  symlinkSync(`target ${version}`, join(folder, 'link'));
  writeFileSync(join(folder, `only-${version}`, 'x'), 'x');
}

function changeAttribute(path: string, i: number): void {
  if (i % 2 === 0) chmodSync(path, i % EXECUTABLE === 0 ? 0o755 : 0o600);
  if (i % 4 === 1) chownSync(path, 1, 1);
  utimesSync(path, 1, 2_000_000);
}

/** Complaints about nodes of `output` that are neither those of the old nor of the new version. */
function strangers(output: string, versions: readonly string[]): readonly string[] {
  const [older, newer] = versions.map((path) => snapshotTree(path));
  const complaints: string[] = [];
  for (const [path, node] of snapshotTree(output)) {
    // Names are escaped: `.#`.
    const isUnfinished = path.split('/').some((name) => name.startsWith('.\\043'));
    if (isUnfinished || node.startsWith('type=40000')) continue;
    const [old, fresh] = [older.get(path), newer.get(path)];
    if (node === old || node === fresh) continue;
    if (old === undefined || fresh === undefined) {
      // Removed or made, and what a directory that was new contains may be incomplete.
      if (!path.startsWith('only-')) complaints.push(`${path}: neither old nor new`);
      continue;
    }
    const allowed = new Set([...old.split(' '), ...fresh.split(' ')]);
    const wrong = node.split(' ').filter((word) => !allowed.has(word));
    const hasOneContent = contentOf(old) === contentOf(fresh);
    if (wrong.length > 0 || !hasOneContent) complaints.push(`${path}: a mixture: ${node}`);
  }
  for (const [path, node] of older) {
    const isLasting = newer.has(path) && !node.startsWith('type=40000');
    if (isLasting && !snapshotTree(output).has(path)) complaints.push(`${path}: lost`);
  }
  return complaints;
}

function contentOf(node: string): string | undefined {
  return node.split(' ').find((word) => /^(?:content|target)=/.test(word));
}

/** @param suffix of what is extracted: `.catar` or `.caidx` */
export function extractOverTree(name: string, suffix: string) {
  return {
    name,
    prepare: async (folder: string) => {
      for (const version of [0, 1]) makeVersion(join(folder, `expected/${version}`), version);
      const store = `--store=${join(folder, 'store.castr')}`;
      const extract = async (version: number, output: string) => {
        const archive = join(folder, `${version}${suffix}`);
        await succeed(runReference([store, 'make', archive, join(folder, `expected/${version}`)]));
        await succeed(runReference([store, 'extract', archive, join(folder, output)]));
      };
      await extract(0, 'output');
      await extract(1, 'expected/check');
    },
    args: (folder: string) => {
      const store = `--store=${join(folder, 'store.castr')}`;
      return [store, 'extract', join(folder, `1${suffix}`), join(folder, 'output')];
    },
    afterKill: async (folder: string) => {
      const versions = [0, 1].map((version) => join(folder, `expected/${version}`));
      return strangers(join(folder, 'output'), versions);
    },
    afterSuccess: async (folder: string) =>
      compareTrees(join(folder, 'expected/1'), join(folder, 'output')),
  };
}
