/**
 * What a run of `npm run bench` has measured: the content of results.json, from which table, plots
 * and floors are made. Times are in seconds, sizes in bytes.
 */
import { type Summary, summarise } from './statistics.ts';

export interface Usage {
  readonly wallSeconds: number;
  /** Of the command, its threads and the processes it has waited for. */
  readonly userSeconds: number;
  readonly systemSeconds: number;
  /** Largest resident memory of one process of the command, with its threads. */
  readonly peakMemoryBytes: number;
}

export interface Sample extends Usage {
  readonly round: number;
  /** Place in the order of that round, from 0. */
  readonly position: number;
}

export interface Measurement {
  readonly contestant: string;
  /** The command of the first sample. */
  readonly command: string;
  readonly samples: readonly Sample[];
  /** Why the command, or what it has made, does not count. */
  readonly failure?: string;
}

export interface RowResult {
  readonly id: string;
  readonly title: string;
  readonly dataSet: string;
  readonly measurements: readonly Measurement[];
}

export interface ContestantFacts {
  readonly name: string;
  readonly path: string;
  readonly version: string;
  /** What it does for a row, in words. */
  readonly note: string;
}

export interface DataSetFacts {
  readonly name: string;
  readonly title: string;
  readonly bytes: number;
  /** Files, folders and links; 1 for a blob. */
  readonly entries: number;
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the folder with inputs, stores and outputs. */
  readonly fileSystem: string;
  /** How CPU time and memory were measured. */
  readonly meter: string;
  readonly revision: string;
  readonly date: string;
  /** Load average of the last minute when the run began. */
  readonly loadBefore: number;
}

export interface BenchResult {
  readonly machine: Machine;
  readonly rounds: number;
  readonly warmUps: number;
  readonly scale: number;
  readonly contestants: readonly ContestantFacts[];
  readonly dataSets: readonly DataSetFacts[];
  readonly rows: readonly RowResult[];
}

export type Quantity = 'wall' | 'cpu' | 'memory';

const READ: Readonly<Record<Quantity, (sample: Sample) => number>> = {
  wall: ({ wallSeconds }) => wallSeconds,
  cpu: ({ userSeconds, systemSeconds }) => userSeconds + systemSeconds,
  memory: ({ peakMemoryBytes }) => peakMemoryBytes,
};

/** Undefined where there is nothing that counts: not measured, or failed. */
export function summaryOf(
  row: RowResult | undefined,
  contestant: string,
  quantity: Quantity,
): Summary | undefined {
  const found = row?.measurements.find((one) => one.contestant === contestant);
  if (found === undefined || found.failure !== undefined) return undefined;
  const values = found.samples.map(READ[quantity]);
  // A command can end before /proc has been looked at: no memory is no figure.
  return summarise(quantity === 'memory' ? values.filter((value) => value > 0) : values);
}

/** Every failure as one line. */
export function failuresOf(result: BenchResult): readonly string[] {
  return result.rows.flatMap(({ id, measurements }) =>
    measurements
      .filter(({ failure }) => failure !== undefined)
      .map(({ contestant, failure }) => `${id}: ${contestant}: ${failure}`),
  );
}
