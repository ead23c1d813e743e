/** Compares a result with the floors in floors.json. Used by `npm run bench -- --check`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchResult, type RowResult, summaryOf } from './result.ts';

/** One floor has exactly one of the four bounds; all are about medians of this project. */
export interface Floor {
  readonly row: string;
  /** With `atLeastTimesFaster`: than whom. */
  readonly than?: string;
  readonly atLeastTimesFaster?: number;
  readonly atMostSeconds?: number;
  /** With `atMostTimesAsLong`: as which row. */
  readonly as?: string;
  readonly atMostTimesAsLong?: number;
  /** The largest of all samples; the row `*` means each row. */
  readonly atMostMebibytes?: number;
}

export interface Verdict {
  readonly state: 'PASS' | 'MISS' | 'NOT MEASURED';
  readonly row: string;
  readonly text: string;
}

const OURS = 'ours';
const MEBIBYTE = 1024 ** 2;

export function readFloors(): readonly Floor[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'floors.json'), 'utf8'));
}

export function judge(result: BenchResult, floors: readonly Floor[]): readonly Verdict[] {
  return floors.flatMap((floor) =>
    floor.row === '*'
      ? result.rows.map(({ id }) => judgeFloor(result, { ...floor, row: id }))
      : [judgeFloor(result, floor)],
  );
}

function judgeFloor(result: BenchResult, floor: Floor): Verdict {
  const find = (id: string): RowResult | undefined => result.rows.find((row) => row.id === id);
  const row = find(floor.row);
  const ours = summaryOf(row, OURS, 'wall')?.median;
  const verdict = (value: number | undefined, isMet: boolean, text: string): Verdict => ({
    state: value === undefined ? 'NOT MEASURED' : isMet ? 'PASS' : 'MISS',
    row: floor.row,
    text: value === undefined ? text : `${value.toFixed(2)} ${text}`,
  });
  if (floor.than !== undefined && floor.atLeastTimesFaster !== undefined) {
    const ratio = quotient(summaryOf(row, floor.than, 'wall')?.median, ours);
    const isMet = (ratio ?? 0) >= floor.atLeastTimesFaster;
    return verdict(
      ratio,
      isMet,
      `times as fast as ${floor.than}, floor ${floor.atLeastTimesFaster}`,
    );
  }
  if (floor.as !== undefined && floor.atMostTimesAsLong !== undefined) {
    const ratio = quotient(ours, summaryOf(find(floor.as), OURS, 'wall')?.median);
    const isMet = (ratio ?? 0) <= floor.atMostTimesAsLong;
    return verdict(
      ratio,
      isMet,
      `times as long as ${floor.as}, at most ${floor.atMostTimesAsLong}`,
    );
  }
  if (floor.atMostMebibytes !== undefined) {
    const peak = quotient(summaryOf(row, OURS, 'memory')?.max, MEBIBYTE);
    const isMet = (peak ?? 0) <= floor.atMostMebibytes;
    return verdict(peak, isMet, `MiB of memory, at most ${floor.atMostMebibytes}`);
  }
  if (floor.atMostSeconds === undefined) throw new Error(`a floor of ${floor.row} has no bound`);
  const isMet = (ours ?? 0) <= floor.atMostSeconds;
  return verdict(ours, isMet, `s, at most ${floor.atMostSeconds}`);
}

function quotient(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}
