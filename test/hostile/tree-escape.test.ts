/**
 * Archives and targets that try to make an extraction touch something outside of the target
 * (spec/promises.md, 5): one test per trick, each with a canary that must stay as it is.
 */
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CatarEvent, CatarNode } from '../../formats/catar-events.ts';
import { isCasError } from '../../formats/errors.ts';
import { listXattrs } from '../../lib/os/xattr.node.ts';
import { parseArchive } from '../helpers/catar.ts';
import { testEveryWay } from '../helpers/every-way.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { canaryTree } from '../helpers/tree-snapshot.ts';
import { bare, bytesOf, directory, file, forgeArchive, symlink } from './forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = { mask: 0x13aebb20n };

/** The canary, and an empty target right beside it. */
function scene(t: ExecutionContext) {
  const canary = canaryTree(t);
  const target = join(temporaryFolder(t), 'target');
  mkdirSync(target);
  return { canary, outside: canary.path, target };
}

testEveryWay(
  'a link planted in the target is replaced by the directory of the archive',
  async (t, { extractArchive }) => {
    const { canary, outside, target } = scene(t);
    symlinkSync(outside, join(target, 'a'));
    symlinkSync(relative(target, outside), join(target, 'b'));
    const inner = directory([['secret', file('overwritten')]]);
    const archive = forgeArchive(
      directory([
        ['a', inner],
        ['b', inner],
      ]),
    );
    await extractArchive(archive, target, UNPRIVILEGED);
    t.true(lstatSync(join(target, 'a')).isDirectory());
    t.is(readFileSync(join(target, 'a/secret'), 'utf8'), 'overwritten');
    canary.assertUntouched();
  },
);

testEveryWay(
  'a link planted in the place of a file is replaced, not written through',
  async (t, { extractArchive }) => {
    const { canary, outside, target } = scene(t);
    symlinkSync(join(outside, 'secret'), join(target, 'x'));
    symlinkSync(join(outside, 'new'), join(target, 'y'));
    const archive = forgeArchive(
      directory([
        ['x', file('overwritten')],
        ['y', file('created')],
      ]),
    );
    await extractArchive(archive, target, UNPRIVILEGED);
    t.true(lstatSync(join(target, 'x')).isFile());
    t.true(lstatSync(join(target, 'y')).isFile());
    canary.assertUntouched();
  },
);

testEveryWay(
  "the archive's own link cannot become a directory to write through",
  async (t, { extractArchive }) => {
    const { canary, outside, target } = scene(t);
    const archive = forgeArchive(
      directory([
        ['a', symlink(outside)],
        ['a', directory([['secret', file('overwritten')]])],
      ]),
    );
    const error = await t.throwsAsync(extractArchive(archive, target, UNPRIVILEGED));
    t.regex(String(error?.message), /twice|order|once/);
    canary.assertUntouched();
  },
);

/** The events of an archive, in which the second child gets the name of the first. */
function withNames(names: readonly (string | Uint8Array)[], nodes: readonly CatarNode[]) {
  const root = parseArchive(forgeArchive(directory()))[0];
  const children = nodes.flatMap((node, i): CatarEvent[] => [
    { kind: 'enter', name: bytesOf(names[i]), node },
    { kind: 'leave' },
  ]);
  return [root, ...children, { kind: 'leave' } as const];
}

function nodeOf(forged: Parameters<typeof forgeArchive>[0]): CatarNode {
  const event = parseArchive(forgeArchive(directory([['x', forged]])))[1];
  if (event.kind !== 'enter') throw new TypeError('a node begins with enter');
  return event.node;
}

for (const order of ['sorted', 'unsorted'] as const) {
  testEveryWay(
    `a name that comes twice is refused by the extractor itself: ${order}`,
    async (t, { extractEvents }) => {
      const { canary, outside, target } = scene(t);
      const [link, folder] = [nodeOf(symlink(outside)), nodeOf(directory())];
      const events =
        order === 'sorted'
          ? withNames(['a', 'a'], [link, folder])
          : withNames(['b', 'a', 'b'], [link, folder, folder]);
      const error = await t.throwsAsync(extractEvents(events, target, UNPRIVILEGED));
      t.like(error, { code: 'UNSAFE_NAME' });
      canary.assertUntouched();
    },
  );
}

testEveryWay(
  'names that are out of order but different are no danger',
  async (t, { extractEvents }) => {
    const { target } = scene(t);
    writeFileSync(join(target, 'a'), 'old');
    const folder = nodeOf(directory());
    await extractEvents(withNames(['c', 'a', 'b'], [folder, folder, folder]), target, UNPRIVILEGED);
    t.deepEqual(readdirSync(target).sort(), ['a', 'b', 'c']);
    t.true(lstatSync(join(target, 'a')).isDirectory());
  },
);

