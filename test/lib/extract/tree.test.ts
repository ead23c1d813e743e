import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { CatarEvent } from '../../../formats/catar-events.ts';
import { CatarParser } from '../../../formats/catar-parser.ts';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { TreeExtractor } from '../../../lib/extract/tree.node.ts';
import { parseArchive } from '../../helpers/catar.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { noise } from '../../helpers/golden.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { snapshotTree } from '../../helpers/tree-snapshot.ts';
import {
  bytesOf,
  cString,
  directory,
  type ForgedNode,
  file,
  forgeArchive,
  record,
  symlink,
} from '../../hostile/forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = 0x13aebb20n;

const KINDS = ['file', 'directory', 'link', 'nothing'] as const;
type Kind = (typeof KINDS)[number];

const FORGED: Readonly<Record<Exclude<Kind, 'nothing'>, ForgedNode>> = {
  file: file('new content'),
  directory: directory([['inner', file('new inner')]]),
  link: symlink('new target'),
};

function plant(path: string, kind: Kind): void {
  if (kind === 'file') writeFileSync(path, 'old');
  if (kind === 'link') symlinkSync('/nonexistent/old', path);
  if (kind !== 'directory') return;
  mkdirSync(join(path, 'inner'), { recursive: true });
  writeFileSync(join(path, 'inner/old'), 'old');
}

for (const old of KINDS) {
  for (const kind of ['file', 'directory', 'link'] as const) {
    testEveryWay(`a ${kind} takes the place of: ${old}`, async (t, { extractArchive }) => {
      const folder = temporaryFolder(t);
      const [target, fresh] = [join(folder, 'target'), join(folder, 'fresh')];
      mkdirSync(target);
      plant(join(target, 'x'), old);
      const archive = forgeArchive(directory([['x', FORGED[kind]]]));
      await extractArchive(archive, target, { mask: UNPRIVILEGED });
      await extractArchive(archive, fresh, { mask: UNPRIVILEGED });
      t.deepEqual(snapshotTree(target), snapshotTree(fresh));
    });
  }
}

testEveryWay(
  'what the archive lacks is removed, at every level, unless it is to stay',
  async (t, { extractArchive }) => {
    const archive = forgeArchive(
      directory([
        ['b', directory([['kept', file('new')]])],
        ['file', file('new')],
      ]),
    );
    for (const deleteExtra of [true, false]) {
      const target = temporaryFolder(t);
      mkdirSync(join(target, 'b/extra/deep'), { recursive: true });
      mkdirSync(join(target, 'a'));
      for (const name of ['a/x', 'b/extra/deep/x', 'b/kept', 'file', '.#left', 'z']) {
        writeFileSync(join(target, name), 'old');
      }
      await extractArchive(archive, target, { deleteExtra, mask: UNPRIVILEGED });
      const names = ['.#left', 'a', 'z', 'b', 'file'];
      t.deepEqual(readdirSync(target).sort(), deleteExtra ? ['b', 'file'] : names.sort());
      t.is(existsSync(join(target, 'b/extra/deep/x')), !deleteExtra);
      t.is(readFileSync(join(target, 'b/kept'), 'utf8'), 'new');
    }
  },
);

testEveryWay(
  'other names of a replaced file keep the old content',
  async (t, { extractArchive }) => {
    const folder = temporaryFolder(t);
    const target = join(folder, 'target');
    mkdirSync(target);
    writeFileSync(join(folder, 'outside'), 'old');
    linkSync(join(folder, 'outside'), join(target, 'x'));
    await extractArchive(forgeArchive(directory([['x', file('new')]])), target, {
      mask: UNPRIVILEGED,
    });
    t.is(readFileSync(join(folder, 'outside'), 'utf8'), 'old');
    t.is(readFileSync(join(target, 'x'), 'utf8'), 'new');
  },
);

