/** Entries in batches, with threads that answer when the test wants (lib/extract/batch-sink.node.ts). */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CatarParser } from '../../../formats/catar-parser.ts';
import { maskFlags } from '../../../formats/feature-flags.ts';
import { PipelineError } from '../../../lib/errors.ts';
import type { RunRestore } from '../../../lib/extract/batch-sink.node.ts';
import { readBatch } from '../../../lib/extract/entry-batch.node.ts';
import { newTally } from '../../../lib/extract/tally.ts';
import { TreeExtractor } from '../../../lib/extract/tree.node.ts';
import {
  type RestoreInput,
  type RestoreOutput,
  restoreEntries,
} from '../../../lib/work/jobs/restore-entries.node.ts';
import { descriptorCount } from '../../helpers/descriptors.ts';
import { testEveryWay } from '../../helpers/every-way.ts';
import { extractArchive } from '../../helpers/extract-tree.ts';
import { noise } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';
import { snapshotTree } from '../../helpers/tree-snapshot.ts';
import {
  DEFAULT_FLAGS,
  directory,
  type ForgedNode,
  file,
  forgeArchive,
  symlink,
} from '../../hostile/forge.ts';

/** Everything but what needs root. */
const UNPRIVILEGED = 0x13aebb20n;
/** Files in one batch. */
const BATCH = 128;

function named(count: number, content: (i: number) => ForgedNode) {
  return Array.from({ length: count }, (_, i) => {
    return [`f${String(i).padStart(6, '0')}`, content(i)] as const;
  });
}

interface Job {
  readonly input: RestoreInput;
  readonly answer: (output: RestoreOutput) => void;
  readonly die: (error: unknown) => void;
}

/** Jobs that wait for their answer. */
function held(): { readonly jobs: Job[]; readonly run: RunRestore } {
  const jobs: Job[] = [];
  const run: RunRestore = (input) =>
    new Promise((answer, die) => {
      jobs.push({ input, answer, die });
    });
  return { jobs, run };
}

function work({ input, answer }: Job): void {
  answer(restoreEntries(undefined, input));
}

/** Answers that an entry of the batch could not be restored. */
function refuse({ input, answer }: Job, index: number): void {
  const { entry, directory: place, order } = [...readBatch(input.batch)][index];
  const error = { code: 'DENIED', step: 'set owner', reason: 'a reason' };
  const failure = { directory: place, order, name: entry.name.slice(), error };
  answer({ failure, statistics: newTally() });
}

function open(t: ExecutionContext, run: RunRestore): { target: string; extractor: TreeExtractor } {
  const target = join(temporaryFolder(t), 'target');
  const replayFlags = maskFlags(DEFAULT_FLAGS, UNPRIVILEGED);
  return { target, extractor: new TreeExtractor(target, { replayFlags, run }) };
}

/** Feeds an archive. @returns what the first call that has to wait returns */
function feed(extractor: TreeExtractor, archive: Uint8Array): Promise<void> | undefined {
  for (const event of new CatarParser().push(archive)) {
    const pause = extractor.handle(event);
    if (pause !== undefined) return pause;
  }
  return undefined;
}

async function outcome(promise: Promise<unknown> | undefined): Promise<unknown> {
  try {
    return await promise;
  } catch (error) {
    return error;
  }
}

test.serial(
  'of several failures the first in order is reported, whichever came first',
  async (t) => {
    const { jobs, run } = held();
    const { target, extractor } = open(t, run);
    t.is(feed(extractor, forgeArchive(directory(named(3 * BATCH, () => file('x'))))), undefined);
    t.is(jobs.length, 3);
    refuse(jobs[2], 0);
    refuse(jobs[1], 5);
    const end = extractor.finish();
    work(jobs[0]);
    const error = await outcome(end);
    const reason = 'a reason';
    const subject = `${target}/f000133`;
    t.like(error, { code: 'DENIED', subject, step: 'set owner', reason });
    await extractor.abort();
  },
);

test.serial(
  'an entry that failed is reported before what breaks the events off later',
  async (t) => {
    const { jobs, run } = held();
    const { target, extractor } = open(t, run);
    feed(extractor, forgeArchive(directory([['d', directory(named(BATCH, () => file('x')))]])));
    const later = new PipelineError('IO', { reason: 'later' });
    const first = extractor.firstError(later);
    refuse(jobs[0], 3);
    t.like(await first, { subject: `${target}/d/f000003` });
    await extractor.abort();
  },
);

test.serial('without such an entry, what breaks the events off is reported', async (t) => {
  const { jobs, run } = held();
  const { extractor } = open(t, run);
  feed(extractor, forgeArchive(directory(named(10, () => file('x')))));
  const later = new PipelineError('IO', { reason: 'later' });
  const first = extractor.firstError(later);
  t.is(jobs.length, 1);
  work(jobs[0]);
  t.is(await first, later);
  await extractor.abort();
});

