/** What comparisons of our command with the reference have in common. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeRun, type RunOptions, type RunResult } from '../helpers/run-casync.ts';
import type { Random } from '../property/random.ts';

/** Something that takes a casync command line. */
export type Program = (args: readonly string[], options?: RunOptions) => Promise<RunResult>;

export interface CaseSetting {
  /** Decides everything about the case. */
  readonly random: Random;
  /** Existing empty folder for everything the case makes. */
  readonly folder: string;
  /** The command under test. */
  readonly ours: Program;
  readonly reference: Program;
}

export interface CaseReport {
  /** Empty if both programs did the same. */
  readonly differences: readonly string[];
  /** Both refused to make the archive or index, as they may with odd options. */
  readonly bothFailed: boolean;
}

/** The results of the same command line in both programs. */
export interface Pair {
  readonly ours: RunResult;
  readonly reference: RunResult;
}

/** Collects differences, with the command lines that lead to them. */
export class Differences {
  readonly lines: string[] = [];

  add(what: string, ...runs: readonly RunResult[]): void {
    this.lines.push([what, ...runs.map(describeRun)].join('\n    '));
  }

  /**
   * Notes where the two do not agree on success or, if they succeed, on standard output; and any
   * text of ours on standard error of a success.
   * @returns whether both succeeded
   */
  outcome(what: string, { ours, reference }: Pair): boolean {
    const succeeded = ours.status === 0;
    if (succeeded !== (reference.status === 0)) {
      this.add(`${what}: one fails, the other does not`, reference, ours);
      return false;
    }
    if (!succeeded) return false;
    if (!ours.stdout.equals(reference.stdout)) {
      this.add(`${what}: ${firstDifference(ours.stdout, reference.stdout)}`, reference, ours);
    }
    if (ours.stderr.length > 0) this.add(`${what}: a success is not silent`, ours);
    return true;
  }

  files(what: string, ours: string, reference: string): void {
    const [a, b] = [readFileSync(ours), readFileSync(reference)];
    if (!a.equals(b)) this.lines.push(`${what}: files of ${a.length} and ${b.length} bytes differ`);
  }

  /** Both stores must hold the same chunks; their compressed bytes may differ. */
  stores(ours: string, reference: string): void {
    const [a, b] = [chunkNames(ours), chunkNames(reference)];
    const extra = a.filter((name) => !b.includes(name));
    const missing = b.filter((name) => !a.includes(name));
    if (extra.length + missing.length === 0) return;
    this.lines.push(`stores: ${missing.length} chunks are missing, ${extra.length} are too many`);
  }
}

function firstDifference(ours: Buffer, reference: Buffer): string {
  const [a, b] = [ours.toString('latin1').split('\n'), reference.toString('latin1').split('\n')];
  const line = a.findIndex((text, i) => text !== b[i]);
  const at = line < 0 ? a.length : line;
  return `output differs in line ${at + 1}:\n    reference: ${b[at]}\n    ours:      ${a[at]}`;
}

/** Names of the chunk files of a store, which may not exist. */
export function chunkNames(store: string): readonly string[] {
  if (!existsSync(store)) return [];
  const names = readdirSync(store).flatMap((shard) => readdirSync(join(store, shard)));
  return names.sort();
}

/** Runs the same words in both programs, the reference first. */
export async function runBoth(setting: CaseSetting, words: readonly string[]): Promise<Pair> {
  const reference = await setting.reference(words);
  return { reference, ours: await setting.ours(words) };
}
