// The trees behind the golden archives, walked under every option set of the original.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { ALL_FEATURES, parseFeature, selectFlags } from '../../../formats/feature-flags.ts';
import type { WalkOptions } from '../../../lib/make/folder-reader.node.ts';
import type { UidShift } from '../../../lib/make/owner-rules.ts';
import { walkTree } from '../../../lib/make/walk.node.ts';
import { serializeTree } from '../../helpers/catar.ts';
import { GOLDEN, golden } from '../../helpers/golden.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { packedArchive, packHere } from '../../helpers/packing.ts';
import { missingRequirements, requirement } from '../../helpers/requirements.ts';
import { makeTemporaryFolder, removeTree } from '../../helpers/temporary-folder.ts';

const NEEDS = {
  root: true,
  commands: ['perl', 'setfacl', 'setfattr', 'setcap', 'mknod', 'mkfifo'],
} as const;
const folder = makeTemporaryFolder();
const tree = join(folder, 'tree');

test.before(() => {
  if (missingRequirements(NEEDS).length > 0) return;
  execFileSync('sh', [join(GOLDEN, 'make-tree.sh'), tree], { stdio: 'pipe' });
});
test.after.always(() => removeTree(folder));

/** Feature flags and shift for the options of one line of the table. */
function parseOptions(text: string): Pick<WalkOptions, 'featureFlags' | 'uidShift'> {
  const words = text.split(' ').map((word) => word.split('=') as [string, string]);
  const all = (name: string) => words.filter(([key]) => key === name).map(([, value]) => value);
  const bits = (name: string) =>
    all(name).reduce((sum, value) => sum | (parseFeature(value) ?? 0n), 0n);
  const featureFlags = selectFlags({
    with: bits('--with'),
    without: bits('--without'),
    defaultWith: ALL_FEATURES,
    excludeNodump: !all('--exclude-nodump').includes('no'),
    excludeSubmounts: all('--exclude-submounts').includes('yes'),
    excludeFile: !all('--exclude-file').includes('no'),
    digest: all('--digest').includes('sha256') ? 'sha256' : 'sha512-256',
  });
  const uidShift = parseShift(all('--uid-shift')[0], all('--uid-range')[0]);
  return uidShift === undefined ? { featureFlags } : { featureFlags, uidShift };
}

function parseShift(shift: string | undefined, range: string | undefined): UidShift | undefined {
  if ((shift === undefined && range === undefined) || shift === 'no') return undefined;
  return { shift: Number(shift?.replace('yes', '0') ?? 0), range: Number(range ?? 65536) };
}

function walkOptions(options: string): WalkOptions {
  return {
    ...parseOptions(options),
    label: 'tree',
    contents: 'read',
    // The original applies the files with --exclude-file=no as well.
    applyExcludeFiles: true,
    onIncomplete: (label, reason) => {
      throw new Error(`${label}: ${reason}`);
    },
  };
}

function archive(root: string, options: string): Generator<Uint8Array> {
  const parsed = walkOptions(options);
  return serializeTree(walkTree(Buffer.from(root), parsed), parsed.featureFlags);
}

function collect(pieces: Iterable<Uint8Array>): Buffer {
  const copies: Buffer[] = [];
  for (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

test('the default archive is the golden one', (t) => {
  if (!requirement(t, NEEDS)) return;
  const made = collect(archive(tree, ''));
  t.true(made.equals(golden('tree/default.catar')));
});

const ROWS = readFileSync(join(GOLDEN, 'tree/variants.tsv'), 'utf8').trimEnd().split('\n');

for (const row of ROWS) {
  const [options, outcome, size, , sha256] = row.split('\t');
  test(`${outcome}: ${options}`, async (t) => {
    if (!requirement(t, NEEDS)) return;
    const packing = packedArchive(tree, walkOptions(options), packHere);
    if (outcome === 'fails') {
      const error = t.throws(() => [...archive(tree, options)]);
      t.regex(error.message, /^tree.*: record owner: /);
      await t.throwsAsync(packing, { message: error.message });
      return;
    }
    const hash = createHash('sha256');
    let length = 0;
    for (const bytes of archive(tree, options)) {
      hash.update(bytes);
      length += bytes.length;
    }
    t.is(length, Number(size));
    t.is(hash.digest('hex'), sha256);
    const packed = await packing;
    t.is(createHash('sha256').update(packed).digest('hex'), sha256);
  });
}

const CHATTR_ROWS = [
  ['default', ''],
  ['nodump-included', '--exclude-nodump=no'],
  ['with-chattr', '--with=chattr --exclude-nodump=no'],
] as const;

test('archives of files with chattr flags are the golden ones', async (t) => {
  if (!requirement(t, loopMountNeeds('ext4'))) return;
  if (!requirement(t, { commands: ['chattr'] })) return;
  const root = join(loopMount(t, 'ext4'), 'tree');
  execFileSync('sh', [join(GOLDEN, 'make-tree-chattr.sh'), root], { stdio: 'pipe' });
  for (const [name, options] of CHATTR_ROWS) {
    const made = collect(archive(root, options));
    t.true(made.equals(golden(`chattr/${name}.catar`)), name);
    t.true((await packedArchive(root, walkOptions(options), packHere)).equals(made), name);
  }
});
