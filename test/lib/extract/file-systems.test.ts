/** Attributes that only some file systems have, and those that directories hand on. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FEATURE } from '../../../formats/feature-flags.ts';
import {
  getInodeFlags,
  getProjectId,
  isSubvolumeReadOnly,
} from '../../../lib/os/inode-flags.node.ts';
import { listXattrs } from '../../../lib/os/xattr.node.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import {
  directory,
  type ForgedNode,
  file,
  forgeArchive,
  record,
  u64s,
} from '../../hostile/forge.ts';

function withDescriptor<T>(path: string, ask: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return ask(fd);
  } finally {
    closeSync(fd);
  }
}

const projectOf = (path: string) => withDescriptor(path, getProjectId);
const flagsOf = (path: string) => withDescriptor(path, getInodeFlags) ?? 0;

testEveryWay('project ids come back, and none is inherited', async (t, { extractArchive }) => {
  if (!requirement(t, loopMountNeeds('xfs'))) return;
  const target = join(loopMount(t, 'xfs'), 'tree');
  const project = (id: number) => ({ records: [record('QUOTA_PROJID', u64s(id))] });
  const inherit = { entry: { entryFlags: FEATURE.flagProjinherit } };
  const archive = forgeArchive(
    directory([
      ['d', directory([['plain', file('x')]], { ...project(7), ...inherit })],
      ['f', file('x', project(4_000_000_000))],
      ['plain', file('x')],
    ]),
  );
  for (let times = 0; times < 2; times++) {
    await extractArchive(archive, target);
    const ids = ['d', 'd/plain', 'f', 'plain'].map((name) => projectOf(join(target, name)));
    t.deepEqual(ids, [7, 0, 4_000_000_000, 0]);
  }
});

testEveryWay(
  'flags of the target itself come back, and none is inherited',
  async (t, { extractArchive }) => {
    if (!requirement(t, loopMountNeeds('ext4'))) return;
    const target = join(loopMount(t, 'ext4'), 'tree');
    const content = [
      ['d', directory([['f', file('x')]])],
      ['f', file('x')],
    ] as const;
    const archive = forgeArchive(
      directory(content, { entry: { entryFlags: FEATURE.flagNoatime } }),
    );
    const NO_ATIME = 0x80;
    for (let times = 0; times < 2; times++) {
      await extractArchive(archive, target);
      const flags = ['.', 'd', 'd/f', 'f'].map((name) => flagsOf(join(target, name)) & NO_ATIME);
      t.deepEqual(flags, [NO_ATIME, 0, 0, 0]);
    }
  },
);

testEveryWay(
  'subvolumes come back, read-only ones too, also over themselves',
  async (t, { extractArchive }) => {
    if (!requirement(t, loopMountNeeds('btrfs'))) return;
    const target = join(loopMount(t, 'btrfs'), 'tree');
    const flagged = (...flags: readonly bigint[]): Partial<ForgedNode> => ({
      entry: { entryFlags: flags.reduce((all, flag) => all | flag, 0n) },
    });
    const content = [['f', file('x')]] as const;
    const archive = forgeArchive(
      directory([
        ['plain', directory(content)],
        ['ro', directory(content, flagged(FEATURE.subvolume, FEATURE.subvolumeReadOnly))],
        ['rw', directory(content, flagged(FEATURE.subvolume))],
      ]),
    );
    for (let times = 0; times < 2; times++) {
      await extractArchive(archive, target);
      const inodes = ['plain', 'ro', 'rw'].map((name) => statSync(join(target, name)).ino === 256);
      t.deepEqual(inodes, [false, true, true]);
      t.true(withDescriptor(join(target, 'ro'), isSubvolumeReadOnly));
      t.false(withDescriptor(join(target, 'rw'), isSubvolumeReadOnly));
    }
  },
);

testEveryWay(
  'a directory that is no subvolume yet is not taken for one',
  async (t, { extractArchive }) => {
    if (!requirement(t, loopMountNeeds('btrfs'))) return;
    const target = join(loopMount(t, 'btrfs'), 'tree');
    mkdirSync(join(target, 'd'), { recursive: true });
    const entry = { entryFlags: FEATURE.subvolume };
    const archive = forgeArchive(directory([['d', directory([], { entry })]]));
    const error = await t.throwsAsync(extractArchive(archive, target));
    t.regex(String(error?.message), /\/d: .*--without=subvolume/);
  },
);

testEveryWay(
  'flags that must precede content are set on files that have some',
  async (t, { extractArchive }) => {
    if (!requirement(t, loopMountNeeds('btrfs'))) return;
    const target = join(loopMount(t, 'btrfs'), 'tree');
    const content = 'x'.repeat(100_000);
    const entry = { entryFlags: FEATURE.flagNocow };
    await extractArchive(forgeArchive(directory([['f', file(content, { entry })]])), target);
    t.not(flagsOf(join(target, 'f')) & 0x800000, 0);
  },
);

testEveryWay(
  'a default ACL of the target does not get onto what the archive has without',
  async (t, { extractArchive }) => {
    if (!requirement(t, { root: true, commands: ['setfacl'] })) return;
    const folder = temporaryFolder(t);
    execFileSync('setfacl', ['-d', '-m', 'u:daemon:rwx', folder]);
    const target = join(folder, 'tree');
    const archive = forgeArchive(
      directory([
        ['d', directory([['f', file('x')]])],
        ['f', file('x', { entry: { mode: 0o100640 } })],
      ]),
    );
    for (let times = 0; times < 2; times++) {
      await extractArchive(archive, target);
      for (const name of ['', 'd', 'd/f', 'f']) {
        t.deepEqual(listXattrs(Buffer.from(join(target, name))), [], name);
      }
      t.is(statSync(join(target, 'f')).mode & 0o7777, 0o640);
    }
  },
);

testEveryWay(
  'flags and attributes that an existing directory has and the archive lacks go',
  async (t, { extractArchive }) => {
    if (!requirement(t, { root: true, commands: ['chattr', 'setfattr', 'setfacl'] })) return;
    const target = join(temporaryFolder(t), 'tree');
    mkdirSync(join(target, 'd'), { recursive: true });
    execFileSync('chattr', ['+A', '+d', join(target, 'd')]);
    execFileSync('setfattr', ['-n', 'user.extra', '-v', 'x', join(target, 'd')]);
    execFileSync('setfacl', ['-m', 'u:daemon:rwx', '-d', '-m', 'u:daemon:rwx', join(target, 'd')]);
    writeFileSync(join(target, 'd/f'), 'old');
    // Not as the reference flags have it: these know the no-dump flag.
    const entry = { featureFlags: 0x3000_0001_ffff_fe26n };
    const plain = (children: ForgedNode['children']) =>
      directory(children, { entry: { ...entry, mode: 0o040755 } });
    const archive = forgeArchive(plain([['d', plain([['f', file('x', { entry })]])]]));
    await extractArchive(archive, target);
    t.is(flagsOf(join(target, 'd')) & 0xc0, 0);
    t.is(flagsOf(join(target, 'd/f')) & 0xc0, 0);
    t.deepEqual(listXattrs(Buffer.from(join(target, 'd'))), []);
    t.deepEqual(listXattrs(Buffer.from(join(target, 'd/f'))), []);
  },
);
