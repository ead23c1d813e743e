// With `hardlink` files become links to equal ones of seeds, and to no others.
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { extract } from '../../../lib/api/extract.node.ts';
import { make } from '../../../lib/api/make.node.ts';
import { fileTime, setModificationTime } from '../../../lib/os/times.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { filesBelow } from '../../property/edits.ts';
import { randomFrom } from '../../property/random.ts';

interface Fixture {
  readonly folder: string;
  readonly tree: string;
  /** A copy of the tree, to the nanosecond. */
  readonly seed: string;
  readonly index: string;
  readonly output: string;
}

async function fixture(t: ExecutionContext, suffix = 'caidx'): Promise<Fixture> {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  const random = randomFrom(4);
  mkdirSync(join(tree, 'sub'), { recursive: true });
  for (const name of ['a', 'b', 'sub/c', 'sub/large']) {
    writeFileSync(join(tree, name), random.bytes(name === 'sub/large' ? 900_000 : 5000));
  }
  writeFileSync(join(tree, 'empty'), '');
  const index = join(folder, `x.${suffix}`);
  await make({ input: tree, output: index, threadCount: 0 });
  const seed = join(folder, 'seed');
  await extract({ input: index, output: seed, threadCount: 0 });
  return { folder, tree, seed, index, output: join(folder, 'output') };
}

function link({ index, output, seed }: Fixture) {
  return extract({ input: index, output, seeds: [seed], hardlink: true, threadCount: 0 });
}

function isLinked({ seed, output }: Fixture, name: string, inSeed = name): boolean {
  return lstatSync(join(seed, inSeed)).ino === lstatSync(join(output, name)).ino;
}

function checkContents(t: ExecutionContext, { tree, output }: Fixture): void {
  for (const path of filesBelow(tree)) {
    t.true(readFileSync(join(output, path.slice(tree.length))).equals(readFileSync(path)), path);
  }
}

const FILES = ['a', 'b', 'sub/c', 'sub/large'];

for (const suffix of ['caidx', 'catar']) {
  test.serial(`equal files are links, and stay (${suffix})`, async (t) => {
    const fixed = await fixture(t, suffix);
    const { statistics } = await link(fixed);
    for (const name of FILES) t.true(isLinked(fixed, name), name);
    t.is((statistics as { readonly hardlinkBytes?: number }).hardlinkBytes, 915_000);
    checkContents(t, fixed);
    const before = FILES.map((name) => lstatSync(join(fixed.output, name), { bigint: true }));
    await link(fixed);
    const after = FILES.map((name) => lstatSync(join(fixed.output, name), { bigint: true }));
    t.deepEqual(
      after.map(({ ino, ctimeNs }) => [ino, ctimeNs]),
      before.map(({ ino, ctimeNs }) => [ino, ctimeNs]),
    );
  });
}

test.serial('a file of another name is one, too', async (t) => {
  const fixed = await fixture(t);
  renameSync(join(fixed.seed, 'a'), join(fixed.seed, 'sub/moved'));
  await link(fixed);
  t.true(isLinked(fixed, 'a', 'sub/moved'));
  checkContents(t, fixed);
});

test.serial('files that lie about their content are not linked', async (t) => {
  const fixed = await fixture(t);
  for (const name of FILES) {
    const path = join(fixed.seed, name);
    const { mtimeNs } = lstatSync(path, { bigint: true });
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(path, bytes);
    setModificationTime(Buffer.from(path), fileTime(mtimeNs));
  }
  await link(fixed);
  for (const name of FILES) t.false(isLinked(fixed, name), name);
  checkContents(t, fixed);
});

test.serial('files of other attributes are not linked', async (t) => {
  const fixed = await fixture(t);
  chmodSync(join(fixed.seed, 'a'), 0o600);
  setModificationTime(Buffer.from(join(fixed.seed, 'b')), fileTime(1n));
  await link(fixed);
  t.false(isLinked(fixed, 'a'));
  t.false(isLinked(fixed, 'b'));
  t.true(isLinked(fixed, 'sub/c'));
  t.not(lstatSync(join(fixed.output, 'a')).mode & 0o777, 0o600);
  checkContents(t, fixed);
});

test.serial('what is written later is not written to the seed', async (t) => {
  const fixed = await fixture(t);
  await link(fixed);
  const expected = FILES.map((name) => {
    const { mode, mtimeNs } = lstatSync(join(fixed.seed, name), { bigint: true });
    return { content: readFileSync(join(fixed.seed, name)), mode, mtimeNs };
  });
  writeFileSync(join(fixed.tree, 'a'), 'new');
  chmodSync(join(fixed.tree, 'b'), 0o700);
  const large = readFileSync(join(fixed.tree, 'sub/large'));
  large[500_000] ^= 1;
  writeFileSync(join(fixed.tree, 'sub/large'), large);
  await make({ input: fixed.tree, output: fixed.index, threadCount: 0 });
  await extract({ input: fixed.index, output: fixed.output, threadCount: 0 });
  checkContents(t, fixed);
  for (const [i, name] of FILES.entries()) {
    const { mode, mtimeNs } = lstatSync(join(fixed.seed, name), { bigint: true });
    const content = readFileSync(join(fixed.seed, name));
    t.deepEqual({ content, mode, mtimeNs }, expected[i], name);
  }
});

test.serial('older files in the way are replaced by links', async (t) => {
  const fixed = await fixture(t);
  cpSync(fixed.tree, fixed.output, { recursive: true });
  writeFileSync(join(fixed.output, 'a'), 'old');
  rmSync(join(fixed.output, 'b'));
  mkdirSync(join(fixed.output, 'b/inside'), { recursive: true });
  await link(fixed);
  for (const name of FILES) t.true(isLinked(fixed, name), name);
  checkContents(t, fixed);
});

test.serial('where there can be no links there are files', async (t) => {
  const other = mkdtempSync('/dev/shm/casync-test-');
  t.teardown(() => rmSync(other, { recursive: true }));
  const fixed = await fixture(t);
  const isOther = lstatSync(other).dev !== lstatSync(fixed.seed).dev;
  if (!requirement(t, { conditions: { 'two file systems': isOther } })) return;
  const output = join(other, 'output');
  const { statistics } = await link({ ...fixed, output });
  t.is((statistics as { readonly hardlinkBytes?: number }).hardlinkBytes, 0);
  checkContents(t, { ...fixed, output });
});
