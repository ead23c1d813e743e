// Whatever the jobs do and whenever they do it, the archive and the reports are those of the walk.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { type PackTreeOptions, packTree } from '../../../lib/make/pack-tree.node.ts';
import type { PackEntries } from '../../../lib/make/packing.ts';
import { walkTree } from '../../../lib/make/walk.node.ts';
import { openJobPool } from '../../../lib/work/job-pool.node.ts';
import { packEntries } from '../../../lib/work/jobs/pack-entries.node.ts';
import { serializeTree } from '../../helpers/catar.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { packedArchive, packHere, packNothing, packWhenever } from '../../helpers/packing.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { randomFrom } from '../../property/random.ts';
import { makeRandomTree, randomTreeOptions } from '../../property/trees.ts';

const FEATURE_FLAGS = 0xb0000001ffeffe26n;

interface Outcome {
  readonly archive?: Buffer;
  readonly error?: string;
  readonly reports: readonly string[];
}

function options(reports: string[], more: Partial<PackTreeOptions> = {}): PackTreeOptions {
  return {
    label: 'tree',
    featureFlags: FEATURE_FLAGS,
    applyExcludeFiles: true,
    onIncomplete: (...parts) => reports.push(parts.join(': ')),
    ...more,
  };
}

function walked(root: string, more: Partial<PackTreeOptions> = {}): Outcome {
  const reports: string[] = [];
  const walkOptions = { ...options(reports, more), contents: 'read' } as const;
  try {
    const events = walkTree(Buffer.from(root), walkOptions);
    const pieces = serializeTree(events, walkOptions.featureFlags);
    return { archive: Buffer.concat(Array.from(pieces, (piece) => Buffer.from(piece))), reports };
  } catch (error) {
    return { error: String(error), reports };
  }
}

async function packed(
  root: string,
  pack: PackEntries,
  more: Partial<PackTreeOptions> = {},
): Promise<Outcome> {
  const reports: string[] = [];
  try {
    return { archive: await packedArchive(root, options(reports, more), pack), reports };
  } catch (error) {
    return { error: String(error), reports };
  }
}

/** The same with a digest in place of bytes that nobody could read. */
function summary({ archive, error, reports }: Outcome) {
  const digest = archive && createHash('sha256').update(archive).digest('hex');
  return { length: archive?.length, digest, error, reports };
}

/** Every way to run jobs, all of which must come to the same. */
const RUNNERS: readonly (readonly [name: string, pack: PackEntries])[] = [
  ['here', packHere],
  ['nowhere', packNothing],
  ['whenever 1', packWhenever(randomFrom(1))],
  ['whenever 2', packWhenever(randomFrom(2))],
];

for (const seed of Array.from({ length: 30 }, (_, i) => i + 1000)) {
  test.serial(`random tree ${seed} gives the archive of the walk`, async (t) => {
    const root = join(temporaryFolder(t), 'tree');
    const random = randomFrom(seed);
    makeRandomTree(root, random, { ...randomTreeOptions(random), immutable: false });
    for (const shift of [undefined, { shift: 0, range: 65536 }]) {
      const more = shift === undefined ? {} : { uidShift: shift };
      const expected = walked(root, more);
      for (const [name, pack] of RUNNERS) {
        t.deepEqual(summary(await packed(root, pack, more)), summary(expected), name);
      }
    }
  });
}

test.serial(
  'directories of ten thousand entries, large files and nested directories',
  async (t) => {
    const root = temporaryFolder(t);
    mkdirSync(join(root, 'many'));
    for (let i = 0; i < 10_000; i++) writeFileSync(join(root, 'many', `${i}`), `${i}`);
    mkdirSync(join(root, 'm/n/o/p'), { recursive: true });
    symlinkSync('nowhere', join(root, 'm/n/link'));
    writeFileSync(join(root, 'm/n/o/large'), Buffer.alloc(2_500_000, 'large'));
    writeFileSync(join(root, 'm/n/o/p/small'), 'small');
    for (let i = 0; i < 400; i++) mkdirSync(join(root, `d${i}/e`), { recursive: true });
    const expected = walked(root);
    for (const [name, pack] of RUNNERS) {
      t.deepEqual(summary(await packed(root, pack)), summary(expected), name);
    }
  },
);

