/**
 * Runs a scenario: rounds of turns, in each of which every contestant takes all steps in a folder
 * of its own, which is gone afterwards. Results are checked after every step. The first rounds only
 * warm up: inputs get into the page cache, and memory that the machine has never touched costs
 * whoever touches it first. Used by main.ts.
 */
import { copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Contestant } from './contestants.ts';
import type { DataSet, DataSetName } from './data-sets.ts';
import { type Command, describeCommand, type Meter, measure } from './measure.ts';
import type { Job, Peer, Place } from './peers.ts';
import { READINGS } from './readings.ts';
import type { Measurement, RowResult, Sample, Usage } from './result.ts';
import type { Scenario, Step } from './rows.ts';
import { locatorOf, startServing } from './served.ts';
import type { ServedStore, ServerName, Servers } from './servers.ts';
import { orderOfRound } from './statistics.ts';
import { compareIndexes, findDifference, type IndexComparison } from './verify.ts';

export interface TurnOptions {
  /** Folder for the contestants; made and removed. */
  readonly folder: string;
  readonly rounds: number;
  readonly warmUps: number;
  /** Rows that are measured; other steps are only taken. */
  readonly rows: ReadonlySet<string>;
  /** How many processors there are. */
  readonly cores: number;
  /** Numbers of the processors that may be used. */
  readonly processors: readonly number[];
  readonly env: Readonly<Record<string, string>>;
  readonly meter: Meter;
  readonly servers: Servers;
  readonly signal: AbortSignal;
  /** Called before every command: what others have left to be done must be done. */
  readonly settle: () => Promise<void>;
  readonly say: (line: string) => void;
}

/** Samples and failures of one contestant and row, as they come in. */
interface RowRecord {
  command: string;
  failure?: string;
  readonly samples: Sample[];
}

interface Turn {
  readonly scenario: Scenario;
  readonly contestant: Contestant;
  readonly place: Place;
  readonly isFirst: boolean;
  readonly dataSets: ReadonlyMap<DataSetName, DataSet>;
  readonly indexes: IndexComparison;
  readonly options: TurnOptions;
  readonly onSample: (step: Step, command: Command, usage: Usage) => void;
  /** The stores behind servers that this turn has used. */
  readonly served: Map<ServerName, ServedStore>;
}

/** A wrong result, or a command that failed, with the step that it happened in. */
class StepFailure extends Error {
  readonly row: string;
  constructor(row: string, message: string) {
    super(message);
    this.row = row;
  }
}

/**
 * @returns a row per step that is wanted. Who fails gets no further turns; his row says why.
 * @throws only if interrupted, or if the harness itself cannot go on
 */
export async function runScenario(
  scenario: Scenario,
  everybody: readonly Contestant[],
  dataSets: ReadonlyMap<DataSetName, DataSet>,
  options: TurnOptions,
): Promise<readonly RowResult[]> {
  const contestants = everybody.filter(({ peer }) => takesPart(peer, scenario));
  const indexes = compareIndexes([0, 24]);
  const records = new Map<string, RowRecord>();
  const recordOf = (row: string, name: string): RowRecord => {
    const key = `${row} ${name}`;
    const record = records.get(key) ?? { command: '', samples: [] };
    records.set(key, record);
    return record;
  };
  const failed = new Set<string>();
  for (let turn = 0; turn < options.warmUps + options.rounds; turn++) {
    const round = turn - options.warmUps;
    const order = orderOfRound(contestants, turn);
    for (const [position, contestant] of order.entries()) {
      const { name } = contestant.peer;
      if (failed.has(name)) continue;
      const onSample = (step: Step, command: Command, usage: Usage): void => {
        options.say(progressLine(step.row, round, name, usage));
        if (round < 0 || !options.rows.has(step.row)) return;
        const record = recordOf(step.row, name);
        if (record.samples.length === 0) record.command = describeCommand(command);
        record.samples.push({ round, position, ...usage });
      };
      const place = placeOf(options.folder);
      const isFirst = turn === 0;
      const served = new Map<ServerName, ServedStore>();
      try {
        await takeTurn({
          scenario,
          contestant,
          place,
          isFirst,
          dataSets,
          indexes,
          options,
          onSample,
          served,
        });
      } catch (error) {
        if (!(error instanceof StepFailure)) throw error;
        failed.add(name);
        recordOf(error.row, name).failure = error.message;
        options.say(`${error.row}: ${name}: FAILED: ${error.message}`);
      } finally {
        for (const { clear } of served.values()) await clear();
        rmSync(options.folder, { recursive: true, force: true });
      }
    }
  }
  return scenario.steps.flatMap(({ row, title, dataSet }) => {
    const measurements = contestants.flatMap(({ peer: { name } }): readonly Measurement[] => {
      const record = records.get(`${row} ${name}`);
      return record === undefined ? [] : [{ contestant: name, ...record }];
    });
    const isWanted = options.rows.has(row) || measurements.some((one) => one.failure !== undefined);
    return isWanted ? [{ id: row, title, dataSet, measurements }] : [];
  });
}

