/** The report as Markdown, which is also what the terminal shows. Used by main.ts. */
import type { Verdict } from './floors.ts';
import {
  type BenchResult,
  failuresOf,
  type Quantity,
  type RowResult,
  summaryOf,
} from './result.ts';
import type { Summary } from './statistics.ts';

const OURS = 'ours';
/** With whom the table says the ratio. */
const RIVALS = ['casync', 'desync'];
export const SYNCING =
  'Ours, borg and restic sync what they have stored; casync, desync, zstd and tar never do.';
const SERVED = 'Of mounts and block devices: of the process that serves, not of who reads.';
const MEBIBYTE = 1024 ** 2;

export function report(result: BenchResult, verdicts: readonly Verdict[] | undefined): string {
  const names = result.contestants.map(({ name }) => name);
  const rivals = RIVALS.filter((name) => names.includes(name));
  const failures = failuresOf(result);
  const sections = [
    ...(failures.length === 0 ? [] : ['## Failed', list(failures)]),
    '## Wall time in seconds',
    `Median (least..most). "x faster" is the median of the peer divided by ours. ${SYNCING}`,
    table(
      ['row', ...names, ...rivals.map((name) => `x faster than ${name}`)],
      result.rows.map((row) => [
        row.id,
        ...names.map((name) => cell(row, name, 'wall', spread)),
        ...rivals.map((name) => ratio(row, name)),
      ]),
    ),
    '## CPU time in seconds',
    `Median of user and system time, with threads and child processes. ${SERVED}`,
    quantityTable(result, names, 'cpu', ({ median }) => digits(median)),
    '## Peak memory in MiB',
    `The largest of all rounds, of the largest process with its threads. ${SERVED}`,
    quantityTable(result, names, 'memory', ({ max }) => `${Math.round(max / MEBIBYTE)}`),
    '## Rows and data',
    list(result.rows.map(({ id, title, dataSet }) => `${id}: ${title} (${dataSet})`)),
    list(result.dataSets.map((one) => `${one.name}: ${one.title}; ${amount(one)}`)),
    '## Contestants',
    list(result.contestants.map(({ name, version, note }) => `${name} ${version}: ${note}`)),
    'An empty cell: the program cannot do it, or takes no part in the row.',
    '## Machine',
    list(machineLines(result)),
    ...(verdicts === undefined ? [] : ['## Floors', verdictTable(verdicts)]),
  ];
  return `# Benchmarks\n\n${sections.join('\n\n')}\n`;
}

function machineLines({ machine, rounds, warmUps, scale }: BenchResult): readonly string[] {
  const memory = `${(machine.memoryBytes / 1024 ** 3).toFixed(0)} GiB`;
  const plural = rounds === 1 ? 'round' : 'rounds';
  const warm = `${rounds} ${plural} after ${warmUps} for warming up, in changing order`;
  return [
    `${machine.processor}, ${machine.cores} cores, ${memory}`,
    `Linux ${machine.kernel}, Node ${machine.node}`,
    `inputs, stores and outputs on ${machine.fileSystem}, page cache warm`,
    scale === 1 ? warm : `${warm}; data scaled by ${scale}: times mean little`,
    `CPU time and memory by ${machine.meter}`,
    `revision ${machine.revision}, ${machine.date}, load before ${machine.loadBefore.toFixed(2)}`,
  ];
}

/** One line per verdict, and how many there are of each kind. */
export function verdictTable(verdicts: readonly Verdict[]): string {
  const count = (state: Verdict['state']): number =>
    verdicts.filter((verdict) => verdict.state === state).length;
  const lines = verdicts.map(({ state, row, text }) => [state, row, text]);
  const sum = `${count('PASS')} pass, ${count('MISS')} miss, ${count('NOT MEASURED')} not measured`;
  return `${table(['', 'row', 'ours'], lines)}\n\n${sum}`;
}

function quantityTable(
  result: BenchResult,
  names: readonly string[],
  quantity: Quantity,
  text: (summary: Summary) => string,
): string {
  return table(
    ['row', ...names],
    result.rows.map((row) => [row.id, ...names.map((name) => cell(row, name, quantity, text))]),
  );
}

function cell(
  row: RowResult,
  name: string,
  quantity: Quantity,
  text: (summary: Summary) => string,
): string {
  const found = row.measurements.find(({ contestant }) => contestant === name);
  if (found?.failure !== undefined) return 'FAILED';
  const summary = summaryOf(row, name, quantity);
  return summary === undefined ? '' : text(summary);
}

function spread({ median, min, max, count }: Summary): string {
  return count === 1 ? digits(median) : `${digits(median)} (${digits(min)}..${digits(max)})`;
}

function ratio(row: RowResult, rival: string): string {
  const [ours, theirs] = [summaryOf(row, OURS, 'wall'), summaryOf(row, rival, 'wall')];
  return ours && theirs ? (theirs.median / ours.median).toFixed(2) : '';
}

/** Three significant digits, as far as the decimal point. */
export function digits(seconds: number): string {
  return seconds.toFixed(seconds < 1 ? 3 : seconds < 10 ? 2 : 1);
}

function amount({ bytes, entries }: BenchResult['dataSets'][number]): string {
  const size = `${(bytes / 1e6).toFixed(1)} MB`;
  return entries === 1 ? size : `${size}, ${entries.toLocaleString('en')} entries`;
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

/** A Markdown table with aligned columns; all but the first to the right. */
export function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) =>
    Math.max(3, title.length, ...body.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => padded(cells[i] ?? '', width, i)).join(' | ')} |`;
  const rule = widths.map((width, i) =>
    i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(head), `| ${rule.join(' | ')} |`, ...body.map(line)].join('\n');
}

function padded(text: string, width: number, column: number): string {
  return column === 0 ? text.padEnd(width) : text.padStart(width);
}
