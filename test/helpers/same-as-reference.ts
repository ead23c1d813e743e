/**
 * Runs command lines through our command and the original and compares what comes out, for tables of
 * the command line's contract. The runs are made a few at a time.
 */
import { cpus } from 'node:os';
import type { ExecutionContext } from 'ava';
import { requirement } from './requirements.ts';
import { CASYNC, type RunOptions, type RunResult, runCasync, runReference } from './run-casync.ts';
import { turns } from './turns.ts';

export interface Outcome {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Variables that would change what is compared. */
const CLEAN = {
  CASYNC_DIGEST: undefined,
  CASYNC_LOG_LEVEL: undefined,
  CASYNC_STORE: undefined,
  CASYNC_VERBOSE: undefined,
  POSIXLY_CORRECT: undefined,
};

const inTurn = turns(cpus().length);

function outcomeOf({ status, stdout, stderr }: RunResult): Outcome {
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** What our command does, its name as if it had been called `casync`. */
export function ourOutcome(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return inTurn(async () => {
    const result = await runCasync(args, { ...options, env: { ...CLEAN, ...options.env } });
    const { status, stdout, stderr } = outcomeOf(result);
    const name = CASYNC.replace(/\.cjs$/, '');
    return { status, stdout, stderr: stderr.replaceAll(name, 'casync') };
  });
}

/** What the original does. */
export function referenceOutcome(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  return inTurn(async () =>
    outcomeOf(await runReference(args, { ...options, env: { ...CLEAN, ...options.env } })),
  );
}

/** Asserts that both do the same. */
export async function assertSameAsReference(
  t: ExecutionContext,
  args: readonly string[],
  options: RunOptions = {},
): Promise<void> {
  t.timeout(240_000);
  if (!requirement(t, { commands: ['casync'] })) return;
  const [ours, theirs] = await Promise.all([
    ourOutcome(args, options),
    referenceOutcome(args, options),
  ]);
  t.deepEqual(ours, theirs, `casync ${args.join(' ')}`);
}