function takesPart({ name, kinds, hasNoResult }: Peer, { only, kind }: Scenario): boolean {
  if (only === undefined) return kinds.includes(kind) && hasNoResult !== true;
  return kinds.includes(kind) && only.includes(name);
}

function progressLine(row: string, round: number, name: string, usage: Usage): string {
  const cpu = usage.userSeconds + usage.systemSeconds;
  const times = `${usage.wallSeconds.toFixed(2)} s, CPU ${cpu.toFixed(2)} s`;
  const memory = `${Math.round(usage.peakMemoryBytes / 1024 ** 2)} MiB`;
  return `${row} ${round < 0 ? 'warm-up' : `round ${round + 1}`}: ${name}: ${times}, ${memory}`;
}

function placeOf(folder: string): Place {
  return { state: join(folder, 'state'), output: join(folder, 'output') };
}

async function takeTurn(turn: Turn): Promise<void> {
  const { scenario, contestant } = turn;
  mkdirSync(join(turn.options.folder, 'home'), { recursive: true });
  const needsFirst = scenario.steps.some(({ store }) => store === 'first');
  for (const step of scenario.steps) {
    if (!canTake(scenario, contestant, step)) continue;
    await failingAs(step.row, () => takeStep(turn, step));
    if (step.store === 'empty' && needsFirst) {
      await copyState(turn, turn.place.state, savedState(turn));
    }
  }
}

function canExtract({ cannotExtract }: Scenario, name: string): boolean {
  return cannotExtract?.includes(name) !== true;
}

function canTake(scenario: Scenario, { peer }: Contestant, step: Step): boolean {
  if (step.only !== undefined && !step.only.includes(peer.name)) return false;
  if (step.action === 'extract') return canExtract(scenario, peer.name);
  if (step.action === 'read') return peer.serve !== undefined;
  return peer.hasStore || step.store === 'empty';
}

async function failingAs(row: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    // An abort is nobody's failure.
    if (!(error instanceof Error) || error.name === 'AbortError') throw error;
    throw new StepFailure(row, error.message);
  }
}

async function takeStep(turn: Turn, step: Step): Promise<void> {
  const { contestant, options } = turn;
  const { peer, facts } = contestant;
  const job = jobOf(turn, step);
  if (step.action === 'extract') {
    await extractAndCheck(turn, step, (command, usage) => turn.onSample(step, command, usage));
    return;
  }
  if (step.action === 'read') return await serveAndRead(turn, step);
  if (step.store === 'empty') await newState(turn);
  if (step.store === 'first') await copyState(turn, savedState(turn), turn.place.state);
  const place = await placeOfStep(turn, step);
  const command = completed(turn, peer.make(facts.path, job, place), step);
  await options.settle();
  const usage = await measure(command, measureOptions(turn));
  const index = peer.index?.(job, place);
  const wrong = index && turn.indexes.check(`${job.folder}/${job.name}`, index, peer.name);
  if (wrong !== undefined) throw new Error(wrong);
  // Where no step extracts or reads this, the first turn does: a store can be wrong behind a good index.
  const isExtracted = turn.scenario.steps.some(
    ({ action, snapshot }) => action !== 'make' && snapshot === step.snapshot,
  );
  const isCheckable = turn.isFirst && !isExtracted && canExtract(turn.scenario, peer.name);
  if (isCheckable) await extractAndCheck(turn, step, () => {});
  turn.onSample(step, command, usage);
  options.signal.throwIfAborted();
}

async function extractAndCheck(
  turn: Turn,
  step: Step,
  onUsage: (command: Command, usage: Usage) => void,
): Promise<void> {
  const place = await placeOfStep(turn, step);
  const { peer, facts } = turn.contestant;
  const job = jobOf(turn, step);
  rmSync(place.output, { recursive: true, force: true });
  mkdirSync(place.output);
  if (job.old?.use === 'over') copyFileSync(job.old.path, join(place.output, peer.result(job)));
  const command = completed(turn, peer.extract(facts.path, job, place), step);
  await turn.options.settle();
  const usage = await measure(command, measureOptions(turn));
  const result = join(place.output, peer.result(job));
  const difference = peer.hasNoResult
    ? undefined
    : findDifference(job.kind, join(job.folder, job.name), result);
  if (difference !== undefined) throw new Error(difference);
  rmSync(place.output, { recursive: true, force: true });
  onUsage(command, usage);
}

