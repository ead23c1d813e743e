/** The generators themselves: a seed is enough to see the same thing again. */
import { join } from 'node:path';
import test from 'ava';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees, snapshotTree } from '../helpers/tree-snapshot.ts';
import { changedBlob, randomBlob } from './blobs.ts';
import { randomName } from './names.ts';
import { randomFrom } from './random.ts';
import { makeRandomTree, randomTreeOptions } from './trees.ts';

const NUMBERS = Array.from({ length: 12 }, (_, number) => number);

test('the same seed makes the same tree, another seed another one', (t) => {
  if (!requirement(t, { root: true })) return;
  const root = temporaryFolder(t);
  const grow = (name: string, seed: number): string => {
    const path = join(root, name);
    const random = randomFrom(seed);
    makeRandomTree(path, random, { ...randomTreeOptions(random), nodeCount: 40 });
    return path;
  };
  const first = grow('first', 7);
  t.deepEqual(compareTrees(first, grow('second', 7)), []);
  t.not(compareTrees(first, grow('third', 8)).length, 0);
});

test('a dozen trees hold every type of node, ACLs and extended attributes', (t) => {
  if (!requirement(t, { root: true })) return;
  const root = temporaryFolder(t);
  for (const number of NUMBERS) {
    const random = randomFrom(3).fork(number);
    makeRandomTree(join(root, `${number}`), random, {
      ...randomTreeOptions(random),
      nodeCount: 60,
    });
  }
  const described = [...snapshotTree(root).values()].join('\n');
  const types = new Set([...described.matchAll(/type=(\d+)/g)].map((match) => match[1]));
  t.deepEqual([...types].sort(), [
    '10000',
    '100000',
    '120000',
    '140000',
    '20000',
    '40000',
    '60000',
  ]);
  for (const word of ['user.', 'trusted.', 'posix_acl_access', 'posix_acl_default', 'capability']) {
    t.true(described.includes(word), word);
  }
});

test('the same seed makes the same blobs, and their later versions differ', (t) => {
  for (const number of NUMBERS) {
    const blob = randomBlob(randomFrom(number));
    t.deepEqual(blob, randomBlob(randomFrom(number)));
    t.true(blob.length <= 1_500_000);
    const changed = changedBlob(randomFrom(number), Buffer.from('x'.repeat(5000)));
    t.deepEqual(changed, changedBlob(randomFrom(number), Buffer.from('x'.repeat(5000))));
  }
});

test('names are allowed as file names', (t) => {
  const random = randomFrom(1);
  for (let i = 0; i < 2000; i++) {
    const name = randomName(random, 255);
    t.true(name.length > 0 && name.length <= 255);
    t.false(name.includes(0) || name.includes(0x2f));
    t.false(['.', '..', '.caexclude'].includes(name.toString('latin1')));
  }
});
