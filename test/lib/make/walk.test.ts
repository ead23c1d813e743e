import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { CatarEvent, EnterEvent } from '../../../formats/catar-events.ts';
import { CatarSerializer } from '../../../formats/catar-serializer.ts';
import type { WalkOptions } from '../../../lib/make/folder-reader.node.ts';
import { walkTree } from '../../../lib/make/walk.node.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { loopMount, loopMountNeeds } from '../../helpers/loop-mount.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const DEFAULT_FLAGS = 0xb0000001ffeffe26n;

function options(more: Partial<WalkOptions> = {}): WalkOptions {
  const base = { label: 'tree', contents: 'read', applyExcludeFiles: true } as const;
  return { ...base, featureFlags: DEFAULT_FLAGS, ...more };
}

function walk(root: string, more: Partial<WalkOptions> = {}): Generator<CatarEvent> {
  return walkTree(Buffer.from(root), options(more));
}

/** Names in the order of the events, directories with a slash. */
function namesOf(events: Iterable<CatarEvent>): readonly string[] {
  return [...events]
    .filter((event): event is EnterEvent => event.kind === 'enter')
    .slice(1)
    .map(({ name, node }) => `${Buffer.from(name)}${node.type === 'directory' ? '/' : ''}`);
}

/** Takes events until `name` is entered. */
function takeUntil(events: Iterator<CatarEvent>, name: string): EnterEvent {
  for (;;) {
    const { value, done } = events.next();
    if (done) throw new Error(`${name} was not entered`);
    if (value.kind === 'enter' && Buffer.from(value.name).toString() === name) return value;
  }
}

function drain(events: Iterator<CatarEvent>): void {
  while (!events.next().done);
}

test('entries come in byte order, a directory before its contents', (t) => {
  const root = temporaryFolder(t);
  for (const name of ['b', 'B', 'ab', 'a-', 'ä', 'a']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'a/z'), '');
  writeFileSync(join(root, '~'), '');
  const names = ['B/', 'a/', 'z', 'a-/', 'ab/', 'b/', '~', 'ä/'];
  t.deepEqual(namesOf(walk(root)), names);
});

test('names are bytes', (t) => {
  const root = temporaryFolder(t);
  const name = Buffer.from([0xff, 0x0a, 0x20]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), 'x');
  const entered = [...walk(root)].filter((event) => event.kind === 'enter');
  t.deepEqual(Buffer.from(entered[1].name), name);
});

test('every node is left, and a file gives its bytes in between', (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'file'), 'content');
  writeFileSync(join(root, 'empty'), '');
  const kinds = [...walk(root)].map((event) =>
    event.kind === 'data' ? Buffer.from(event.bytes).toString() : event.kind,
  );
  t.deepEqual(kinds, ['enter', 'enter', 'leave', 'enter', 'content', 'leave', 'leave']);
  t.deepEqual(
    [...walk(root, { contents: 'skip' })].filter((event) => event.kind === 'data'),
    [],
  );
});

test('large files come in pieces', (t) => {
  const root = temporaryFolder(t);
  const content = Buffer.alloc(2_500_000, 'abcdefg');
  writeFileSync(join(root, 'file'), content);
  const hash = createHash('sha256');
  for (const event of walk(root)) if (event.kind === 'data') hash.update(event.bytes);
  t.is(hash.digest('hex'), createHash('sha256').update(content).digest('hex'));
});

test('the root may be an open directory, which stays open', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a'));
  const fd = openSync(root, 'r');
  t.deepEqual(namesOf(walkTree(fd, options())), ['a/']);
  t.notThrows(() => closeSync(fd));
});

test('a root that is no directory is refused', (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, '');
  t.throws(() => drain(walk(path)), { message: 'tree: open: Not a directory' });
  const fd = openSync(path, 'r');
  t.teardown(() => closeSync(fd));
  t.throws(() => drain(walkTree(fd, options())), { message: 'tree: read: Not a directory' });
});

test('a walk that ends early or fails leaves nothing open', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  writeFileSync(join(root, 'a/b/c/file'), 'x');
  const openCount = () => descriptorCount(root);
  const before = openCount();
  for (let i = 0; i < 20; i++) {
    for (const event of walk(root)) if (event.kind === 'data') break;
    const controller = new AbortController();
    const events = walk(root, { signal: controller.signal });
    takeUntil(events, 'b');
    controller.abort();
    t.throws(() => drain(events), { code: 'ABORTED' });
    drain(walk(root));
  }
  t.is(openCount(), before);
});

