/**
 * Rows of a contract with scripts: each names a command line, and both programs run it in equal
 * folders in the same run. Whatever a row does not call a difference must be equal: exit status,
 * standard output, standard error, and what `after` shows.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { type Requirements, requirement } from '../helpers/requirements.ts';
import { CASYNC, type RunResult, runCasync, runReference } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree, temporaryFolder } from '../helpers/temporary-folder.ts';
import { turns } from '../helpers/turns.ts';

/** What a run is expected to show. Texts are whole, `FOLDER` in them is the folder of the run. */
export interface Expected {
  /** Undefined in an outcome: ended by a signal, or by the time limit. */
  readonly status?: number | 'killed' | 'any failure';
  readonly stdout?: string | RegExp;
  readonly stderr?: string | RegExp;
  /** What the commands of `after` printed. */
  readonly after?: string | RegExp;
}

export interface Row {
  /** What the contract says, in short; the title of the test. */
  readonly law: string;
  readonly args: readonly string[];
  /** Shell commands that prepare the folder (see {@link prepareScene}). */
  readonly before?: string;
  /** How a shell starts the command `"$@"`; default `exec "$@" </dev/null`. */
  readonly shell?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Shell commands that look at the folder afterwards. */
  readonly after?: string;
  /** What both must show. A message alone means: status 1, nothing on standard output. */
  readonly both?: Expected | string;
  /** Deliberate differences. Fields that are not named in either must still be equal. */
  readonly ours?: Expected;
  readonly reference?: Expected;
  /** Where the reference does not end: it is killed then. */
  readonly referenceEndsWithinMs?: number;
  readonly needs?: Requirements;
  /** Why ours does not do it yet. The row must fail then. */
  readonly pending?: string;
}

interface Outcome {
  readonly status: number | 'killed';
  readonly stdout: string;
  readonly stderr: string;
  readonly after: string;
}

/** Much more than anything takes. */
const TIMEOUT_MS = 120_000;
const WHOLE_FILE_MS = 600_000;

const FIELDS = ['status', 'stdout', 'stderr', 'after'] as const;

/** The digest that both use where a row does not say otherwise. */
const ENVIRONMENT = {
  CASYNC_DIGEST: 'sha512-256',
  CASYNC_STORE: undefined,
  CASYNC_VERBOSE: undefined,
  CASYNC_LOG_LEVEL: undefined,
  TMPDIR: undefined,
};

/**
 * The folder that every row begins with:
 *
 *     blob, short            600 kB and 1 kB of noise
 *     tree/                  a, empty, link -> a, sub/b, "sub/a blank"
 *     x.catar, x.caidx       of tree
 *     x.caibx                of blob
 *     default.castr          the chunks of both
 *     fifo
 */
