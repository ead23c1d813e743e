/**
 * The command on every damaged archive and index of the golden vectors: an error that names record and
 * offset where the original refuses or hangs, success where it succeeds.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GOLDEN } from '../helpers/golden.ts';
import { runCasync } from '../helpers/run-casync.ts';

/** Owner names that the original writes but refuses to read (spec/formats/catar.md, "Owners"). */
const READ_BY_US = new Set([
  '047-user-b-a-b.catar',
  '055-user-b-na.catar',
  '056-user-b-xc3-xbc.catar',
]);

/** Their structure is right; the chunks behind them are not what they say. */
const WRONG_CHUNKS = new Set([
  '014-flags-flags-zero-sha256.caibx',
  '015-flags-sha256-flag-cleared.caibx',
  '026-first-offset-1-chunk-size-mismatch.caibx',
]);

const EXIT_FORMAT = 14;

interface Expected {
  readonly name: string;
  readonly result: string;
}

function expectations(folder: string): readonly Expected[] {
  return readFileSync(join(GOLDEN, 'invalid', folder, 'expected.tsv'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name, result] = line.split('\t');
      return { name, result };
    });
}

async function check(
  folder: string,
  command: readonly string[],
  message: RegExp,
): Promise<string[]> {
  const complaints: string[] = [];
  for (const { name, result } of expectations(folder)) {
    const path = join(GOLDEN, 'invalid', folder, name);
    const run = await runCasync([...command, path], { timeoutMs: 10_000 });
    const text = run.stderr.toString();
    const isGood = result === 'ok' || READ_BY_US.has(name);
    const expected = WRONG_CHUNKS.has(name)
      ? /^Failed to run synchronizer: .*[0-9a-f]{64}.*\n$/
      : message;
    if (isGood ? run.status !== 0 : run.status !== EXIT_FORMAT || !expected.test(text)) {
      complaints.push(`${name}: expected ${result}, status ${run.status}: ${text}`);
    }
  }
  return complaints;
}

test('every damaged archive is an error with record and offset, or read as the original does', async (t) => {
  t.timeout(120_000);
  const message = /^Failed to run synchronizer: .*\.catar: catar .+ at byte \d+: .+\n$/;
  t.deepEqual(await check('catar', ['list'], message), []);
});

test('every damaged index is an error with record and offset, or read as the original does', async (t) => {
  t.timeout(120_000);
  const message = /^Failed to run synchronizer: .*\.caibx: index .+ at byte \d+: .+\n$/;
  const store = `--store=${join(GOLDEN, 'stores/zstd-sha512-256.castr')}`;
  t.deepEqual(await check('caibx', [store, 'digest'], message), []);
});