test('64 nodes may be nested, not more', (t) => {
  const root = temporaryFolder(t);
  const deep = join(root, ...Array.from({ length: 62 }, () => 'd'));
  mkdirSync(join(deep, 'last'), { recursive: true });
  t.is(namesOf(walk(root)).length, 63);
  writeFileSync(join(deep, 'last/file'), '');
  t.throws(() => drain(walk(root)), {
    code: 'LIMIT_EXCEEDED',
    message: /^tree\/d\/.*last\/file: /,
  });
});

test('progress names each entry by its path', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/file'), '');
  const said: string[] = [];
  drain(walk(root, { onEntry: (path, stage) => said.push(`${stage} ${Buffer.from(path)}`) }));
  t.deepEqual(said, [
    'begin ',
    'begin a',
    'begin a/b',
    'end a/b',
    'begin a/file',
    'end a/file',
    'end a',
    'end ',
  ]);
});

test('excluded entries are left out without being opened', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'kept/tmp'), { recursive: true });
  mkdirSync(join(root, 'tmp'));
  for (const name of ['a.o', 'kept/b.o', 'kept/c', 'tmp/x']) writeFileSync(join(root, name), '');
  writeFileSync(join(root, '.caexclude'), '*.o\ntmp/\n');
  t.deepEqual(namesOf(walk(root)), ['.caexclude', 'kept/', 'c', 'tmp/']);
  const all = ['.caexclude', 'a.o', 'kept/', 'b.o', 'c', 'tmp/', 'tmp/', 'x'];
  t.deepEqual(namesOf(walk(root, { applyExcludeFiles: false })), all);
});

test('an exclude file that cannot be read is an error', (t) => {
  for (const [target, message] of [
    ['nowhere', /^tree\/sub: read exclude rules: No such file/],
    ['.', /^tree\/sub: read exclude rules: Is a directory/],
    ['/dev/null', /^tree\/sub: read exclude rules: not a regular file/],
  ] as const) {
    const root = temporaryFolder(t);
    mkdirSync(join(root, 'sub'));
    symlinkSync(target, join(root, 'sub/.caexclude'));
    t.throws(() => drain(walk(root)), { message });
  }
});

test('virtual file systems are empty', (t) => {
  t.deepEqual(namesOf(walk('/proc')), []);
});

test('a file that grows while it is read is reported and keeps its size', (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'file'), Buffer.alloc(3_000_000));
  const reports: string[] = [];
  const onIncomplete = (label: string, reason: string) => reports.push(`${label}: ${reason}`);
  const events = walk(root, { onIncomplete });
  takeUntil(events, 'file');
  let length = 0;
  for (let event = events.next(); !event.done; event = events.next()) {
    if (event.value.kind !== 'data') continue;
    length += event.value.bytes.length;
    appendFileSync(join(root, 'file'), 'more');
  }
  t.is(length, 3_000_000);
  t.deepEqual(reports, ['tree/file: file changed while it was read']);
});

test('a file that shrinks while it is read is an error', (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'the file'), Buffer.alloc(3_000_000));
  const events = walk(root);
  takeUntil(events, 'the file');
  events.next();
  truncateSync(join(root, 'the file'), 10);
  t.throws(() => drain(events), {
    code: 'SOURCE_CHANGED',
    message: /^tree\/the\\040file: read: file became shorter/,
  });
});

test('entries that vanish are reported and skipped', (t) => {
  const root = temporaryFolder(t);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(root, name), '');
  const reports: string[] = [];
  const events = walk(root, { onIncomplete: (...parts) => reports.push(parts.join(': ')) });
  takeUntil(events, 'a');
  rmSync(join(root, 'b'));
  takeUntil(events, 'c');
  drain(events);
  t.deepEqual(reports, ['tree/b: vanished while the folder was read']);
});

