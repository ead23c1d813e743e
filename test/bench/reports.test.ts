/** The table and the plots. */
import test from 'ava';
import { drawBars } from '../../bench/bars.ts';
import { judge } from '../../bench/floors.ts';
import { drawScaling } from '../../bench/scaling.ts';
import { digits, report, table } from '../../bench/table.ts';
import { measurement, resultOf, row } from './sample-result.ts';

const RESULT = resultOf(
  row('image-make', measurement('ours', [2, 1, 3]), measurement('casync', [4, 5, 6])),
  row('tree-make', measurement('ours', [1]), {
    ...measurement('casync', []),
    failure: 'it <broke>',
  }),
  row('size-64M-make', measurement('ours', [0.1])),
  row('cores-1-make', measurement('ours', [4])),
  row('cores-2-make', measurement('ours', [2])),
);

function elements(svg: string, name: string): readonly string[] {
  return svg.match(new RegExp(`<${name}[^>]*>`, 'g')) ?? [];
}

/** The width of the first bar after the name of a contestant. */
function barWidths(svg: string): readonly number[] {
  return elements(svg, 'rect')
    .filter((rect) => rect.includes('height="13"'))
    .map((rect) => Number(/width="([\d.]+)"/.exec(rect)?.[1]));
}

test('a table has aligned columns, all but the first to the right', (t) => {
  t.is(
    table(
      ['row', 'time'],
      [
        ['a', '1'],
        ['long', '10.25'],
      ],
    ),
    ['| row  |  time |', '| ---- | ----: |', '| a    |     1 |', '| long | 10.25 |'].join('\n'),
  );
});

test('seconds have three digits that matter', (t) => {
  t.deepEqual([0.0621, 1.234, 12.34].map(digits), ['0.062', '1.23', '12.3']);
});

test('the report says median, spread and ratio', (t) => {
  const text = report(RESULT, undefined);
  t.regex(
    text,
    /\| image-make +\| +2\.00 \(1\.00\.\.3\.00\) \| +5\.00 \(4\.00\.\.6\.00\) \| +2\.50 \|/,
  );
});

test('the report says CPU time and memory', (t) => {
  const [, cpu = '', memory = ''] = report(RESULT, undefined).split(/## (?:CPU|Peak)/);
  t.regex(cpu, /\| image-make +\| +1\.00 \| +2\.50 \|/);
  t.regex(memory, /\| image-make +\| +50 \| +50 \|/);
});

test('the report begins with what failed, and has no figure for it', (t) => {
  const text = report(RESULT, undefined);
  t.regex(text, /^# Benchmarks\n\n## Failed\n\n- tree-make: casync: it <broke>\n/);
  t.regex(text, /\| tree-make +\| +1\.00 \| +FAILED \|/);
});

test('the report says who syncs, and on which machine it was', (t) => {
  const text = report(RESULT, undefined);
  for (const part of [
    'casync, desync, zstd and tar never do',
    'Z80, 2 cores',
    'tmpfs',
    '3 rounds',
  ]) {
    t.true(text.includes(part), part);
  }
});

test('the report counts the floors', (t) => {
  const floors = [{ row: 'image-make', than: 'casync', atLeastTimesFaster: 2 }];
  t.regex(report(RESULT, judge(RESULT, floors)), /1 pass, 0 miss, 0 not measured/);
});

test('bars are as long as their medians, on a scale per row', (t) => {
  const [ours = 0, casync = 0] = barWidths(drawBars(RESULT));
  t.true(Math.abs(casync / ours - 2.5) < 0.01, `${casync} ${ours}`);
});

test('the plot names who failed, without a bar', (t) => {
  const svg = drawBars(RESULT);
  t.is(barWidths(svg).length, 3);
  t.true(svg.includes('>failed</text>'));
});

test('every bar and every text is inside of the picture', (t) => {
  const svg = drawBars(RESULT);
  const [, width = 0, height = 0] = (/viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg) ?? []).map(Number);
  for (const element of [...elements(svg, 'rect'), ...elements(svg, 'text')]) {
    const [x, y] = ['x', 'y'].map((name) =>
      Number(new RegExp(` ${name}="([\\d.]+)"`).exec(element)?.[1]),
    );
    t.true(x !== undefined && y !== undefined && x < width && y < height, element);
  }
});

test('scaling rows have a picture of their own', (t) => {
  t.false(drawBars(RESULT).includes('size-64M'));
  const svg = drawScaling(RESULT);
  t.true(svg.includes('make, over size') && svg.includes('make, over cores'));
  t.is(elements(svg, 'circle').length, 3);
});

test('a curve goes from left to right and falls where time does', (t) => {
  const [size = '', cores = ''] = elements(drawScaling(RESULT), 'polyline');
  t.false(size.includes('NaN'));
  const [[x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] = (/points="([^"]+)"/.exec(cores)?.[1] ?? '')
    .split(' ')
    .map((point) => point.split(',').map(Number));
  t.true(x1 < x2 && y1 < y2);
});

test('titles are escaped in plots', (t) => {
  const result = resultOf({ ...row('x', measurement('ours', [1])), title: 'a < b & c' });
  t.true(drawBars(result).includes('a &lt; b &amp; c'));
});

test('a result without rows can still be drawn', (t) => {
  for (const svg of [drawBars(resultOf()), drawScaling(resultOf())]) {
    t.regex(svg, /^<svg [\s\S]*<\/svg>\n$/);
    t.notRegex(svg, /NaN|Infinity/);
  }
});