test.serial('entries that do not fit into a job together are packed by several', async (t) => {
  const root = temporaryFolder(t);
  for (let i = 0; i < 40; i++) {
    const folder = join(root, `d${i % 4}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${i}`), Buffer.alloc(200_000 + 8000 * i, `${i}`));
  }
  const expected = walked(root);
  for (const [name, pack] of RUNNERS) {
    t.deepEqual(summary(await packed(root, pack)), summary(expected), name);
  }
});

test.serial('63 names may be nested, not more', async (t) => {
  const root = temporaryFolder(t);
  const deep = join(root, ...Array.from({ length: 62 }, () => 'd'));
  mkdirSync(deep, { recursive: true });
  writeFileSync(join(deep, 'file'), '');
  t.deepEqual(await packed(root, packHere), walked(root));
  mkdirSync(join(deep, 'last'));
  writeFileSync(join(deep, 'last/file'), '');
  const outcome = await packed(root, packHere);
  t.regex(outcome.error ?? '', /more than 64 nested folders/);
  t.deepEqual(summary(outcome), summary(walked(root)));
});

/** Does something before the first job. */
function after(change: () => void): PackEntries {
  let isDone = false;
  return async (input) => {
    if (!isDone) change();
    isDone = true;
    return packEntries(undefined, input);
  };
}

test.serial(
  'what vanishes, appears or becomes something else is reported as by the walk',
  async (t) => {
    const root = temporaryFolder(t);
    for (const name of ['a', 'b', 'c', 'd']) writeFileSync(join(root, name), name);
    const outcome = await packed(
      root,
      after(() => {
        rmSync(join(root, 'b'));
        rmSync(join(root, 'c'));
        mkdirSync(join(root, 'c'));
        writeFileSync(join(root, 'c/inside'), 'new');
      }),
    );
    t.deepEqual(outcome.reports, ['tree/b: vanished while the folder was read']);
    const names = ['a', 'c', 'inside', 'd'].map(
      (name) => outcome.archive?.indexOf(`${name}\0`) ?? -1,
    );
    t.true(names.every((offset) => offset >= 0));
    t.deepEqual(
      names,
      names.toSorted((a, b) => a - b),
    );
    t.is(outcome.archive?.indexOf('b\0'), -1);
  },
);

test.serial('a file that changes before it is packed is as it has become', async (t) => {
  const root = temporaryFolder(t);
  const path = join(root, 'file');
  writeFileSync(path, 'old');
  const { archive, reports } = await packed(
    root,
    after(() => appendFileSync(path, ' and new')),
  );
  t.deepEqual(reports, []);
  t.true(archive?.equals(walked(root).archive ?? Buffer.alloc(0)));
});

test.serial('a folder that changes after it was listed is reported once', async (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'sub'));
  writeFileSync(join(root, 'sub/file'), '');
  const { reports } = await packed(
    root,
    after(() => writeFileSync(join(root, 'sub/new'), '')),
  );
  t.deepEqual(reports, ['tree/sub: folder changed while it was read']);
});

test.serial('a directory that is swapped for a link is not left', async (t) => {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  mkdirSync(join(root, 'sub'), { recursive: true });
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(root, 'sub/inside'), '');
  writeFileSync(join(folder, 'outside/secret'), '');
  const { archive } = await packed(
    root,
    after(() => {
      renameSync(join(root, 'sub'), join(folder, 'moved'));
      symlinkSync(join(folder, 'outside'), join(root, 'sub'));
    }),
  );
  t.true(archive?.includes('inside'));
  t.false(archive?.includes('secret'));
});

test.serial('a large file that shrinks while it is read is an error', async (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'the file'), Buffer.alloc(3_000_000));
  const pieces = packTree(Buffer.from(root), options([]), packHere);
  for (let length = 0; length < 1_000_000; ) length += (await pieces.next()).value?.length ?? 0;
  truncateSync(join(root, 'the file'), 10);
  const drain = async () => {
    for await (const _ of pieces);
  };
  await t.throwsAsync(drain, {
    code: 'SOURCE_CHANGED',
    message: /^tree\/the\\040file: read: file became shorter/,
  });
});

