/** Extraction of a tree over an older version of it (spec/formats/extraction.md). */
import {
  appendFileSync,
  closeSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CatarEvent } from '../../../formats/catar-events.ts';
import { parseArchive } from '../../helpers/catar.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { golden, noise } from '../../helpers/golden.ts';
import { identitiesOf } from '../../helpers/identities.ts';
import { CONTENT, olderTree, SIZES } from '../../helpers/older-tree.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { snapshotDifferences, snapshotTree } from '../../helpers/tree-snapshot.ts';
import {
  bare,
  device,
  directory,
  type ForgedNode,
  file,
  forgeArchive,
  symlink,
} from '../../hostile/forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = { mask: 0x13aebb20n };

testEveryWay(
  'a tree that is what the archive says stays untouched, whatever is in it',
  async (t, { extractArchive }) => {
    const isExt = statfsSync(tmpdir()).type === 0xef53;
    const conditions = { 'temporary files on ext4': isExt };
    if (!requirement(t, { root: true, conditions })) return;
    const target = temporaryFolder(t);
    for (const name of ['tree/default', 'chattr/default', 'mini/acl-dir', 'mini/many']) {
      const folder = join(target, name.replace('/', '-'));
      const archive = golden(`${name}.catar`);
      await extractArchive(archive, folder);
      const before = identitiesOf(folder);
      await extractArchive(archive, folder);
      t.deepEqual(identitiesOf(folder), before, name);
    }
  },
);

/** Overwrites one byte, and keeps the time of the file. */
function flip(path: string, offset: number): void {
  const { mtimeMs } = statSync(path);
  const fd = openSync(path, 'r+');
  writeSync(fd, Uint8Array.of(readFileSync(path)[offset] ^ 1), 0, 1, offset);
  closeSync(fd);
  utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
}

for (const [name, size] of Object.entries(SIZES)) {
  const changes: Record<string, (path: string) => void> = {
    longer: (path) => appendFileSync(path, 'more'),
    ...(size === 0
      ? {}
      : {
          'first byte': (path: string) => flip(path, 0),
          'a byte in the middle': (path: string) => flip(path, Math.floor(size / 2)),
          'last byte': (path: string) => flip(path, size - 1),
          shorter: (path: string) => truncateSync(path, size - 1),
          empty: (path: string) => truncateSync(path, 0),
        }),
  };
  testEveryWay(`other content is replaced as a whole: ${name}`, async (t, { extractArchive }) => {
    const folder = temporaryFolder(t);
    const [target, fresh] = [join(folder, 'target'), join(folder, 'fresh')];
    const archive = forgeArchive(olderTree());
    await extractArchive(archive, fresh, UNPRIVILEGED);
    for (const [what, change] of Object.entries(changes)) {
      await extractArchive(archive, target, UNPRIVILEGED);
      const path = join(target, name);
      change(path);
      const old = openSync(path, 'r');
      const oldContent = readFileSync(path);
      await extractArchive(archive, target, UNPRIVILEGED);
      t.deepEqual(snapshotDifferences(snapshotTree(fresh), snapshotTree(target)), [], what);
      // The older file itself was not written to.
      t.true(readFileSync(old).equals(oldContent), what);
      closeSync(old);
    }
  });
}

testEveryWay('what was equal is copied with its holes', async (t, { extractArchive }) => {
  const folder = temporaryFolder(t);
  const content = new Uint8Array(4_000_000);
  content.set(noise(10_000), 1_000_000);
  const archiveOf = (end: string) => {
    return forgeArchive(directory([['x', file(Buffer.concat([content, Buffer.from(end)]))]]));
  };
  await extractArchive(archiveOf('old'), folder, UNPRIVILEGED);
  await extractArchive(archiveOf('new'), folder, UNPRIVILEGED);
  t.true(readFileSync(join(folder, 'x')).equals(Buffer.concat([content, Buffer.from('new')])));
  t.true(statSync(join(folder, 'x')).blocks * 512 < 200_000);
});

testEveryWay(
  'a large file that is changed while it is compared is a named failure',
  async (t, { extractEvents }) => {
    const target = temporaryFolder(t);
    const whole = parseArchive(forgeArchive(directory([['x', file(CONTENT)]])));
    const events = whole.flatMap((event): CatarEvent[] => {
      if (event.kind !== 'data') return [event];
      const half = event.bytes.length / 2;
      return [
        { kind: 'data', bytes: event.bytes.subarray(0, half) },
        { kind: 'data', bytes: event.bytes.subarray(half) },
      ];
    });
    await extractEvents(events, target, UNPRIVILEGED);
    let isChanged = false;
    const error = await t.throwsAsync(
      extractEvents(events, target, {
        ...UNPRIVILEGED,
        afterEvent: (event) => {
          if (event.kind !== 'data' || isChanged) return;
          isChanged = true;
          writeFileSync(join(target, 'x'), CONTENT);
        },
      }),
    );
    t.like(error, { code: 'SOURCE_CHANGED', subject: `${target}/x` });
    t.true(readFileSync(join(target, 'x')).equals(CONTENT));
  },
);

const NODES: Readonly<Record<string, ForgedNode>> = {
  file: file('new content'),
  'streamed file': file(CONTENT.subarray(0, 200_000)),
  directory: directory([['inner', file('new inner')]]),
  link: symlink('new target'),
  fifo: bare(0o010644),
  socket: bare(0o140644),
  'character device': device(0o020644, 1, 3),
  'another character device': device(0o020644, 1, 5),
  'block device': device(0o060644, 7, 200),
};

for (const [kind, node] of Object.entries(NODES)) {
  testEveryWay(`a ${kind} takes the place of everything else`, async (t, { extractArchive }) => {
    if (!requirement(t, { root: true })) return;
    const folder = temporaryFolder(t);
    const fresh = join(folder, 'fresh');
    await extractArchive(forgeArchive(directory([['x', node]])), fresh);
    for (const [oldKind, old] of Object.entries(NODES)) {
      const target = join(folder, oldKind);
      await extractArchive(forgeArchive(directory([['x', old]])), target);
      const before = identitiesOf(target);
      await extractArchive(forgeArchive(directory([['x', node]])), target);
      t.deepEqual(snapshotDifferences(snapshotTree(fresh), snapshotTree(target)), [], oldKind);
      if (oldKind === kind) t.deepEqual(identitiesOf(target), before);
    }
  });
}

testEveryWay('entries beside one that changes stay untouched', async (t, { extractArchive }) => {
  const target = temporaryFolder(t);
  const archiveOf = (content: string) => {
    const inner = directory([
      ['a', file('same')],
      ['b', file(content)],
    ]);
    return forgeArchive(
      directory([
        ['d', inner],
        ['e', directory([['f', file('same')]])],
      ]),
    );
  };
  await extractArchive(archiveOf('old'), target, UNPRIVILEGED);
  const before = identitiesOf(target);
  await extractArchive(archiveOf('new'), target, UNPRIVILEGED);
  const after = identitiesOf(target);
  const changed = Object.keys(before).filter((path) => before[path] !== after[path]);
  t.deepEqual(changed.sort(), ['d', 'd/b']);
  t.is(readFileSync(join(target, 'd/b'), 'utf8'), 'new');
});
