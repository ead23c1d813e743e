import test from 'ava';
import { FEATURE, maskFlags } from '../../formats/feature-flags.ts';
import { type StatTextOptions, statText } from '../../formats/stat-text.ts';
import { type ArchiveNode, archiveNodes } from '../helpers/archive-nodes.ts';
import { golden } from '../helpers/golden.ts';

/** Universal time, as the golden files were made. */
function localTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

function textOf(entry: ArchiveNode, change: Partial<StatTextOptions> = {}): string {
  const { path, node, offset, contentDigest, nodeDigest } = entry;
  const hasContent = node.type === 'file' || node.type === 'block-device';
  return statText(path, node, {
    shownFlags: node.featureFlags,
    offset,
    localTime,
    ...(hasContent ? { contentDigest } : {}),
    ...(node.type === 'directory' ? {} : { hardLinkDigest: nodeDigest }),
    ...change,
  });
}

const NODES = archiveNodes(golden('tree/default.catar'));

function find(nodes: readonly ArchiveNode[], path: string): ArchiveNode {
  const entry = nodes.find((node) => Buffer.from(node.path).toString('latin1') === path);
  if (!entry) throw new Error(`no ${path}`);
  return entry;
}

test('every node that the original was asked about gives its text', (t) => {
  const text = new TextDecoder().decode(golden('tree/default.stat'));
  const parts = text.split(/^### stat default\.catar (.*)\n/m).slice(1);
  t.true(parts.length > 20);
  for (let i = 0; i < parts.length; i += 2) {
    const path = parts[i] === '/' ? '' : parts[i];
    t.is(textOf(find(NODES, path)), parts[i + 1], path);
  }
});

test('attributes have their letters, in the order of chattr', (t) => {
  const entry = find(archiveNodes(golden('chattr/nodump-included.catar')), 'all');
  t.regex(textOf(entry), /\nFileAttr: S-ia-A----\n FATAttr: ---\n/);
});

test('an attribute that is masked out counts as not set', (t) => {
  const entry = find(archiveNodes(golden('chattr/nodump-included.catar')), 'all');
  const shownFlags = maskFlags(entry.node.featureFlags, ~FEATURE.flagAppend);
  t.regex(textOf(entry, { shownFlags }), /\nFileAttr: S-i--A----\n/);
});

test('owners are shown as far as the mask lets them pass', (t) => {
  const entry = find(NODES, 'own-daemon');
  const ownersUnder = (shownFlags: bigint) =>
    textOf(entry, { shownFlags }).match(/(User|Group): .*/g) ?? [];
  t.deepEqual(ownersUnder(FEATURE.userNames | FEATURE.uids32), [
    'User: daemon (1)',
    'Group: daemon (1)',
  ]);
  t.deepEqual(ownersUnder(FEATURE.userNames), ['User: daemon', 'Group: daemon']);
  t.deepEqual(ownersUnder(FEATURE.uids16), ['User: 1', 'Group: 1']);
  t.deepEqual(ownersUnder(0n), []);
});

test('a project id that is 0 is shown if it is there', (t) => {
  const entry = find(NODES, 'own-daemon');
  const node = { ...entry.node, quotaProjectId: 0 };
  t.regex(textOf({ ...entry, node }), /\n {2}ProjID: 0\n/);
  t.notRegex(textOf(entry), /ProjID/);
});

test('there is no time where none is recorded', (t) => {
  t.notRegex(textOf(find(NODES, 'fifo'), { shownFlags: 0n }), /Time/);
});