test.serial(
  'what may not be read is the same error as in the walk, after the same bytes',
  async (t) => {
    if (!requirement(t, { root: true })) return;
    const root = temporaryFolder(t);
    for (const folder of ['a', 'b', 'c']) mkdirSync(join(root, folder));
    writeFileSync(join(root, 'a/file'), '');
    writeFileSync(join(root, 'b/file'), '', { mode: 0 });
    writeFileSync(join(root, 'c/.caexclude'), '..\n');
    chmodSync(root, 0o755);
    process.seteuid?.(65534);
    try {
      const outcome = await packed(root, packHere);
      t.regex(outcome.error ?? '', /tree\/b\/file: open: Permission denied$/);
      t.deepEqual(outcome, walked(root));
    } finally {
      process.seteuid?.(0);
    }
    const outcome = await packed(root, packHere);
    t.regex(outcome.error ?? '', /tree\/c: .*\.\./);
    t.deepEqual(outcome, walked(root));
  },
);

test.serial('exclude rules and types of files hold', async (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'kept/tmp'), { recursive: true });
  for (const name of ['a.o', 'kept/b.o', 'kept/c', 'kept/tmp/x'])
    writeFileSync(join(root, name), '');
  writeFileSync(join(root, '.caexclude'), '*.o\ntmp/\n');
  execFileSync('mkfifo', [join(root, 'fifo')]);
  for (const applyExcludeFiles of [true, false]) {
    for (const featureFlags of [
      FEATURE_FLAGS,
      FEATURE_FLAGS & ~0x800n,
      FEATURE_FLAGS | (1n << 62n),
    ]) {
      const more = { applyExcludeFiles, featureFlags };
      t.deepEqual(await packed(root, packHere, more), walked(root, more));
    }
  }
});

test.serial('messages about entries come in their order', async (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a'));
  writeFileSync(join(root, 'a/file'), 'x');
  const said: string[] = [];
  const onEntry = (path: Uint8Array, stage: string) => said.push(`${stage} ${Buffer.from(path)}`);
  const { archive } = await packed(root, packHere, { onEntry });
  t.deepEqual(said, ['begin ', 'begin a', 'begin a/file', 'end a/file', 'end a', 'end ']);
  t.deepEqual(archive, walked(root).archive);
});

test.serial('whatever ends it, nothing stays open, and no job is left behind', async (t) => {
  const root = temporaryFolder(t);
  for (let i = 0; i < 50; i++) {
    mkdirSync(join(root, `${i}/deep`), { recursive: true });
    writeFileSync(join(root, `${i}/deep/file`), 'x');
  }
  const openCount = () => descriptorCount(root);
  const before = openCount();
  const runWhenever = packWhenever(randomFrom(3));
  let running = 0;
  const pack: PackEntries = async (input) => {
    running++;
    const output = await runWhenever(input);
    running--;
    return output;
  };
  await packed(root, pack);
  t.is(openCount(), before);
  for await (const _ of packTree(Buffer.from(root), options([]), pack)) break;
  t.deepEqual([openCount(), running], [before, 0]);
  const controller = new AbortController();
  const aborted = packTree(Buffer.from(root), options([], { signal: controller.signal }), pack);
  await aborted.next();
  controller.abort();
  await t.throwsAsync(aborted.next(), { code: 'ABORTED' });
  t.deepEqual([openCount(), running], [before, 0]);
  const failing: PackEntries = async () => {
    throw new Error('thread died');
  };
  t.is((await packed(root, failing)).error, 'Error: thread died');
  t.is(openCount(), before);
});

test.serial('threads give the same archive', async (t) => {
  const root = join(temporaryFolder(t), 'tree');
  const random = randomFrom(4);
  makeRandomTree(root, random, { ...randomTreeOptions(random), nodeCount: 500, immutable: false });
  const pool = openJobPool({}, 2);
  t.teardown(() => pool.close());
  pool.start();
  const outcome = await packed(root, (input) => pool.run('packEntries', input));
  t.deepEqual(summary(outcome), summary(walked(root)));
});
