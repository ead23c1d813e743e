/**
 * results.svg: for every row a group of horizontal bars, wall time of each contestant. Every group
 * has a scale of its own, because rows differ by a factor of a hundred. Used by main.ts.
 */
import { type BenchResult, type RowResult, summaryOf } from './result.ts';
import type { Summary } from './statistics.ts';
import { colourOf, INK, legend, line, picture, rectangle, text } from './svg.ts';
import { digits, SYNCING } from './table.ts';

const OURS = 'ours';
const MARGIN = 24;
const COLUMN_WIDTH = 540;
const NAME_WIDTH = 84;
/** For the figures behind a bar. */
const FIGURE_WIDTH = 150;
const BAR_HEIGHT = 13;
const BAR_STEP = 17;
const GROUP_HEAD = 22;
const GROUP_GAP = 16;
const RED = '#c00000';
const TITLE_HEIGHT = 104;
/** Scaling rows have a picture of their own. */
const NOT_HERE = /^(size|cores)-/;

interface Bar {
  readonly name: string;
  /** Undefined for who has failed. */
  readonly summary: Summary | undefined;
}

interface Group {
  readonly row: RowResult;
  readonly bars: readonly Bar[];
  readonly height: number;
}

export function drawBars(result: BenchResult): string {
  const names = result.contestants.map(({ name }) => name);
  const groups = result.rows
    .filter(({ id }) => !NOT_HERE.test(id))
    .map((row) => groupOf(row, names))
    .filter(({ bars }) => bars.length > 0);
  const columns = inTwoColumns(groups);
  const heights = columns.map((column) => column.reduce((sum, { height }) => sum + height, 0));
  const { machine, rounds, scale } = result;
  const about = [
    `medians of ${rounds}, lines from least to most; (×) times as long as ours`,
    `${machine.processor}, ${machine.cores} cores, ${machine.fileSystem}`,
    ...(scale === 1 ? [] : [`data scaled by ${scale}`]),
  ].join('; ');
  const shapes = [
    text(MARGIN, 32, 'Whole commands, wall time in seconds: shorter is better', {
      size: 17,
      bold: true,
    }),
    text(MARGIN, 51, about, { colour: '#666666' }),
    text(MARGIN, 68, SYNCING, { colour: '#666666' }),
    legend(MARGIN, 91, names),
    ...columns.flatMap((column, i) => {
      let top = TITLE_HEIGHT;
      return column.map((group) => {
        const drawn = drawGroup(group, MARGIN + i * COLUMN_WIDTH, top);
        top += group.height;
        return drawn;
      });
    }),
  ];
  const width = Math.max(MARGIN * 2 + columns.length * COLUMN_WIDTH, 640);
  return picture(width, TITLE_HEIGHT + Math.max(0, ...heights) + MARGIN / 2, shapes);
}

function groupOf(row: RowResult, names: readonly string[]): Group {
  const bars = names
    .filter((name) => row.measurements.some(({ contestant }) => contestant === name))
    .map((name) => ({ name, summary: summaryOf(row, name, 'wall') }));
  return { row, bars, height: GROUP_HEAD + bars.length * BAR_STEP + GROUP_GAP };
}

/** The first column gets the first half, by height. */
function inTwoColumns(groups: readonly Group[]): readonly (readonly Group[])[] {
  const total = groups.reduce((sum, { height }) => sum + height, 0);
  let sum = 0;
  const firstCount = groups.filter(({ height }) => {
    sum += height;
    return sum - height / 2 <= total / 2;
  }).length;
  return [groups.slice(0, firstCount), groups.slice(firstCount)].filter(({ length }) => length > 0);
}

function drawGroup({ row, bars }: Group, left: number, top: number): string {
  const longest = Math.max(...bars.map(({ summary }) => summary?.max ?? 0));
  const room = COLUMN_WIDTH - NAME_WIDTH - FIGURE_WIDTH - MARGIN;
  const ours = bars.find(({ name }) => name === OURS)?.summary?.median;
  const start = left + NAME_WIDTH;
  const x = (seconds: number): number => start + (seconds / longest) * room;
  const shapes = bars.flatMap(({ name, summary }, i) => {
    const y = top + GROUP_HEAD + i * BAR_STEP;
    const [baseline, middle] = [y + 11, y + BAR_HEIGHT / 2];
    const bold = name === OURS;
    const label = text(start - 6, baseline, name, { anchor: 'end', bold });
    if (summary === undefined) return [label, text(start + 6, baseline, 'failed', { colour: RED })];
    const ratio = ours === undefined || bold ? '' : ` (${(summary.median / ours).toFixed(2)} ×)`;
    return [
      label,
      rectangle(start, y, Math.max(1, x(summary.median) - start), BAR_HEIGHT, colourOf(name)),
      line([x(summary.min), middle], [x(summary.max), middle], INK, 1.5),
      text(x(summary.max) + 6, baseline, digits(summary.median) + ratio, { bold }),
    ];
  });
  return [text(left, top + 15, row.title, { size: 13, bold: true }), ...shapes].join('\n');
}
