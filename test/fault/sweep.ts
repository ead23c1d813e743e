/** Kills one scenario at several points and collects what is wrong afterwards. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describeRun, runCasync } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { describePoint, findKillPoints, runUntilKilled, spread, warmUp } from './kill-points.ts';
import type { Scenario } from './scenarios.ts';

export interface SweepResult {
  /** Points found in an undisturbed run. */
  readonly availableCount: number;
  /** Points at which the work was really killed. */
  readonly killedCount: number;
  readonly complaints: readonly string[];
}

/** Kills at `count` points, spread over the whole run, and repeats the work after each. */
export async function sweep(scenario: Scenario, count: number): Promise<SweepResult> {
  const root = makeTemporaryFolder();
  const [prepared, folder] = [join(root, 'prepared'), join(root, 'work')];
  const reset = (): void => {
    removeTree(folder);
    // With sockets and devices, which fs-extra does not copy.
    execFileSync('cp', ['-a', prepared, folder]);
  };
  try {
    warmUp();
    // Prepared where the work happens, so that expected files fit; then put aside.
    mkdirSync(join(folder, 'expected'), { recursive: true });
    await scenario.prepare(folder);
    renameSync(folder, prepared);
    reset();
    const points = await findKillPoints(scenario.args(folder), folder);
    const complaints = [...(await scenario.afterSuccess(folder))];
    let killedCount = 0;
    for (const point of spread(points, count)) {
      reset();
      const wasKilled = await runUntilKilled(scenario.args(folder), point);
      if (wasKilled) killedCount++;
      const found = await checkPoint(scenario, folder, wasKilled);
      complaints.push(...found.map((text) => `${scenario.name}: ${describePoint(point)}: ${text}`));
    }
    return { availableCount: points.length, killedCount, complaints };
  } finally {
    removeTree(root);
  }
}

async function checkPoint(
  scenario: Scenario,
  folder: string,
  wasKilled: boolean,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  if (wasKilled) complaints.push(...(await scenario.afterKill(folder)));
  removeTree(join(folder, 'check'));
  const again = await runCasync(scenario.args(folder));
  if (again.status !== 0) return [...complaints, `the second run fails: ${describeRun(again)}`];
  const wrong = await scenario.afterSuccess(folder);
  return [...complaints, ...wrong.map((text) => `after the second run: ${text}`)];
}