for (const [what, name] of [
  ['..', '..'],
  ['.', '.'],
  ['an empty name', ''],
  ['a path upwards', '../secret'],
  ['an absolute path', '/tmp/casync-escape'],
  ['a path downwards', 'a/b'],
  ['a slash at the end', 'a/'],
  ['NUL', 'a\0b'],
  ['NUL at the end', 'a\0'],
  ['256 bytes', 'x'.repeat(256)],
  ['5000 bytes', 'x'.repeat(5000)],
] as const) {
  for (const kind of ['file', 'directory', 'symlink', 'fifo'] as const) {
    testEveryWay(
      `a name is refused, ${kind}: ${what}`,
      async (t, { extractArchive, extractEvents }) => {
        const { canary, target } = scene(t);
        const forged = {
          file: file('x'),
          directory: directory(),
          symlink: symlink('x'),
          fifo: bare(0o010644),
        }[kind];
        const archive = forgeArchive(directory([[name, forged]]));
        const error = await t.throwsAsync(extractArchive(archive, target, UNPRIVILEGED));
        t.true(isCasError(error), String(error));
        const events = withNames([name], [nodeOf(forged)]);
        t.like(await t.throwsAsync(extractEvents(events, target, UNPRIVILEGED)), {
          code: 'UNSAFE_NAME',
        });
        t.deepEqual(readdirSync(target), []);
        canary.assertUntouched();
      },
    );
  }
}

testEveryWay(
  'an inode with a name outside is not written to, nor are its attributes changed',
  async (t, { extractArchive }) => {
    const { canary, outside, target } = scene(t);
    linkSync(join(outside, 'secret'), join(target, 'x'));
    const archive = forgeArchive(
      directory([['x', file('overwritten', { entry: { mode: 0o100777 } })]]),
    );
    await extractArchive(archive, target, UNPRIVILEGED);
    t.is(readFileSync(join(target, 'x'), 'utf8'), 'overwritten');
    t.is(statSync(join(outside, 'secret')).nlink, 1);
    // The link count took part in nothing else: content, mode, owner and times are compared.
    canary.assertUntouched();
  },
);

testEveryWay(
  'what is removed from the target is not removed behind its links',
  async (t, { extractArchive }) => {
    const { canary, outside, target } = scene(t);
    mkdirSync(join(target, 'extra/deep'), { recursive: true });
    symlinkSync(outside, join(target, 'extra/deep/link'));
    symlinkSync(join(outside, 'dir'), join(target, 'link'));
    mkdirSync(join(target, 'file'));
    symlinkSync(outside, join(target, 'file/link'));
    await extractArchive(forgeArchive(directory([['file', file('x')]])), target, UNPRIVILEGED);
    t.deepEqual(readdirSync(target), ['file']);
    canary.assertUntouched();
  },
);

testEveryWay(
  'links that the archive makes get attributes of their own, not of what they lead to',
  async (t, { extractArchive }) => {
    if (!requirement(t, { root: true })) return;
    const { canary, outside, target } = scene(t);
    const entry = { uid: 1, gid: 1, mtime: 12_345 };
    const archive = forgeArchive(
      directory([
        ['dir', symlink(join(outside, 'dir'), { entry })],
        ['secret', symlink(join(outside, 'secret'), { entry })],
      ]),
    );
    await extractArchive(archive, target);
    await extractArchive(archive, target);
    t.like(lstatSync(join(target, 'secret')), { uid: 1, gid: 1 });
    t.is(lstatSync(join(target, 'secret'), { bigint: true }).mtimeNs, 12_345n);
    canary.assertUntouched();
  },
);

testEveryWay(
  'directories are nested no deeper than the original nests them',
  async (t, { extractEvents }) => {
    const { target } = scene(t);
    const nest = (depth: number): CatarEvent[] => {
      const node = nodeOf(directory());
      const root = parseArchive(forgeArchive(directory()))[0];
      const enters = Array.from({ length: depth - 1 }, (): CatarEvent => {
        return { kind: 'enter', name: bytesOf('d'), node };
      });
      return [
        root,
        ...enters,
        ...Array.from({ length: depth }, () => ({ kind: 'leave' }) as const),
      ];
    };
    await extractEvents(nest(64), target, UNPRIVILEGED);
    const error = await t.throwsAsync(extractEvents(nest(65), target, UNPRIVILEGED));
    t.like(error, { code: 'LIMIT_EXCEEDED' });
  },
);

testEveryWay(
  'an attribute outside of user. and trusted. is not restored',
  async (t, { extractEvents }) => {
    if (!requirement(t, { root: true })) return;
    const { target } = scene(t);
    const value = (name: string) => ({ name: bytesOf(name), value: bytesOf('0sAAA=') });
    const plain = nodeOf(directory());
    const node = {
      ...plain,
      xattrs: [value('security.evil'), value('system.posix_acl_access'), value('user.fine')],
    };
    await extractEvents(withNames(['d'], [node]), target);
    t.deepEqual(listXattrs(Buffer.from(join(target, 'd'))).map(String), ['user.fine']);
  },
);
