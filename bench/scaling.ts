/**
 * scaling.svg: how time grows with the size of the input (both axes logarithmic, so that linear
 * growth is a straight line of the slope of the grey one), and how it falls with the number of
 * cores. Drawn from the rows size-* and cores-*. Used by main.ts.
 */
import { type BenchResult, summaryOf } from './result.ts';
import { colourOf, dot, FAINT, legend, line, path, picture, text } from './svg.ts';
import { digits } from './table.ts';

const PANEL_WIDTH = 340;
const PANEL_HEIGHT = 280;
const MARGIN = 24;
const AXIS = 52;
const TITLE_HEIGHT = 74;
const LABEL_HEIGHT = 13;
/** Right of the last points. */
const LABEL_WIDTH = 60;
const GIBIBYTE = 1024 ** 3;

interface Point {
  /** GiB or cores. */
  readonly at: number;
  readonly seconds: number;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  /** Time is proportional to the axis, or to its inverse. */
  readonly slope: 1 | -1;
  readonly curves: ReadonlyMap<string, readonly Point[]>;
}

export function drawScaling(result: BenchResult): string {
  const steps = ['make', 'again', 'extract'];
  const lines = (['size', 'cores'] as const)
    .map((kind) => steps.map((step) => panelOf(result, kind, step)))
    .map((panels) => panels.filter(({ curves }) => curves.size > 0))
    .filter((panels) => panels.length > 0);
  const names = [...new Set(lines.flat().flatMap(({ curves }) => [...curves.keys()]))];
  const cell = { width: PANEL_WIDTH + AXIS, height: PANEL_HEIGHT + AXIS + 24 };
  const shapes = [
    text(MARGIN, 32, 'Wall time in seconds over size and over cores', { size: 17, bold: true }),
    legend(MARGIN, 56, names),
    text(MARGIN + 90 * names.length, 56, 'grey: proportional; both axes logarithmic', {
      colour: '#888888',
    }),
    ...lines.flatMap((panels, row) =>
      panels.map((panel, column) =>
        drawPanel(panel, MARGIN + column * cell.width, TITLE_HEIGHT + row * cell.height),
      ),
    ),
  ];
  const columns = Math.max(2, ...lines.map((panels) => panels.length));
  const height = TITLE_HEIGHT + Math.max(1, lines.length) * cell.height;
  return picture(MARGIN * 2 + columns * cell.width, height, shapes);
}

function panelOf(result: BenchResult, kind: 'size' | 'cores', step: string): Panel {
  const curves = new Map<string, Point[]>();
  for (const row of result.rows) {
    const [head, value = '', tail] = row.id.split('-');
    if (head !== kind || tail !== step) continue;
    const bytes = result.dataSets.find(({ name }) => name === row.dataSet)?.bytes ?? 0;
    const at = kind === 'cores' ? Number(value) : bytes / GIBIBYTE;
    for (const { name } of result.contestants) {
      const summary = summaryOf(row, name, 'wall');
      if (summary === undefined) continue;
      curves.set(name, [...(curves.get(name) ?? []), { at, seconds: summary.median }]);
    }
  }
  const isSize = kind === 'size';
  const unit = isSize ? 'GiB' : 'cores';
  return { title: `${step}, over ${kind}`, unit, slope: isSize ? 1 : -1, curves };
}

function drawPanel({ title, unit, slope, curves }: Panel, left: number, top: number): string {
  const points = [...curves.values()].flat();
  const [xs, ys] = [points.map(({ at }) => at), points.map(({ seconds }) => seconds)];
  const xRange = { from: Math.min(...xs), to: Math.max(...xs) };
  const yRange = { from: Math.min(...ys) / 1.3, to: Math.max(...ys) * 1.3 };
  const [x0, y0] = [left + AXIS, top + 24 + PANEL_HEIGHT];
  const inner = PANEL_WIDTH - LABEL_WIDTH;
  const x = (value: number): number => x0 + 10 + share(value, xRange) * inner;
  const y = (value: number): number => y0 - share(value, yRange) * PANEL_HEIGHT;
  const ticks = ticksOf(yRange.from, yRange.to).flatMap((value) => [
    line([x0, y(value)], [x0 + PANEL_WIDTH - 20, y(value)], FAINT),
    text(x0 - 6, y(value) + 4, `${value}`, { anchor: 'end', size: 11 }),
  ]);
  const labels = [...new Set(xs)].map((value) =>
    text(x(value), y0 + 18, `${Number(value.toPrecision(3))}`, { anchor: 'middle', size: 11 }),
  );
  const drawn = [...curves].flatMap(([name, curve]) => [
    path(
      curve.map(({ at, seconds }) => [x(at), y(seconds)]),
      colourOf(name),
    ),
    ...curve.map(({ at, seconds }) => dot(x(at), y(seconds), colourOf(name))),
  ]);
  const ends = [...curves].flatMap(([name, curve]) =>
    curve.slice(-1).map(({ seconds }) => ({ name, seconds, y: y(seconds) })),
  );
  const figures = apart(ends).map(({ name, seconds, y: height }) =>
    text(x0 + inner + 20, height + 4, digits(seconds), { size: 11, colour: colourOf(name) }),
  );
  return [
    text(left, top + 14, title, { size: 13, bold: true }),
    ...ticks,
    ...labels,
    text(x0 + PANEL_WIDTH - 20, y0 + 34, unit, { anchor: 'end', size: 11 }),
    ...proportional(xRange, yRange, slope, x, y),
    ...drawn,
    ...figures,
  ].join('\n');
}

/** Moves labels down until none covers the one above. */
function apart<T extends { readonly y: number }>(labels: readonly T[]): readonly T[] {
  let free = Number.NEGATIVE_INFINITY;
  return [...labels]
    .sort((a, b) => a.y - b.y)
    .map((label) => {
      const y = Math.max(label.y, free);
      free = y + LABEL_HEIGHT;
      return { ...label, y };
    });
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Where a value is between the ends, on a logarithmic axis: 0 to 1. */
function share(value: number, { from, to }: Range): number {
  return to === from ? 0.5 : Math.log(value / from) / Math.log(to / from);
}

/** A line through the middle with the slope of proportional growth, cut to the panel. */
function proportional(
  xRange: Range,
  yRange: Range,
  slope: 1 | -1,
  x: (value: number) => number,
  y: (value: number) => number,
): readonly string[] {
  if (xRange.from === xRange.to) return [];
  const centre = {
    at: Math.sqrt(xRange.from * xRange.to),
    seconds: Math.sqrt(yRange.from * yRange.to),
  };
  const across = Math.min(xRange.to / centre.at, yRange.to / centre.seconds);
  const end = (factor: number): readonly [number, number] => [
    x(centre.at * factor),
    y(centre.seconds * factor ** slope),
  ];
  return [line(end(1 / across), end(across), '#aaaaaa', 1)];
}

/** 1, 2 and 5 times powers of ten. */
function ticksOf(from: number, to: number): readonly number[] {
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.ceil(Math.log10(to)); power++) {
    for (const step of [1, 2, 5]) ticks.push(Number((step * 10 ** power).toPrecision(1)));
  }
  return ticks.filter((tick) => tick >= from && tick <= to);
}