test.serial(
  'a name that comes again is refused, also while the first one is under way',
  async (t) => {
    const { jobs, run } = held();
    const { target, extractor } = open(t, run);
    const [a, b] = [file('x'), file('y')];
    const archive = forgeArchive(
      directory([
        ['a', a],
        ['b', b],
        ['a', b],
      ]),
    );
    const pause = feed(extractor, archive);
    t.is(jobs.length, 1);
    work(jobs[0]);
    t.like(await outcome(pause), { code: 'UNSAFE_NAME', subject: `${target}/a` });
    t.is(readFileSync(join(target, 'a'), 'utf8'), 'x');
    await extractor.abort();
  },
);

test.serial('a directory gets its attributes when everything in it is done', async (t) => {
  const { jobs, run } = held();
  const { target, extractor } = open(t, run);
  const entry = { mode: 0o040555, mtime: 1_234_567_890_000_000_001n };
  const inner = directory(
    named(BATCH, () => file('x')),
    { entry },
  );
  const archive = forgeArchive(directory([['d', directory([['e', inner]], { entry })]]));
  t.is(feed(extractor, archive), undefined);
  const mode = (path: string) => statSync(join(target, path)).mode & 0o777;
  t.deepEqual([mode('d'), mode('d/e')], [0o700, 0o700]);
  const end = extractor.finish();
  for (const job of jobs) work(job);
  await end;
  for (const path of ['d', 'd/e']) {
    const stat = statSync(join(target, path), { bigint: true });
    t.is(stat.mtimeNs, entry.mtime);
    t.is(mode(path), 0o555);
  }
});

test.serial(
  'whoever gives up waits for what is under way, and all descriptors are freed',
  async (t) => {
    const { jobs, run } = held();
    const { target, extractor } = open(t, run);
    feed(extractor, forgeArchive(directory([['d', directory(named(2 * BATCH, () => file('x')))]])));
    let isOver = false;
    const end = Promise.resolve(extractor.abort()).then(() => {
      isOver = true;
    });
    t.true(descriptorCount(target) > 0);
    work(jobs[0]);
    await new Promise(setImmediate);
    t.false(isOver);
    jobs[1].die(new PipelineError('ABORTED', { reason: 'interrupted' }));
    await end;
    t.is(descriptorCount(target), 0);
  },
);

test.serial('a thread that dies ends the extraction', async (t) => {
  const { jobs, run } = held();
  const { extractor } = open(t, run);
  feed(extractor, forgeArchive(directory(named(2 * BATCH, () => file('x')))));
  const died = new PipelineError('IO', { reason: 'a thread died' });
  jobs[0].die(died);
  work(jobs[1]);
  t.is(await outcome(extractor.finish()), died);
  await extractor.abort();
});

test.serial('no more is under way than there is memory for', async (t) => {
  const { jobs, run } = held();
  const { target, extractor } = open(t, run);
  const archive = forgeArchive(directory(named(100, () => file(new Uint8Array(100_000).fill(1)))));
  const events = [...new CatarParser().push(archive)];
  let next = 0;
  let mostJobs = 0;
  while (next < events.length) {
    const pause = extractor.handle(events[next++]);
    if (pause === undefined) continue;
    mostJobs = Math.max(mostJobs, jobs.length);
    for (const job of jobs.splice(0)) work(job);
    await pause;
  }
  const end = extractor.finish();
  for (const job of jobs) work(job);
  await end;
  t.is(mostJobs, 16);
  t.is(readdirSync(target).length, 100);
});

const NOISE = noise(140_000);

/** Files of many sizes and links, in directories of many sizes. */
function manyKinds(): ForgedNode {
  const entry = (i: number) => ({
    mode: 0o100000 | [0o644, 0o755, 0o600, 0o4711][i % 4],
    mtime: 1_000_000_000_000_000_000n + BigInt(i * 1_000_003),
  });
  const folder = (count: number, first: number): ForgedNode =>
    directory(
      named(count, (i) => {
        const size = [0, 1, 100, 5000, 70_000, 140_000][(first + i) % 6];
        if (i % 7 === 3) return symlink(`target ${i}`);
        return file(NOISE.subarray(0, size), { entry: entry(first + i) });
      }),
      { entry: { mode: 0o040750, mtime: 1_111_111_111_000_000_000n + BigInt(first) } },
    );
  return directory([
    ['a', directory(Array.from({ length: 60 }, (_, i) => [`d${i + 10}`, folder(i % 5, i)]))],
    ['b', folder(300, 60)],
    ['c', folder(1, 360)],
  ]);
}

testEveryWay('the tree is the same in every way', async (t, way) => {
  const folder = temporaryFolder(t);
  const archive = forgeArchive(manyKinds());
  const [expected, target] = [join(folder, 'expected'), join(folder, 'target')];
  await extractArchive(archive, expected, { mask: UNPRIVILEGED });
  for (let round = 0; round < 2; round++) {
    await way.extractArchive(archive, target, { mask: UNPRIVILEGED });
    t.deepEqual(snapshotTree(target), snapshotTree(expected));
  }
});
