/** Extraction while another process changes the target (spec/promises.md, 5). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutionContext } from 'ava';
import { isCasError } from '../../formats/errors.ts';
import { testEveryWay, type Way } from '../helpers/every-way.ts';
import type { ExtractionOptions } from '../helpers/extract-tree.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { canaryTree } from '../helpers/tree-snapshot.ts';
import { directory, file, forgeArchive, symlink } from './forge.ts';

const DURATION_MS = 1500;

interface Thief {
  /** Ends it. @returns how often it had success */
  stop(): Promise<number>;
}

async function startThief(t: ExecutionContext, ...words: readonly string[]): Promise<Thief> {
  const program = join(import.meta.dirname, 'thief.ts');
  const child = spawn(process.execPath, ['--import=tsx', program, ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill());
  const lines = createInterface(child.stdout);
  await once(lines, 'line');
  return {
    async stop() {
      const last = once(lines, 'line');
      child.stdin.end();
      return Number((await last)[0]);
    },
  };
}

/** Extracts again and again. @returns how many extractions ended well */
async function extractRepeatedly(
  { extractArchive }: Way,
  archive: Uint8Array,
  target: string,
  options: ExtractionOptions = {},
): Promise<number> {
  const end = performance.now() + DURATION_MS;
  let count = 0;
  while (performance.now() < end) {
    try {
      await extractArchive(archive, target, options);
      count += 1;
    } catch (error) {
      // The thief may make it fail, but only with an error that says why.
      if (!isCasError(error)) throw error;
    }
  }
  return count;
}

/** Everything that a canary has, with other content, and more. */
const TRAP = directory([
  ['dir', directory([['inner', file('overwritten')]])],
  ['extra', directory([['file', file('created')]])],
  ['link', symlink('overwritten')],
  ['secret', file('overwritten', { entry: { mode: 0o100777 } })],
]);

testEveryWay('a directory that is swapped with a link leads nowhere', async (t, way) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  const [target, decoy] = [join(folder, 'target'), join(folder, 'decoy')];
  mkdirSync(join(target, 'd'), { recursive: true });
  symlinkSync(canary.path, decoy);
  const thief = await startThief(t, 'swap', join(target, 'd'), decoy, canary.path);
  const archive = forgeArchive(directory([['d', TRAP]]));
  await extractRepeatedly(way, archive, target, { mask: 0x13aebb20n });
  const swaps = await thief.stop();
  t.log(`${swaps} swaps`);
  t.true(swaps > 50);
  canary.assertUntouched();
});

testEveryWay('a directory that is swapped while it is removed leads nowhere', async (t, way) => {
  const canary = canaryTree(t);
  const folder = temporaryFolder(t);
  const [target, decoy] = [join(folder, 'target'), join(folder, 'decoy')];
  mkdirSync(target);
  symlinkSync(canary.path, decoy);
  const full = forgeArchive(directory([['d', TRAP]]));
  const empty = forgeArchive(directory());
  await way.extractArchive(full, target, { mask: 0x13aebb20n });
  const thief = await startThief(t, 'swap', join(target, 'd'), decoy, canary.path);
  const end = performance.now() + DURATION_MS;
  while (performance.now() < end) {
    for (const archive of [full, empty]) {
      try {
        await way.extractArchive(archive, target, { mask: 0x13aebb20n });
      } catch (error) {
        if (!isCasError(error)) throw error;
      }
    }
  }
  const swaps = await thief.stop();
  t.log(`${swaps} swaps`);
  t.true(swaps > 50);
  canary.assertUntouched();
});

/** The content of the canary's file, with other attributes, small and streamed. */
const EQUAL = Buffer.from('canary\n');
const LURE = { mode: 0o100777, mtime: 12_345 };

for (const task of ['swap', 'link'] as const) {
  testEveryWay(
    `a file of equal content that is exchanged while it is compared stays as it is: ${task}`,
    async (t, way) => {
      const canary = canaryTree(t);
      const folder = temporaryFolder(t);
      const [target, decoy] = [join(folder, 'target'), join(folder, 'decoy')];
      const secret = join(canary.path, 'secret');
      const others = Array.from({ length: 20 }, (_, i) => [`g${i + 10}`, file('x')] as const);
      const archive = forgeArchive(directory([['f', file(EQUAL, { entry: LURE })], ...others]));
      await way.extractArchive(archive, target, { mask: 0x13aebb20n });
      if (task === 'swap') symlinkSync(secret, decoy);
      const thief = await startThief(t, task, join(target, 'f'), decoy, secret);
      await extractRepeatedly(way, archive, target, { mask: 0x13aebb20n });
      const successes = await thief.stop();
      t.log(`${successes} times exchanged`);
      t.true(successes > 50);
      canary.assertUntouched();
    },
  );
}

testEveryWay(
  'a set-uid file is never there with another owner than the recorded one',
  async (t, way) => {
    if (!requirement(t, { root: true })) return;
    const target = join(temporaryFolder(t), 'target');
    mkdirSync(target);
    const spy = await startThief(t, 'spy', target, '1');
    const entry = { mode: 0o104755, uid: 1, gid: 1 };
    const count = await extractRepeatedly(
      way,
      forgeArchive(
        directory(
          Array.from({ length: 30 }, (_, i) => [`f${i + 10}`, file('x', { entry })] as const),
        ),
      ),
      target,
    );
    t.is(await spy.stop(), 0);
    t.true(count > 0);
    t.is(lstatSync(join(target, 'f10')).mode & 0o7777, 0o4755);
    chmodSync(target, 0o700);
  },
);