testEveryWay(
  'the target may be reached through a link, and must be a directory',
  async (t, { extractArchive }) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, 'real'));
    symlinkSync('real', join(folder, 'link'));
    const archive = forgeArchive(directory([['x', file('new')]]));
    await extractArchive(archive, join(folder, 'link'), { mask: UNPRIVILEGED });
    t.is(readlinkSync(join(folder, 'link')), 'real');
    t.deepEqual(readdirSync(join(folder, 'real')), ['x']);
    const error = await t.throwsAsync(extractArchive(archive, join(folder, 'real/x')));
    t.like(error, { code: 'USAGE' });
    t.regex(String(error?.message), /attempted to extract an archive\.$/);
  },
);

testEveryWay('content arrives whole in whatever pieces it comes', async (t, { extractEvents }) => {
  const content = noise(1_000_003);
  content.fill(0, 100_000, 500_000);
  for (const size of [1, 1000, 65_536, 300_000, 2_000_000]) {
    const target = temporaryFolder(t);
    const part = size === 1 ? content.subarray(98_000, 110_000) : content;
    const events = parseArchive(forgeArchive(directory([['x', file(part)]])));
    const pieces = events.flatMap((event): CatarEvent[] => {
      if (event.kind !== 'data') return [event];
      const count = Math.ceil(event.bytes.length / size);
      return Array.from({ length: count }, (_, i) => ({
        kind: 'data',
        bytes: event.bytes.slice(i * size, (i + 1) * size),
      }));
    });
    await extractEvents(pieces, target, { mask: UNPRIVILEGED });
    t.true(readFileSync(join(target, 'x')).equals(part), `pieces of ${size}`);
  }
});

testEveryWay('zeros become holes unless that is off', async (t, { extractArchive }) => {
  const content = new Uint8Array(1 << 20);
  content.set(noise(5000), 300_000);
  const archive = forgeArchive(directory([['x', file(content)]]));
  for (const punchHoles of [true, false]) {
    const target = temporaryFolder(t);
    await extractArchive(archive, target, { punchHoles, mask: UNPRIVILEGED });
    const { size, blocks } = statSync(join(target, 'x'));
    t.is(size, content.length);
    t.is(blocks * 512 >= content.length, !punchHoles);
    t.true(readFileSync(join(target, 'x')).equals(content));
  }
});

/** One that is restored in one go, and one that is written while it comes. */
const SIZES = { small: 6, large: 300_000 } as const;

/** A file, and a second one that breaks off. */
function brokenOff(size: number): CatarEvent[] {
  const archive = forgeArchive(
    directory([
      ['a', file('new a')],
      ['b', directory([['c', file(noise(size))]])],
    ]),
  );
  const cut = archive.length - 2 * 40 - Math.ceil(size / 2);
  return [...new CatarParser().push(archive.subarray(0, cut))];
}

for (const [what, size] of Object.entries(SIZES))
  testEveryWay(
    `after a failure each file is old or new, and no temporary is left: ${what}`,
    async (t, { extractEvents }) => {
      const target = temporaryFolder(t);
      mkdirSync(join(target, 'b'));
      for (const name of ['a', 'b/c', 'd']) writeFileSync(join(target, name), 'old');
      const before = descriptorCount(target);
      await t.throwsAsync(extractEvents(brokenOff(size), target, { mask: UNPRIVILEGED }), {
        instanceOf: TypeError,
      });
      t.is(readFileSync(join(target, 'a'), 'utf8'), 'new a');
      t.is(readFileSync(join(target, 'b/c'), 'utf8'), 'old');
      t.is(readFileSync(join(target, 'd'), 'utf8'), 'old');
      t.deepEqual(readdirSync(target).sort(), ['a', 'b', 'd']);
      t.deepEqual(readdirSync(join(target, 'b')), ['c']);
      t.is(descriptorCount(target), before);
    },
  );

