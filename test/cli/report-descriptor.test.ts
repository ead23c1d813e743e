/** Progress as lines of JSON: how often, and what comes last (spec/command-line.md, "Progress"). */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { checkReportDescriptor, openProgressReport } from '../../cli/report-descriptor.ts';
import { isCasError } from '../../formats/errors.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

function linesIn(path: string): readonly { readonly doneBytes: number }[] {
  const text = readFileSync(path, 'utf8');
  return text === ''
    ? []
    : text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
}

test('at most ten lines a second are written, and the last state', (t) => {
  const path = join(temporaryFolder(t), 'progress');
  const descriptor = openSync(path, 'w');
  let nowMs = 0;
  const report = openProgressReport(descriptor, () => nowMs);
  for (; nowMs <= 2000; nowMs += 3) report.sink({ phase: 'make', doneBytes: nowMs });
  const before = linesIn(path);
  t.true(before.length > 15 && before.length <= 20, `${before.length}`);
  report.close();
  report.close();
  closeSync(descriptor);
  const lines = linesIn(path);
  t.is(lines.length, before.length + 1);
  t.deepEqual(lines[0], { event: 'progress', phase: 'make', doneBytes: 0 });
  t.is(lines.at(-1)?.doneBytes, 1998);
});

test('without progress nothing is written', (t) => {
  const path = join(temporaryFolder(t), 'progress');
  const descriptor = openSync(path, 'w');
  openProgressReport(descriptor, () => 0).close();
  closeSync(descriptor);
  t.deepEqual(linesIn(path), []);
});

test('a pipe that nobody empties holds nothing up', (t) => {
  const folder = temporaryFolder(t);
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const descriptor = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  let nowMs = 0;
  const report = openProgressReport(descriptor, () => nowMs);
  // Far more than fits into a pipe.
  for (let i = 0; i < 10_000; i++) {
    nowMs += 100;
    report.sink({ phase: 'make', doneBytes: i });
  }
  report.close();
  closeSync(descriptor);
  t.pass();
});

test('what is written to must be open for writing', (t) => {
  const path = join(temporaryFolder(t), 'file');
  const writing = openSync(path, 'w');
  const reading = openSync(path, 'r');
  t.notThrows(() => checkReportDescriptor('stats', writing));
  const refusal = t.throws(() => checkReportDescriptor('stats', reading));
  t.true(isCasError(refusal) && refusal.code === 'USAGE');
  closeSync(writing);
  closeSync(reading);
  t.throws(() => checkReportDescriptor('stats', reading), { message: /Bad file descriptor$/ });
});
