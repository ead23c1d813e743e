/** Runs many comparisons with the reference, several at a time, and says what differed. */
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { randomFrom } from '../property/random.ts';
import type { CaseReport, CaseSetting, Program } from './case.ts';

export interface Campaign {
  readonly seed: number;
  /** Number of the first case; with `count` 1 it repeats a single one. */
  readonly first?: number;
  readonly count: number;
  readonly compare: (setting: CaseSetting) => Promise<CaseReport>;
  readonly ours: Program;
  readonly reference: Program;
  /** Called after each case. */
  readonly onCase?: (number: number, report: CaseReport) => void;
  /** Leave the files of cases with differences; their folder is in the result. */
  readonly keep?: boolean;
}

export interface CampaignResult {
  readonly count: number;
  /** Cases in which both programs refused to make the archive. */
  readonly bothFailedCount: number;
  /** Number of the case, and what differed there. */
  readonly failures: readonly {
    readonly number: number;
    readonly differences: readonly string[];
  }[];
}

/** Runs the cases `first` to `first + count - 1`; each depends on the seed and its number only. */
export async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const first = campaign.first ?? 0;
  const failures: { number: number; differences: readonly string[] }[] = [];
  let bothFailedCount = 0;
  let next = first;
  const work = async (): Promise<void> => {
    while (next < first + campaign.count) {
      const number = next++;
      const report = await runCase(campaign, number);
      if (report.bothFailed) bothFailedCount++;
      if (report.differences.length > 0) failures.push({ number, differences: report.differences });
      campaign.onCase?.(number, report);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  failures.sort((a, b) => a.number - b.number);
  return { count: campaign.count, bothFailedCount, failures };
}

async function runCase(campaign: Campaign, number: number): Promise<CaseReport> {
  const { compare, ours, reference } = campaign;
  const root = makeTemporaryFolder();
  const folder = join(root, 'case');
  mkdirSync(folder);
  let kept = false;
  try {
    const random = randomFrom(campaign.seed).fork(number);
    const report = await compare({ random, folder, ours, reference });
    if (campaign.keep !== true || report.differences.length === 0) return report;
    kept = true;
    return { ...report, differences: [...report.differences, `kept in ${folder}`] };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { differences: [`the comparison itself failed: ${text}`], bothFailed: false };
  } finally {
    if (!kept) removeTree(root);
  }
}
