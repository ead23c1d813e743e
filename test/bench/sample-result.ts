/** A made-up result of the benchmark, for the tests of reports and floors. */
import type { BenchResult, Measurement, RowResult } from '../../bench/result.ts';

/** @param wallSeconds of each round; half of it is user time */
export function measurement(
  contestant: string,
  wallSeconds: readonly number[],
  peakMebibytes = 50,
): Measurement {
  return {
    contestant,
    command: `${contestant} make`,
    samples: wallSeconds.map((seconds, round) => ({
      round,
      position: 0,
      wallSeconds: seconds,
      userSeconds: seconds / 2,
      systemSeconds: 0,
      peakMemoryBytes: peakMebibytes * 1024 ** 2,
    })),
  };
}

export function row(id: string, ...measurements: readonly Measurement[]): RowResult {
  return { id, title: `title of ${id}`, dataSet: 'image', measurements };
}

export function resultOf(...rows: readonly RowResult[]): BenchResult {
  const names = [...new Set(rows.flatMap((one) => one.measurements.map((m) => m.contestant)))];
  return {
    machine: {
      processor: 'Z80',
      cores: 2,
      memoryBytes: 24 * 1024 ** 3,
      kernel: '6.0',
      node: 'v20.19.0',
      fileSystem: 'tmpfs',
      meter: 'GNU time',
      revision: '0123456789',
      date: '2026-01-02',
      loadBefore: 0.1,
    },
    rounds: 3,
    warmUps: 1,
    scale: 1,
    contestants: names.map((name) => ({
      name,
      path: `/bin/${name}`,
      version: '1',
      note: 'a note',
    })),
    dataSets: [{ name: 'image', title: 'an image', bytes: 1024 ** 3, entries: 1 }],
    rows,
  };
}
