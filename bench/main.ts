/**
 * `npm run bench`: measures whole commands of this project beside those of other programs, checks
 * what they made, and writes a table, a plot and all samples. `--help` lists the options.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { drawBars } from './bars.ts';
import { type Contestant, findContestants, findInPath, USUAL_NAMES } from './contestants.ts';
import { createDataSets, type DataSet, type DataSetName } from './data-sets.ts';
import { judge, readFloors, type Verdict } from './floors.ts';
import { allowedProcessors, chooseFolder, describeMachine, fileSystemOf } from './machine.ts';
import { chooseMeter, measure } from './measure.ts';
import { type BenchOptions, HELP, parseOptions } from './options.ts';
import { runProgram, say } from './program.ts';
import { READINGS } from './readings.ts';
import { type BenchResult, type DataSetFacts, failuresOf, type RowResult } from './result.ts';
import { allScenarios, type Scenario, selectScenarios } from './rows.ts';
import { drawScaling } from './scaling.ts';
import { lackedBy } from './served.ts';
import { canServe, createServers, type Servers } from './servers.ts';
import { report, verdictTable } from './table.ts';
import { runScenario } from './turns.ts';

const RESULTS = join(import.meta.dirname, 'results');
/** Largest sum of inputs, stores and outputs at one time, with rows of 4 GiB and without. */
const NEEDED_BYTES = { withLarge: 12 * 1024 ** 3, without: 7 * 1024 ** 3 };
const BUSY_LOAD = 0.7;

