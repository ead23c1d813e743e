/** The tables of `npm run bench:images`, as Markdown. */
import { summarise } from './statistics.ts';

/** What one run of a contestant took and made. */
export interface ImageSample {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly memoryBytes: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly madeBytes: number | undefined;
}

export interface ImageRow {
  readonly name: string;
  readonly samples: readonly ImageSample[];
}

type Field = keyof ImageSample;

const MB = 1_000_000;

/** One row for each contestant; ratios are to the first one. */
export function imageTable(
  { title, madeTitle }: { readonly title: string; readonly madeTitle?: string },
  rows: readonly ImageRow[],
): string {
  const first = rows[0] === undefined ? Number.NaN : medianOf(rows[0], 'seconds');
  const heads = ['', 'time', 'ratio', 'CPU', 'memory', 'read', 'written'];
  const lines = rows.map((row) => {
    const seconds = medianOf(row, 'seconds');
    const cells = [
      row.name,
      `${seconds.toFixed(2)} s`,
      `${(seconds / first).toFixed(1)}`,
      `${medianOf(row, 'cpuSeconds').toFixed(2)} s`,
      megabytes(medianOf(row, 'memoryBytes'), 0),
      megabytes(medianOf(row, 'readBytes')),
      megabytes(medianOf(row, 'writtenBytes')),
    ];
    if (madeTitle !== undefined) cells.push(megabytes(medianOf(row, 'madeBytes'), 2));
    return cells;
  });
  const all = [madeTitle === undefined ? heads : [...heads, madeTitle], ...lines];
  const rule = all[0]?.map((_, i) => (i === 0 ? '---' : '---:')) ?? [];
  const [head = [], ...rest] = all;
  const text = [head, rule, ...rest].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `## ${title}\n\n${text}\n`;
}

function medianOf(row: ImageRow, field: Field): number {
  const values = row.samples.map((one) => one[field]).filter((value) => value !== undefined);
  return summarise(values)?.median ?? Number.NaN;
}

function megabytes(bytes: number, digits = 1): string {
  return `${(bytes / MB).toFixed(digits)} MB`;
}
