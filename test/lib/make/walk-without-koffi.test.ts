// The folder walk where koffi is not there. Each test file is a process of its own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { FEATURE, parseFeature } from '../../../formats/feature-flags.ts';
import { walkTree } from '../../../lib/make/walk.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

process.env.CASYNC_NATIVE = 'off';

function walk(root: string, featureFlags: bigint) {
  const reported: bigint[] = [];
  const events = walkTree(Buffer.from(root), {
    label: 'tree',
    featureFlags,
    contents: 'read',
    applyExcludeFiles: true,
    onUnavailable: (features) => reported.push(features),
  });
  const described = Array.from(events, (event) => {
    if (event.kind === 'enter') return `${Buffer.from(event.name)} ${event.node.mode.toString(8)}`;
    return event.kind === 'data' ? Buffer.from(event.bytes).toString() : event.kind;
  });
  return { reported, described };
}

test('the tree is walked and what cannot be read is reported once', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'dir'), { mode: 0o750 });
  writeFileSync(join(root, 'dir/file'), 'content', { mode: 0o640 });
  symlinkSync('file', join(root, 'link'));
  const { reported, described } = walk(root, 0xb0000001ffeffe26n);
  t.deepEqual(described.slice(1), [
    'dir 40750',
    'file 100640',
    'content',
    'leave',
    'leave',
    'link 120777',
    'leave',
    'leave',
  ]);
  const without = FEATURE.excludeNodump | FEATURE.xattrs | FEATURE.acl | FEATURE.flagAppend;
  t.is(reported.length, 1);
  t.is(reported[0] & without, without);
});

test('nothing is reported if nothing of it is selected', (t) => {
  const { reported } = walk(temporaryFolder(t), parseFeature('unix') ?? 0n);
  t.deepEqual(reported, []);
});

test('mounts are told apart', (t) => {
  if (!requirement(t, { root: true, commands: ['mount'] })) return;
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'mounted'));
  execFileSync('mount', ['--bind', '/etc', join(root, 'mounted')]);
  t.teardown(() => execFileSync('umount', [join(root, 'mounted')]));
  const { described } = walk(root, FEATURE.permissions | FEATURE.excludeSubmounts);
  t.is(described.length, 2);
});