function prepareScene(): string {
  // A source checkout builds itself, which a user without rights in it cannot.
  execFileSync(process.execPath, [CASYNC, '--version'], { stdio: 'ignore' });
  const folder = makeTemporaryFolder();
  mkdirSync(join(folder, 'tree/sub'), { recursive: true });
  writeFileSync(join(folder, 'blob'), noise(600_000));
  writeFileSync(join(folder, 'short'), noise(1000, 2));
  writeFileSync(join(folder, 'tree/a'), 'a\n');
  writeFileSync(join(folder, 'tree/empty'), '');
  writeFileSync(join(folder, 'tree/sub/b'), noise(200_000, 3));
  writeFileSync(join(folder, 'tree/sub/a blank'), 'blank\n');
  const script = [
    'ln -s a tree/link; mkfifo fifo; chmod 4751 tree/a; chmod 755 tree tree/sub; chmod 644 blob',
    "find . -exec touch -h -d '2020-02-03 04:05:06.789 UTC' {} +",
    'casync make x.catar tree; casync make x.caidx tree; casync make x.caibx blob',
  ].join('\n');
  execFileSync('sh', ['-ec', script], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return folder;
}

let scene: string | undefined;

test.after.always('the scene is removed', () => {
  if (scene !== undefined) removeTree(scene);
});

/** A new copy of the scene, removed after the test. */
export function sceneCopy(t: ExecutionContext): string {
  scene ??= prepareScene();
  const folder = join(temporaryFolder(t), 'f');
  execFileSync('cp', ['-a', scene, folder]);
  return folder;
}

function shell(script: string, folder: string): string {
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8' });
  return (stdout + stderr).replaceAll(folder, 'FOLDER');
}

async function runRow(
  t: ExecutionContext,
  row: Row,
  run: typeof runCasync,
  timeoutMs: number,
): Promise<Outcome> {
  const folder = sceneCopy(t);
  if (row.before !== undefined) {
    t.is(shell(`set -e; ${row.before}`, folder), '', 'the folder could not be prepared');
  }
  const result: RunResult = await run(
    row.args.map((word) => word.replaceAll('FOLDER', folder)),
    {
      cwd: folder,
      env: { ...ENVIRONMENT, ...row.env },
      wrapper: ['bash', '-c', row.shell ?? 'exec "$@" </dev/null', 'bash'],
      timeoutMs,
    },
  );
  return {
    status: result.status ?? 'killed',
    stdout: result.stdout.toString('latin1').replaceAll(folder, 'FOLDER'),
    stderr: result.stderr.toString('latin1').replaceAll(folder, 'FOLDER'),
    after: row.after === undefined ? '' : shell(row.after, folder),
  };
}

/** One line for each field that is not as expected. */
function complaints(who: string, outcome: Outcome, expected: Expected | undefined): string[] {
  return FIELDS.flatMap((field) => {
    const [seen, wanted] = [outcome[field], expected?.[field]];
    if (wanted === undefined || isMet(seen, wanted)) return [];
    return [`${field} of ${who}: ${JSON.stringify(seen)}, not ${show(wanted)}`];
  });
}

function isMet(seen: string | number, wanted: string | number | RegExp): boolean {
  if (wanted instanceof RegExp) return wanted.test(String(seen));
  return wanted === 'any failure' ? seen !== 0 : seen === wanted;
}

function show(wanted: string | number | RegExp): string {
  return wanted instanceof RegExp ? String(wanted) : JSON.stringify(wanted);
}

/** One line for each field in which both differ without being allowed to. */
function differences(row: Row, ours: Outcome, reference: Outcome): string[] {
  return FIELDS.filter(
    (field) => row.ours?.[field] === undefined && row.reference?.[field] === undefined,
  )
    .filter((field) => ours[field] !== reference[field])
    .map(
      (field) =>
        `${field}: ours ${JSON.stringify(ours[field])}, reference ${JSON.stringify(reference[field])}`,
    );
}

function expectedOfBoth({ both }: Row): Expected | undefined {
  return typeof both === 'string' ? { status: 1, stdout: '', stderr: `${both}\n` } : both;
}

const inTurn = turns(4);

/** One test for each row. */
export function testRows(rows: readonly Row[]): void {
  for (const row of rows) {
    const run = row.pending === undefined ? test : test.failing;
    const title = row.pending === undefined ? row.law : `${row.law} (not yet: ${row.pending})`;
    run(title, async (t) => {
      // Rows wait for each other.
      t.timeout(WHOLE_FILE_MS);
      const needs = { ...row.needs, commands: ['casync', ...(row.needs?.commands ?? [])] };
      if (!requirement(t, needs)) return;
      const [ours, reference] = await inTurn(() =>
        Promise.all([
          runRow(t, row, runCasync, TIMEOUT_MS),
          runRow(t, row, runReference, row.referenceEndsWithinMs ?? TIMEOUT_MS),
        ]),
      );
      const expected = expectedOfBoth(row);
      const found = [
        ...complaints('ours', ours, { ...expected, ...row.ours }),
        ...complaints('the reference', reference, { ...expected, ...row.reference }),
        ...differences(row, ours, reference),
      ];
      t.deepEqual(found, [], `casync ${row.args.join(' ')}`);
    });
  }
}

/** Shell words that remove all chunks of an index from a store but the first and last ones. */
export function removeMiddle(index: string, store: string): string {
  const script = [
    'import os, sys',
    'table = open(sys.argv[1], "rb").read()[64:-40]',
    'ids = [table[at + 8:at + 40].hex() for at in range(0, len(table), 40)]',
    'for id in ids[10:-10]: os.remove(f"{sys.argv[2]}/{id[:4]}/{id}.cacnk")',
  ];
  return `python3 -c '${script.join('\n')}' ${index} ${store}`;
}
