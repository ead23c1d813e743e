/** The line that a terminal shows (spec/command-line.md, "Progress"), on a terminal that is made up. */
import test from 'ava';
import { openProgressBar } from '../../cli/progress-bar.ts';
import { progressText } from '../../cli/progress-text.ts';
import { createRateMeter } from '../../cli/rate-meter.ts';
import type { ProgressEvent } from '../../lib/progress.ts';

const MIB = 1024 * 1024;
const EVENT: ProgressEvent = {
  phase: 'make',
  doneBytes: 300 * MIB,
  totalBytes: 1000 * MIB,
  chunkCount: 5000,
  reusedChunkCount: 1200,
};

test('the line tells bytes, percent, rate, time left and chunks', (t) => {
  t.is(
    progressText(EVENT, 70 * MIB, 79),
    'make  300.0M of 1000.0M (30%)  70.0M/s  10s left  chunks: 3800 new, 1200 reused',
  );
});

test('without a total there is neither a share nor an end', (t) => {
  t.is(progressText({ phase: 'make', doneBytes: 2048 }, 1024, 79), 'make  2.0K  1.0K/s');
});

test('no end is promised at rest', (t) => {
  t.is(
    progressText({ phase: 'make', doneBytes: 512, totalBytes: 1024 }, 0, 79),
    'make  512B of 1.0K (50%)  0B/s',
  );
});

test('long times are told in hours and minutes', (t) => {
  const of = (seconds: number) =>
    progressText({ phase: 'x', doneBytes: 0, totalBytes: seconds * 100 }, 100, 79)
      .split('  ')
      .pop();
  t.deepEqual([59, 60, 61.5, 3599, 3600, 5000, 90_000].map(of), [
    '59s left',
    '1min left',
    '1min 2s left',
    '59min 59s left',
    '1h left',
    '1h 24min left',
    '1d 1h left',
  ]);
});

test('what finds no room is left out from the end, never broken off but for the first word', (t) => {
  const whole = progressText(EVENT, 70 * MIB, 1000);
  for (let columns = 0; columns <= whole.length; columns++) {
    const text = progressText(EVENT, 70 * MIB, columns);
    t.true(text.length <= columns);
    t.true(whole.startsWith(text));
    if (text.length >= 4) t.true(whole === text || whole.startsWith(`${text}  `), text);
  }
});

test('the largest numbers still fit into 80 columns, but for the chunks', (t) => {
  const event = { phase: 'extract', doneBytes: 1023 * 2 ** 50, totalBytes: 1023.9 * 2 ** 50 };
  t.true(progressText(event, 1023.9 * MIB, 79).endsWith(' left'));
});

/** A terminal with a clock of its own; `screen` is what its last row shows. */
function fakeTerminal(columns = 80) {
  const state = { columns, nowMs: 0, written: '' };
  return {
    state,
    terminal: {
      write: (text: string) => {
        state.written += text;
      },
      columns: () => state.columns,
      now: () => state.nowMs,
    },
    screen: () => (state.written.split('\r').pop() ?? '').replace('\u001b[K', ''),
  };
}

test('a short run shows nothing at all', (t) => {
  const { state, terminal } = fakeTerminal();
  const bar = openProgressBar(terminal);
  for (state.nowMs = 0; state.nowMs < 400; state.nowMs += 10) bar.sink(EVENT);
  bar.close();
  t.is(state.written, '');
});

test('the line is renewed at most five times a second', (t) => {
  const { state, terminal } = fakeTerminal();
  const bar = openProgressBar(terminal);
  for (state.nowMs = 0; state.nowMs < 10_000; state.nowMs += 5) {
    bar.sink({ phase: 'make', doneBytes: state.nowMs });
  }
  const drawn = state.written.split('make').length - 1;
  t.true(drawn > 40 && drawn <= 49, `${drawn}`);
  bar.close();
});

test('nothing is left of the line before other output and in the end', (t) => {
  const { state, terminal, screen } = fakeTerminal();
  const bar = openProgressBar(terminal);
  state.nowMs = 1000;
  bar.sink(EVENT);
  t.not(screen(), '');
  bar.clear();
  t.is(screen(), '');
  const { length } = state.written;
  bar.clear();
  t.is(state.written.length, length, 'what is clear is not cleared again');
  state.nowMs = 2000;
  bar.sink(EVENT);
  t.not(screen(), '');
  bar.close();
  t.is(screen(), '');
});

test('a line that a narrower terminal has broken is taken away as a whole', (t) => {
  const { state, terminal } = fakeTerminal(80);
  const bar = openProgressBar(terminal);
  state.nowMs = 1000;
  bar.sink(EVENT);
  state.columns = 30;
  state.nowMs = 2000;
  state.written = '';
  bar.sink(EVENT);
  const taken = '\r\u001b[A\u001b[A\u001b[J';
  t.is(state.written.slice(0, taken.length), taken);
  t.true(state.written.length - taken.length < 30);
  bar.close();
});

test('the rate is that of the last seconds, not since the begin', (t) => {
  const meter = createRateMeter(0, 0);
  let done = 0;
  let nowMs = 0;
  const run = (seconds: number, bytesPerSecond: number): number => {
    for (let i = 0; i < seconds * 10; i++) {
      nowMs += 100;
      done += bytesPerSecond / 10;
      meter.report(done, nowMs);
    }
    return meter.bytesPerSecond(nowMs);
  };
  const near = (value: number, wanted: number) => Math.abs(value - wanted) < 0.05 * wanted;
  t.true(near(run(30, 1000), 1000));
  const soon = run(1, 5000);
  t.true(soon > 1500 && soon < 4000, 'a change shows gradually');
  t.true(near(run(15, 5000), 5000));
  t.true(meter.bytesPerSecond(nowMs + 20_000) < 500, 'at rest the rate sinks');
});

test('a new phase begins with a rate of its own', (t) => {
  const { state, terminal, screen } = fakeTerminal();
  const bar = openProgressBar(terminal);
  for (; state.nowMs < 5000; state.nowMs += 50) {
    bar.sink({ phase: 'seed', doneBytes: state.nowMs * MIB });
  }
  for (; state.nowMs < 15_000; state.nowMs += 50) {
    bar.sink({ phase: 'extract', doneBytes: (state.nowMs - 5000) * 2 });
  }
  t.regex(screen(), /^extract {2}19\.\dK {2}(1\.9|2\.0)K\/s$/);
  bar.close();
});
