/** What a person at a terminal sees: progress while it lasts, and nothing of it afterwards. */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { runOnTerminal, screenOf } from '../helpers/terminal.ts';

const INPUT_BYTES = 6_000_000;
const MAKE = ['make', '--sync=none', 'x.caibx', '-'];
/** Rate: the last thing of a line without a total, but for chunks. */
const BAR = '/s';

/** Every state that the line of the bar has had. */
function barLines(sent: string): readonly string[] {
  return sent
    .split(/[\r\n]/)
    .map((line) => line.replace('\u001b[K', ''))
    .filter((line) => line.includes('/s'));
}

function needsPython(t: ExecutionContext): boolean {
  t.timeout(120_000);
  return requirement(t, { commands: ['python3'] });
}

test('the made-up screen shows what a terminal would', (t) => {
  t.deepEqual(screenOf('abc\rx\u001b[K\r\ny', 80), ['x', 'y']);
  t.deepEqual(screenOf('abcdef\u001b[A\r\u001b[J.', 3), ['.']);
  t.throws(() => screenOf('\u001b[31m', 80));
});

test('make shows its progress and leaves nothing behind', async (t) => {
  if (!needsPython(t)) return;
  const folder = temporaryFolder(t);
  const { status, sent, screen, stepsLeft } = await runOnTerminal(MAKE, {
    cwd: folder,
    inputBytes: INPUT_BYTES,
    stdoutPath: join(folder, 'stdout'),
    steps: [{ after: BAR, endInput: true }],
  });
  t.deepEqual({ status, screen, stepsLeft }, { status: 0, screen: [], stepsLeft: 0 });
  const lines = barLines(sent);
  t.true(lines.length > 0);
  for (const line of lines) {
    t.regex(line, /^make {2}[\d.]+[BKM] {2}[\d.]+[KM]\/s( {2}chunks: \d+ new, \d+ reused)?$/);
    t.true(line.length < 80, line);
  }
  t.is(readFileSync(join(folder, 'stdout'), 'utf8').length, 65);
});

test('extract and digest show theirs', async (t) => {
  if (!needsPython(t)) return;
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'blob'), noise(8_000_000));
  await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd: folder }));
  const extracted = await runOnTerminal(['extract', 'x.caibx', '-'], {
    cwd: folder,
    slowOutput: true,
  });
  t.deepEqual(extracted.screen, []);
  t.is(extracted.status, 0);
  t.regex(
    barLines(extracted.sent)[0],
    /^extract {2}[\d.]+[BKM] of 7\.6M \(\d+%\) {2}[\d.]+[KM]\/s/,
  );
  const digested = await runOnTerminal(['digest', '--what=blob', '-'], {
    cwd: folder,
    inputBytes: INPUT_BYTES,
    stdoutPath: join(folder, 'stdout'),
    steps: [{ after: BAR, endInput: true }],
  });
  t.deepEqual(digested.screen, []);
  t.is(digested.status, 0);
  t.regex(barLines(digested.sent)[0], /^digest {2}[\d.]+[BKM] {2}/);
});

test('Ctrl-C takes the bar away, says so and leaves no output', async (t) => {
  if (!needsPython(t)) return;
  const { status, screen } = await runOnTerminal(MAKE, {
    cwd: temporaryFolder(t),
    inputBytes: INPUT_BYTES,
    steps: [{ after: BAR, send: '\u0003' }],
  });
  t.deepEqual({ status, screen }, { status: 130, screen: ['Got exit signal, quitting.'] });
});

test('an error takes the bar away', async (t) => {
  if (!needsPython(t)) return;
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'x.caibx'));
  const { status, screen } = await runOnTerminal(MAKE, {
    cwd: folder,
    columns: 200,
    inputBytes: INPUT_BYTES,
    steps: [{ after: BAR, endInput: true }],
  });
  t.not(status, 0);
  t.is(screen.length, 1);
  t.regex(screen[0], /^Failed to run synchronizer: .*x\.caibx.*: Is a directory$/);
});

test('the bar keeps to a window that becomes narrower', async (t) => {
  if (!needsPython(t)) return;
  const { status, sent } = await runOnTerminal(MAKE, {
    cwd: temporaryFolder(t),
    inputBytes: INPUT_BYTES,
    steps: [
      { after: 'chunks: ', columns: 30 },
      { after: '\r', endInput: true },
    ],
  });
  t.is(status, 0);
  const lines = barLines(sent);
  t.true(lines[0].length > 30);
  t.true((lines.at(-1)?.length ?? 100) < 30, JSON.stringify(sent));
});

test('the lines of -v and the bar do not tear each other', async (t) => {
  if (!needsPython(t)) return;
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree'));
  for (let i = 0; i < 100; i++) writeFileSync(join(folder, `tree/${i}`), noise(80_000, i));
  const { status, sent, screen } = await runOnTerminal(['-v', 'make', '-', 'tree'], {
    cwd: folder,
    columns: 500,
    slowOutput: true,
  });
  t.is(status, 0);
  t.true(barLines(sent).length > 0);
  const packed = screen.filter((line) => /^(Packing|Packed) \S+$/.test(line));
  t.is(packed.length, 202);
  t.deepEqual(barLines(screen.join('\n')), []);
});

for (const [title, env] of [['a dumb terminal', { TERM: 'dumb' }]] as const) {
  test(`there is no bar on ${title}`, async (t) => {
    if (!needsPython(t)) return;
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'blob'), noise(8_000_000));
    await succeed(runCasync(['make', 'x.caibx', 'blob'], { cwd: folder }));
    const args = ['extract', 'x.caibx', '-'];
    const { status, sent } = await runOnTerminal(args, { cwd: folder, slowOutput: true, env });
    t.deepEqual({ status, sent }, { status: 0, sent: '' });
  });
}

test('results on the terminal stand there whole', async (t) => {
  if (!needsPython(t)) return;
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'hole'), '');
  truncateSync(join(folder, 'hole'), 3e9);
  const { status, screen } = await runOnTerminal(['digest', 'hole'], { cwd: folder });
  t.is(status, 0);
  t.is(screen.length, 1);
  t.regex(screen[0], /^[0-9a-f]{64}$/);
});
