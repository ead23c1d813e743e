/** Small files and links, which take the short way (lib/extract/simple-entry.node.ts). */
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { FEATURE } from '../../../formats/feature-flags.ts';
import { parseArchive } from '../../helpers/catar.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { canaryTree } from '../../helpers/tree-snapshot.ts';
import { directory, type ForgedEntry, file, forgeArchive, symlink } from '../../hostile/forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = 0x13aebb20n;

function target(t: ExecutionContext): string {
  return join(temporaryFolder(t), 'target');
}

/** Every combination of permissions that is of its own kind. */
const MODES = [0, 0o200, 0o400, 0o444, 0o600, 0o604, 0o640, 0o644, 0o660, 0o666, 0o755, 0o777];
const SPECIAL_MODES = [0o1644, 0o2755, 0o4755, 0o6711, 0o7777];

for (const umask of [0, 0o022, 0o027, 0o077, 0o777]) {
  testEveryWay(
    `files get the recorded mode whatever the umask: ${umask.toString(8)}`,
    async (t, { extractArchive }) => {
      const path = target(t);
      mkdirSync(path);
      const modes = [...MODES, ...SPECIAL_MODES];
      const archive = forgeArchive(
        directory(
          modes.map((mode) => [
            mode.toString(8).padStart(4, '0'),
            file('x', { entry: { mode: 0o100000 | mode } }),
          ]),
        ),
      );
      const old = process.umask(umask);
      try {
        await extractArchive(archive, path, { mask: UNPRIVILEGED });
      } finally {
        process.umask(old);
      }
      for (const name of readdirSync(path)) {
        t.is((statSync(join(path, name)).mode & 0o7777).toString(8).padStart(4, '0'), name);
      }
      t.is(readdirSync(path).length, modes.length);
    },
  );
}

testEveryWay(
  'files and links get the recorded owner, in directories that hand on their group, too',
  async (t, { extractArchive }) => {
    if (!requirement(t, { root: true })) return;
    const path = target(t);
    mkdirSync(path);
    chownSync(path, 0, 5);
    chmodSync(path, 0o2755);
    const owners: readonly (readonly [uid: number, gid: number])[] = [
      [0, 0],
      [0, 5],
      [0, 6],
      [7, 0],
      [7, 5],
    ];
    const children = owners.flatMap(([uid, gid]) => {
      const entry: ForgedEntry = { uid, gid, mode: 0o104755 };
      const name = `${uid}:${gid}`;
      return [
        [`file ${name}`, file('x', { entry })] as const,
        [`link ${name}`, symlink('x', { entry: { uid, gid } })] as const,
      ];
    });
    await extractArchive(forgeArchive(directory([['d', directory(children)], ...children])), path);
    for (const folder of [path, join(path, 'd')]) {
      for (const name of readdirSync(folder)) {
        const { uid, gid, mode } = lstatSync(join(folder, name));
        if (name === 'd') continue;
        t.is(name.slice(5), `${uid}:${gid}`, name);
        if (name.startsWith('file')) t.is(mode & 0o7777, 0o4755, name);
      }
    }
  },
);

testEveryWay(
  'what somebody has put in a new directory meanwhile is replaced, not written through',
  async (t, { extractArchive }) => {
    const canary = canaryTree(t);
    const path = target(t);
    const archive = forgeArchive(
      directory([
        [
          'd',
          directory([
            ['f', file('new')],
            ['l', symlink('new')],
            ['m', file('new')],
          ]),
        ],
      ]),
    );
    await extractArchive(archive, path, {
      mask: UNPRIVILEGED,
      afterEvent: (event) => {
        if (event.kind !== 'enter' || Buffer.from(event.name).toString() !== 'd') return;
        symlinkSync(join(canary.path, 'secret'), join(path, 'd/f'));
        mkdirSync(join(path, 'd/l'));
        writeFileSync(join(path, 'd/l/x'), 'planted');
        mkdirSync(join(path, 'd/m'));
      },
    });
    t.deepEqual(readdirSync(join(path, 'd')), ['f', 'l', 'm']);
    t.true(lstatSync(join(path, 'd/f')).isFile());
    t.is(readlinkSync(join(path, 'd/l')), 'new');
    t.is(readFileSync(join(path, 'd/m'), 'utf8'), 'new');
    canary.assertUntouched();
  },
);

testEveryWay(
  'links in a directory that others may write to are restored like those in any other',
  async (t, { extractArchive }) => {
    const path = target(t);
    mkdirSync(path);
    chmodSync(path, 0o777);
    const entry = { mtime: 1_234_567_890_123_456_789n };
    const archive = forgeArchive(
      directory([
        ['f', file('x', { entry })],
        ['l', symlink('x', { entry })],
      ]),
    );
    for (let round = 0; round < 2; round++) {
      await extractArchive(archive, path, { mask: UNPRIVILEGED });
      for (const name of ['f', 'l']) {
        t.is(lstatSync(join(path, name), { bigint: true }).mtimeNs, 1_234_567_890_123_456_789n);
      }
    }
  },
);

testEveryWay(
  'without permissions files have the recorded ones less the umask',
  async (t, { extractArchive }) => {
    const path = target(t);
    const flags = 0xb000_0000_0000_0000n | FEATURE.timeNsec;
    const entry = (mode: number) => ({ featureFlags: flags, mode });
    const archive = forgeArchive(
      directory([['f', file('x', { entry: entry(0o100666) })]], { entry: entry(0o040777) }),
    );
    const old = process.umask(0o027);
    try {
      await extractArchive(archive, path);
    } finally {
      process.umask(old);
    }
    t.is(statSync(join(path, 'f')).mode & 0o7777, 0o640);
  },
);

for (const size of [0, 1, 4096, 131_072, 131_073]) {
  testEveryWay(
    `a file of ${size} bytes of zeros has its length, and of other bytes its content`,
    async (t, { extractArchive }) => {
      const path = target(t);
      const archive = forgeArchive(
        directory([
          ['a', file(new Uint8Array(size))],
          ['b', file(new Uint8Array(size).fill(1))],
        ]),
      );
      for (const punchHoles of [true, false]) {
        await extractArchive(archive, path, { mask: UNPRIVILEGED, punchHoles });
        t.true(readFileSync(join(path, 'a')).equals(new Uint8Array(size)));
        t.true(readFileSync(join(path, 'b')).equals(new Uint8Array(size).fill(1)));
        if (punchHoles && size > 4095) t.is(statSync(join(path, 'a')).blocks, 0);
      }
    },
  );
}

testEveryWay(
  'content that is not as long as announced leaves nothing behind',
  async (t, { extractEvents }) => {
    const [root, enter, data] = parseArchive(forgeArchive(directory([['x', file('content')]])));
    for (const wrong of [
      [enter, data, data],
      [enter, { kind: 'leave' } as const],
    ]) {
      const path = target(t);
      const error = await t.throwsAsync(
        extractEvents([root, ...wrong], path, { mask: UNPRIVILEGED }),
      );
      t.like(error, { code: 'SOURCE_CHANGED', subject: `${path}/x` });
      t.false(readdirSync(path).some((name) => name.startsWith('.#')));
    }
  },
);
