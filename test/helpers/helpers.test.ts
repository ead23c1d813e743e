/** The helpers themselves: one that cannot see a difference makes every test of its users worthless. */
import { chmodSync, existsSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { setXattr } from '../../lib/os/xattr.node.ts';
import { missingRequirements, requirement } from './requirements.ts';
import { runReference } from './run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from './temporary-folder.ts';
import { canaryTree, compareTrees } from './tree-snapshot.ts';

function makeTree(t: ExecutionContext): string {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'dir'));
  writeFileSync(join(root, 'dir/file'), 'content');
  symlinkSync('dir/file', join(root, 'link'));
  for (const name of ['dir/file', 'link', 'dir', '.']) lutimesSync(join(root, name), 1, 1.5);
  return root;
}

test('equal trees have no differences', (t) => {
  t.deepEqual(compareTrees(makeTree(t), makeTree(t)), []);
});

const CHANGES: Record<string, (root: string) => void> = {
  content: (root) => writeFileSync(join(root, 'dir/file'), 'CONTENT'),
  mode: (root) => chmodSync(join(root, 'dir'), 0o700),
  'time of a link': (root) => lutimesSync(join(root, 'link'), 1, 2),
  'a further entry': (root) => writeFileSync(join(root, 'dir/more'), ''),
  'an extended attribute': (root) =>
    setXattr(Buffer.from(join(root, 'dir')), 'user.a', Buffer.from('b')),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`compareTrees sees ${what}`, (t) => {
    const changed = makeTree(t);
    change(changed);
    t.not(compareTrees(makeTree(t), changed).length, 0);
    t.not(compareTrees(changed, makeTree(t)).length, 0);
  });
}

test('compareTrees leaves out what it is told to', (t) => {
  const changed = makeTree(t);
  chmodSync(join(changed, 'dir/file'), 0o600);
  t.deepEqual(compareTrees(makeTree(t), changed, { mode: false }), []);
});

test('an untouched canary is silent', (t) => {
  canaryTree(t).assertUntouched();
});

test('removeTree removes folders without permissions', (t) => {
  const root = makeTemporaryFolder();
  mkdirSync(join(root, 'closed/inner'), { recursive: true });
  chmodSync(join(root, 'closed'), 0);
  removeTree(root);
  t.false(existsSync(root));
});

test('missing requirements are named', (t) => {
  const missing = missingRequirements({
    commands: ['sh', 'no-such-program'],
    conditions: { 'a dragon': false, air: true },
  });
  t.deepEqual(missing, ['the program no-such-program', 'a dragon']);
});

test('a run reports status, both outputs and memory', async (t) => {
  if (!requirement(t, { commands: ['casync', 'time'] })) return;
  const version = await runReference(['--version'], { measureMemory: true });
  t.is(version.status, 0);
  t.is(version.stdout.toString(), 'casync 2\n');
  t.true((version.peakMemoryBytes ?? 0) > 500_000);
  const wrong = await runReference(['nonsense']);
  t.is(wrong.status, 1);
  t.regex(wrong.stderr.toString(), /^Unknown verb 'nonsense'/);
});