for (const [what, size] of Object.entries(SIZES))
  testEveryWay(
    `a file is not visible under its name before its end: ${what}`,
    async (t, { extractArchive }) => {
      const target = temporaryFolder(t);
      const archive = forgeArchive(
        directory([['x', file(noise(size), { entry: { mode: 0o104755 } })]]),
      );
      const seen: string[] = [];
      await extractArchive(archive, target, {
        mask: UNPRIVILEGED,
        afterEvent: () => {
          for (const name of readdirSync(target)) {
            const mode = (statSync(join(target, name)).mode & 0o7777).toString(8);
            seen.push(`${name.replace(/[0-9a-f]{16}$/, '')} ${mode}`);
          }
        },
      });
      t.deepEqual(
        seen.filter((shown) => shown !== '.#x 600' && shown !== 'x 4755'),
        [],
      );
      t.is(statSync(join(target, 'x')).size, size);
    },
  );

testEveryWay(
  'a subtree is made under its own name, and the target stays as it is',
  async (t, { extractArchive, extractEvents }) => {
    const target = temporaryFolder(t);
    writeFileSync(join(target, 'other'), 'old');
    chmodSync(target, 0o710);
    const time = new Date(1_000_000_000_000);
    utimesSync(target, time, time);
    const part = forgeArchive(directory([['x', file('new')]], { entry: { mode: 0o040751 } }));
    const options = { mask: UNPRIVILEGED, entryName: bytesOf('part') };
    await extractArchive(part, target, options);
    await extractArchive(part, target, options);
    t.is(statSync(target).mode & 0o777, 0o710);
    t.is(statSync(join(target, 'part')).mode & 0o777, 0o751);
    t.deepEqual(readdirSync(target).sort(), ['other', 'part']);
    const events = parseArchive(part).slice(1, -1);
    await extractEvents(events, target, { mask: UNPRIVILEGED, entryName: bytesOf('single') });
    t.is(readFileSync(join(target, 'single'), 'utf8'), 'new');
    const error = await t.throwsAsync(
      extractEvents(events, target, { mask: UNPRIVILEGED, entryName: bytesOf('..') }),
    );
    t.like(error, { code: 'UNSAFE_NAME' });
  },
);

testEveryWay('every entry is announced and done, with its path', async (t, { extractArchive }) => {
  const archive = forgeArchive(directory([['d', directory([['f', file('x')]])]]));
  const seen: string[] = [];
  await extractArchive(archive, temporaryFolder(t), {
    mask: UNPRIVILEGED,
    onEntry: (path, stage) => seen.push(`${stage} ${Buffer.from(path)}`),
  });
  t.deepEqual(seen, ['begin ', 'begin d', 'begin d/f', 'end d/f', 'end d', 'end ']);
});

testEveryWay(
  'kinds that are not restored are left out, and what has their name stays',
  async (t, { extractArchive }) => {
    const target = temporaryFolder(t);
    writeFileSync(join(target, 'l'), 'old');
    const archive = forgeArchive(
      directory([
        ['f', file('x')],
        ['l', symlink('target')],
      ]),
    );
    await extractArchive(archive, target, { mask: UNPRIVILEGED & ~FEATURE.symlinks });
    t.is(readFileSync(join(target, 'l'), 'utf8'), 'old');
    t.deepEqual(readdirSync(target).sort(), ['f', 'l']);
  },
);

testEveryWay(
  'a read-only file loses its write bits and nothing else',
  async (t, { extractArchive }) => {
    const target = temporaryFolder(t);
    const flags = 0xb000_0000_0000_0080n;
    const entry = (mode: number) => ({ featureFlags: flags, mtime: 0, mode });
    const archive = forgeArchive(
      directory(
        [
          ['d', directory([], { entry: entry(0o040555) })],
          ['r', file('x', { entry: entry(0o100444) })],
          ['w', file('x', { entry: entry(0o100666) })],
        ],
        { entry: entry(0o040777) },
      ),
    );
    const umask = process.umask();
    await extractArchive(archive, target);
    const modes = ['d', 'r', 'w'].map((name) => statSync(join(target, name)).mode & 0o7777);
    t.deepEqual(modes, [0o700 & 0o555, 0o444 & ~umask, 0o666 & ~umask]);
    await extractArchive(archive, target);
    t.is(statSync(join(target, 'd')).mode & 0o7777, 0o500);
  },
);