test('entries that appear after the folder was listed are reported', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'sub'));
  const reports: string[] = [];
  const events = walk(root, { onIncomplete: (...parts) => reports.push(parts.join(': ')) });
  takeUntil(events, 'sub');
  events.next();
  writeFileSync(join(root, 'new'), '');
  drain(events);
  t.deepEqual(reports, ['tree: folder changed while it was read']);
});

test('a directory that is swapped for a link during the walk is not left', (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  mkdirSync(join(root, 'sub'), { recursive: true });
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(root, 'sub/inside'), '');
  writeFileSync(join(folder, 'outside/secret'), '');
  const events = walk(root, { onIncomplete: () => undefined });
  takeUntil(events, 'sub');
  renameSync(join(root, 'sub'), join(folder, 'moved'));
  symlinkSync(join(folder, 'outside'), join(root, 'sub'));
  t.deepEqual(namesOf([{ kind: 'enter' } as EnterEvent, ...events]), ['inside']);
});

test('what may not be read is an error with its path', (t) => {
  if (!requirement(t, { root: true })) return;
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'sub'));
  execFileSync('chmod', ['755', root]);
  writeFileSync(join(root, 'sub/file'), '', { mode: 0 });
  process.seteuid?.(65534);
  try {
    t.throws(() => drain(walk(root)), {
      code: 'DENIED',
      message: 'tree/sub/file: open: Permission denied',
    });
  } finally {
    process.seteuid?.(0);
  }
});

test('fifos, sockets and devices are described and not opened', (t) => {
  const root = temporaryFolder(t);
  execFileSync('mkfifo', [join(root, 'fifo')]);
  t.deepEqual(namesOf(walk(root)), ['fifo']);
  t.deepEqual(namesOf(walk(root, { featureFlags: DEFAULT_FLAGS & ~0x800n })), []);
});

test('mounts below the root are left out on demand', (t) => {
  if (!requirement(t, { root: true, commands: ['mount'] })) return;
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'mounted'));
  mkdirSync(join(root, 'plain'));
  writeFileSync(join(root, 'file'), '');
  execFileSync('mount', ['--bind', join(root, 'plain'), join(root, 'mounted')]);
  t.teardown(() => execFileSync('umount', [join(root, 'mounted')]));
  t.deepEqual(namesOf(walk(root)), ['file', 'mounted/', 'plain/']);
  const featureFlags = DEFAULT_FLAGS | (1n << 62n);
  t.deepEqual(namesOf(walk(root, { featureFlags })), ['file', 'plain/']);
});

function archive(root: string, more: Partial<WalkOptions> = {}): Buffer {
  const serializer = new CatarSerializer(more.featureFlags ?? DEFAULT_FLAGS);
  const parts: Buffer[] = [];
  for (const event of walk(root, more)) {
    for (const bytes of serializer.push(event)) parts.push(Buffer.from(bytes));
  }
  return Buffer.concat(parts);
}

function reference(t: Parameters<typeof temporaryFolder>[0], root: string): Buffer {
  const path = join(temporaryFolder(t), 'reference.catar');
  execFileSync('casync', ['--digest=sha512-256', 'make', path, root]);
  return readFileSync(path);
}

for (const type of ['xfs', 'btrfs'] as const) {
  test(`the archive of a tree on ${type} is that of casync`, (t) => {
    const needs = loopMountNeeds(type);
    if (!requirement(t, { ...needs, commands: [...(needs.commands ?? []), 'casync'] })) return;
    const root = loopMount(t, type);
    const run = (command: string) =>
      execFileSync('sh', ['-ec', command], { cwd: root, stdio: 'pipe' });
    run('mkdir dir; echo x > dir/file; echo y > file; setfattr -n user.x -v y file');
    run('chattr +d dir/file; chattr +A file; setfacl -m u:1:r,g:70000:w,d:u:5:rwx dir');
    if (type === 'xfs') {
      run('xfs_io -c "chproj 4000000000" file; xfs_io -c "chproj 7" dir');
      run('setcap cap_net_raw+ep file; setfattr -n security.selinux -v a:b:c:d dir');
    } else {
      run('btrfs subvolume create a; echo z > a/z; btrfs subvolume snapshot -r a b');
      run('chattr +C dir; touch dir/nocow; chattr +c file; touch n; chattr +m n');
    }
    t.deepEqual(archive(root), reference(t, root));
  });
}