/** Only what is read is timed; the rest of the usage is that of the process that serves. */
async function serveAndRead(turn: Turn, step: Step): Promise<void> {
  const { contestant, options, place } = turn;
  const { peer, facts } = contestant;
  const reading = step.reading && READINGS[step.reading];
  if (reading === undefined || peer.serve === undefined) return;
  const job = jobOf(turn, step);
  const results = join(options.folder, 'results');
  const path = join(options.folder, 'served');
  for (const folder of [results, path]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(results);
  if (reading.service === 'mount') mkdirSync(path);
  const service = { kind: reading.service, path };
  const input = join(job.folder, job.name);
  const readPlace = { served: locatorOf(service), input, results };
  const command = completed(turn, peer.serve(facts.path, job, place, service), step);
  await options.settle();
  const serving = await startServing(command, service, measureOptions(turn));
  let usage: Usage;
  try {
    const before = serving.usage();
    const read = completed(turn, reading.read(readPlace));
    const { wallSeconds } = await measure(read, measureOptions(turn));
    const after = serving.usage();
    await measure(completed(turn, reading.check(readPlace)), measureOptions(turn));
    usage = {
      wallSeconds,
      userSeconds: after.userSeconds - before.userSeconds,
      systemSeconds: after.systemSeconds - before.systemSeconds,
      peakMemoryBytes: after.peakMemoryBytes,
    };
  } catch (error) {
    // What it has to say of its end counts less.
    await serving.stop().catch(() => {});
    throw error;
  }
  await serving.stop();
  turn.onSample(step, command, usage);
}

function jobOf({ scenario, dataSets, options }: Turn, step: Step): Job {
  const dataSet = dataSets.get(step.dataSet);
  if (dataSet === undefined) throw new Error(`there is no data set ${step.dataSet}`);
  const { folder, name } = dataSet;
  const cores = scenario.cores ?? options.cores;
  const oldSet = step.old && dataSets.get(step.old.dataSet);
  const old = step.old && oldSet && { ...step.old, path: join(oldSet.folder, oldSet.name) };
  const job = { kind: scenario.kind, folder, name, snapshot: step.snapshot, cores };
  return old ? { ...job, old } : job;
}

/** With the locator of the store, where that is behind a server. */
async function placeOfStep({ place, options, served }: Turn, { server }: Step): Promise<Place> {
  if (server === undefined) return place;
  const path = join(place.state, 'store.castr');
  const store = served.get(server) ?? (await options.servers.open(server, path));
  served.set(server, store);
  return { ...place, store: store.locator };
}

/** With the environment of the run, bound to as many processors as the scenario says. */
function completed(
  { scenario, contestant, place, options, served }: Turn,
  command: Command,
  step?: Step,
): Command {
  const { cores } = scenario;
  const chosen = options.processors.slice(0, cores).join(',');
  const binding = cores === undefined ? [] : ['taskset', '-c', chosen];
  const home = join(options.folder, 'home');
  const folders = { HOME: home, TMPDIR: home };
  const forServer = step?.server && served.get(step.server)?.env;
  const env = { ...options.env, ...folders, ...contestant.peer.env?.(place), ...forServer };
  return { ...command, words: [...binding, ...command.words], env };
}

function measureOptions({ options: { folder, meter, signal } }: Turn) {
  return { meter, signal, scratch: join(folder, 'usage') };
}

async function newState(turn: Turn): Promise<void> {
  const { contestant, place } = turn;
  const { peer, facts } = contestant;
  rmSync(place.state, { recursive: true, force: true });
  for (const folder of ['.', ...peer.folders]) {
    mkdirSync(join(place.state, folder), { recursive: true });
  }
  const command = peer.initialise?.(facts.path, place);
  if (command !== undefined) await measure(completed(turn, command), measureOptions(turn));
}

function savedState({ options }: Turn): string {
  return join(options.folder, 'saved');
}

async function copyState(turn: Turn, from: string, to: string): Promise<void> {
  if (!existsSync(from)) throw new Error(`${from} is missing`);
  rmSync(to, { recursive: true, force: true });
  await measure({ words: ['cp', '-a', from, to] }, measureOptions(turn));
}