const OWNED = { uid: 70_000, gid: 5 };

testEveryWay('recorded numbers are shifted into the range', async (t, { extractArchive }) => {
  if (!requirement(t, { root: true })) return;
  const target = temporaryFolder(t);
  const archive = forgeArchive(directory([['x', file('x', { entry: OWNED })]]));
  await extractArchive(archive, target, { uidShift: { shift: 1_000_000, range: 65_536 } });
  const { uid, gid } = statSync(join(target, 'x'));
  t.deepEqual([uid, gid], [1_000_000 + 70_000 - 65_536, 1_000_005]);
  t.is(statSync(target).uid, 1_000_000);
});

testEveryWay(
  'a name beats the number, and an unknown one is an error that says what helps',
  async (t, { extractArchive }) => {
    if (!requirement(t, { root: true })) return;
    const target = temporaryFolder(t);
    const named = (user: string) =>
      forgeArchive(
        directory([['x', file('x', { entry: OWNED, records: [record('USER', cString(user))] })]]),
      );
    await extractArchive(named('daemon'), target);
    t.is(statSync(join(target, 'x')).uid, 1);
    const error = await t.throwsAsync(extractArchive(named('no-such-user'), target));
    t.regex(String(error?.message), /\/x: set owner: .*no-such-user.*--without=user-names/);
    await extractArchive(named('no-such-user'), target, {
      mask: (1n << 33n) - 1n - FEATURE.userNames,
    });
    t.is(statSync(join(target, 'x')).uid, 70_000);
  },
);

testEveryWay(
  'a feature the file system lacks is named with the option that leaves it out',
  async (t, { extractArchive }) => {
    const target = temporaryFolder(t);
    const entry = { entryFlags: FEATURE.flagHidden };
    const archive = forgeArchive(directory([['x', file('x', { entry })]]));
    const error = await t.throwsAsync(extractArchive(archive, target, { mask: UNPRIVILEGED }));
    t.like(error, { code: 'UNSUPPORTED', subject: `${target}/x` });
    t.regex(String(error?.message), /--without=flag-hidden/);
  },
);

testEveryWay(
  'times before 1970, with nanoseconds and beyond 2262 come back',
  async (t, { extractArchive }) => {
    const target = temporaryFolder(t);
    const old = BigInt.asUintN(64, -1_500_000_001n);
    const archive = forgeArchive(
      directory([
        ['late', file('x', { entry: { mtime: 9_621_629_135_000_000_001n } })],
        ['new', file('x', { entry: { mtime: 4_133_980_799_000_001_003n } })],
        ['old', symlink('x', { entry: { mtime: old } })],
      ]),
    );
    await extractArchive(archive, target, { mask: UNPRIVILEGED });
    const time = (name: string) => lstatSync(join(target, name), { bigint: true }).mtimeNs;
    t.is(time('new'), 4_133_980_799_000_001_003n);
    t.is(time('old'), -1_500_000_001n);
    t.is(BigInt.asUintN(64, time('late')), 9_621_629_135_000_000_001n);
  },
);

test('the extractor refuses to end inside of an entry', async (t) => {
  const target = temporaryFolder(t);
  const extractor = new TreeExtractor(target, { replayFlags: 0n });
  const [root] = parseArchive(forgeArchive(directory()));
  extractor.handle(root);
  t.throws(() => extractor.finish(), { instanceOf: TypeError });
  extractor.abort();
  extractor.abort();
});