interface Plan {
  readonly options: BenchOptions;
  readonly contestants: readonly Contestant[];
  readonly scenarios: readonly Scenario[];
  readonly rows: ReadonlySet<string>;
  /** Folder for everything; made and removed by the run. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly servers: Servers;
}

function environment({ workers }: BenchOptions): Record<string, string> {
  // Settings of the user's programs would compare something else.
  const foreign = /^(CASYNC_|AWS_|S3_|BORG_|RESTIC_|ZSTD_|TAR_OPTIONS$|NODE_OPTIONS$|GO)/;
  const kept = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return {
    ...(Object.fromEntries(kept) as Record<string, string>),
    LC_ALL: 'C',
    TZ: 'UTC',
    ...(workers === undefined ? {} : { CASYNC_WORKERS: `${workers}` }),
  };
}

async function runAll(plan: Plan): Promise<BenchResult> {
  const { options, contestants, scenarios, rows, folder, signal, servers } = plan;
  const meter = chooseMeter();
  const machine = describeMachine(folder, meter);
  if (machine.loadBefore > BUSY_LOAD) {
    say(`other programs are running (load ${machine.loadBefore}): times will be unreliable`);
  }
  const processors = allowedProcessors();
  const data = join(folder, 'data');
  mkdirSync(data, { recursive: true });
  const dataSets = createDataSets({ folder: data, scale: options.scale, signal, say });
  const facts = new Map<string, DataSetFacts>();
  const results: RowResult[] = [];
  for (const [i, scenario] of scenarios.entries()) {
    if (!options.keepData) dataSets.keepOnly(scenarios.slice(i).flatMap(dataSetsOf));
    const ready = new Map<DataSetName, DataSet>();
    for (const name of dataSetsOf(scenario)) {
      const dataSet = await dataSets.get(name);
      ready.set(name, dataSet);
      facts.set(name, dataSet.facts);
    }
    const measured = await runScenario(scenario, contestants, ready, {
      folder: join(folder, 'turn'),
      servers,
      rounds: options.rounds,
      warmUps: options.warmUps,
      rows,
      cores: processors.length,
      processors,
      env: environment(options),
      meter,
      signal,
      settle: () => settle(folder, machine.fileSystem, signal),
      say,
    });
    results.push(...measured);
  }
  return {
    machine,
    rounds: options.rounds,
    warmUps: options.warmUps,
    scale: options.scale,
    contestants: contestants.map((contestant) => contestant.facts),
    dataSets: [...facts.values()],
    rows: results,
  };
}

function dataSetsOf({ steps }: Scenario): readonly DataSetName[] {
  return [...new Set(steps.map(({ dataSet }) => dataSet))];
}

/** What the one before has left to be written must not be written during the next one's time. */
async function settle(folder: string, fileSystem: string, signal: AbortSignal): Promise<void> {
  if (fileSystem === 'tmpfs') return;
  const scratch = join(folder, 'usage');
  await measure({ words: ['sync', '-f', folder] }, { meter: chooseMeter(), scratch, signal });
}

/** Whether this machine has all that the scenario needs. */
function isPossible({ cores, steps }: Scenario): boolean {
  if (cores !== undefined && findInPath('taskset') === undefined) return false;
  const readings = steps.filter(({ reading }) => reading !== undefined);
  const lacked = readings
    .map(({ reading }) => reading && lackedBy(READINGS[reading].service))
    .find((what) => what !== undefined);
  const names = readings.map(({ row }) => row).join(', ');
  if (lacked !== undefined) say(`LEFT OUT: ${names}: ${lacked} is missing`);
  return lacked === undefined && steps.every(({ server }) => !server || canServe(server));
}

function planOf(options: BenchOptions, signal: AbortSignal): Plan {
  const scenarios = allScenarios(allowedProcessors().length).filter(isPossible);
  const selected = selectScenarios(scenarios, options.rows);
  const contestants = findContestants({ names: options.peers, paths: options.paths });
  const isLarge = selected.scenarios.flatMap(dataSetsOf).includes('image-4G');
  const needed = NEEDED_BYTES[isLarge ? 'withLarge' : 'without'] * options.scale;
  const parent = options.work === undefined ? chooseFolder(needed) : resolve(options.work);
  const folder = options.keepData
    ? join(parent, 'casync-bench')
    : mkdtempSync(join(madeFolder(parent), 'casync-bench-'));
  mkdirSync(folder, { recursive: true });
  const servers = createServers(join(folder, 'turn'));
  return { options, contestants, ...selected, folder, signal, servers };
}

function madeFolder(path: string): string {
  mkdirSync(path, { recursive: true });
  return path;
}

async function measureAll(options: BenchOptions): Promise<BenchResult> {
  const abort = new AbortController();
  const interruption = Object.assign(new Error('interrupted'), { name: 'AbortError' });
  const onSignal = (): void => abort.abort(interruption);
  // Every time: npm passes on what the terminal has sent already.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const plan = planOf(options, abort.signal);
  say(`in ${plan.folder} (${fileSystemOf(plan.folder)}), ${plan.rows.size} rows:`);
  say(plan.contestants.map(({ facts }) => `${facts.name} ${facts.version}`).join(', '));
  const here = plan.contestants.map(({ peer }) => peer.name);
  const missing = USUAL_NAMES.filter((name) => !here.includes(name));
  if (missing.length > 0 && options.peers === undefined) say(`not here: ${missing.join(', ')}`);
  try {
    return await runAll(plan);
  } finally {
    await plan.servers.stop();
    const left = options.keepData ? join(plan.folder, 'turn') : plan.folder;
    rmSync(left, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Where a run that says nothing about it leaves its reports. */
function usualOut({ scale, rows, peers, from, workers }: BenchOptions, fileSystem: string) {
  const isPart = [rows, peers, from, workers].some((choice) => choice !== undefined) || scale !== 1;
  if (isPart) return undefined;
  return fileSystem === 'tmpfs' ? RESULTS : join(RESULTS, 'disk');
}

function writeReports(
  folder: string,
  result: BenchResult,
  verdicts: readonly Verdict[] | undefined,
) {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  write('results.json', `${JSON.stringify(result, undefined, 1)}\n`);
  write('results.md', report(result, verdicts));
  write('results.svg', drawBars(result));
  write('scaling.svg', drawScaling(result));
  say(`results.json, results.md, results.svg and scaling.svg are in ${folder}`);
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const result: BenchResult =
    options.from === undefined
      ? await measureAll(options)
      : JSON.parse(readFileSync(options.from, 'utf8'));
  const hasFloors = result.scale === 1 && result.machine.fileSystem === 'tmpfs';
  const verdicts = hasFloors ? judge(result, readFloors()) : undefined;
  process.stdout.write(report(result, undefined));
  const out = options.out ?? usualOut(options, result.machine.fileSystem);
  if (out !== undefined) writeReports(resolve(out), result, verdicts);
  const failures = failuresOf(result);
  for (const failure of failures) say(`FAILED: ${failure}`);
  if (!options.checkFloors) return failures.length === 0 ? 0 : 1;
  if (verdicts === undefined) throw new Error('floors are for full data in memory (tmpfs)');
  process.stdout.write(`\n## Floors\n\n${verdictTable(verdicts)}\n`);
  return failures.length === 0 && verdicts.every(({ state }) => state !== 'MISS') ? 0 : 1;
}

await runProgram('bench', main);
