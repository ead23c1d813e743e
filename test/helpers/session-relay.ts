/** A program in the place of ssh that delays, counts or cuts what two sides of a session say. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeScript } from './fake-ssh.ts';
import { CASYNC, type RunResult, runCasync } from './run-casync.ts';

const PROGRAM = resolve(import.meta.dirname, 'session-relay.mjs');

export interface RelayOptions {
  /** One way. */
  readonly delayMs?: number;
  /** Bytes to the far side, after which the connection is gone. */
  readonly cutAfter?: number;
}

export interface RelayedRun {
  readonly result: RunResult;
  /** Of the far side. */
  readonly farStatus: number | null;
  /** Bytes on the wire. */
  readonly there: number;
  readonly back: number;
  /** At most so many waited for each other. */
  readonly roundTrips: number;
  /** What `--stats=json` has said; undefined if the run failed. */
  readonly statistics: Statistics | undefined;
}

interface Statistics {
  readonly images: readonly {
    readonly comparison?: string;
    readonly transferredBytes: number;
    readonly writtenBytes: number;
  }[];
}

/** Runs `sync` with a far side whose folder is `folder`. */
export async function runRelayed(
  folder: string,
  words: readonly string[],
  options: RelayOptions = {},
): Promise<RelayedRun> {
  const report = join(folder, 'relay.json');
  const ssh = writeScript(folder, 'relay', [`exec '${process.execPath}' '${PROGRAM}' "$@"`]);
  const casync = writeScript(folder, 'far-casync', [`exec '${process.execPath}' '${CASYNC}' "$@"`]);
  const result = await runCasync(
    ['sync', '--stats=json', `--ssh=${ssh}`, `--remote-path=${casync}`, ...words],
    { cwd: folder, env: { RELAY: JSON.stringify({ folder, report, ...options }) } },
  );
  const said = result.stderr.toString().trim().split('\n').at(-1) ?? '';
  const statistics = result.status === 0 ? (JSON.parse(said) as Statistics) : undefined;
  return { result, ...JSON.parse(readFileSync(report, 'utf8')), statistics };
}
