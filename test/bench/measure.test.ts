/** What commands cost, both ways of measuring it, and how they end. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Command, type MeasureOptions, type Meter, measure } from '../../bench/measure.ts';
import type { Usage } from '../../bench/result.ts';
import { requirement } from '../helpers/requirements.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

function run(
  t: ExecutionContext,
  meter: Meter,
  command: Command,
  options: Partial<MeasureOptions> = {},
): Promise<Usage> {
  const scratch = join(temporaryFolder(t), 'usage');
  return measure(command, { meter, scratch, signal: new AbortController().signal, ...options });
}

const INTERRUPTION = Object.assign(new Error('interrupted'), { name: 'AbortError' });

function script(text: string): Command {
  return { words: [process.execPath, '-e', text] };
}

/** Uses the processor for a while in a thread, and 200 MB. */
const WORK = script(`
  const { Worker } = require('node:worker_threads');
  const held = Buffer.alloc(200_000_000, 1);
  const spin = 'const end = performance.now() + 300; while (performance.now() < end);';
  new Worker(spin, { eval: true }).on('exit', () => held.length);
`);

for (const meter of ['time', 'proc'] as const) {
  const needs = { conditions: { 'GNU time': meter === 'proc' || existsSync('/usr/bin/time') } };

  test(`${meter}: threads count for CPU time and memory`, async (t) => {
    if (!requirement(t, needs)) return;
    const usage = await run(t, meter, WORK);
    const cpuSeconds = usage.userSeconds + usage.systemSeconds;
    t.true(usage.wallSeconds >= 0.3, `${usage.wallSeconds}`);
    t.true(cpuSeconds > 0.1 && cpuSeconds < 60, `${cpuSeconds}`);
    const mebibytes = usage.peakMemoryBytes / 1024 ** 2;
    t.true(mebibytes > 190 && mebibytes < 600, `${mebibytes}`);
  });

  test(`${meter}: a child process counts`, async (t) => {
    if (!requirement(t, needs)) return;
    const [program = '', ...rest] = WORK.words;
    const call = `execFileSync(${JSON.stringify(program)}, ${JSON.stringify(rest)})`;
    const usage = await run(t, meter, script(`require('node:child_process').${call}`));
    t.true(usage.userSeconds + usage.systemSeconds > 0.1);
    t.true(usage.peakMemoryBytes / 1024 ** 2 > 190, `${usage.peakMemoryBytes}`);
  });

  test(`${meter}: a failing command is an error with its own words`, async (t) => {
    if (!requirement(t, needs)) return;
    const command = script(`process.stderr.write('no such luck\\n'); process.exitCode = 3`);
    await t.throwsAsync(run(t, meter, command), { message: /-> 3: no such luck$/ });
  });

  test(`${meter}: a command that is not there is an error`, async (t) => {
    if (!requirement(t, needs)) return;
    await t.throwsAsync(run(t, meter, { words: ['/no/such/program'] }));
  });

  test(`${meter}: an interrupt ends the command and its children`, async (t) => {
    if (!requirement(t, needs)) return;
    const abort = new AbortController();
    const folder = temporaryFolder(t);
    // The child says that it is there; standard error stays open as long as it lives.
    const text = `
      const child = "require('node:fs').writeFileSync('there', ''); setInterval(() => {}, 1000)";
      require('node:child_process').spawn(process.execPath, ['-e', child], { stdio: 'inherit' });
    `;
    const running = run(t, meter, { ...script(text), cwd: folder }, { signal: abort.signal });
    const poll = setInterval(() => {
      if (existsSync(join(folder, 'there'))) abort.abort(INTERRUPTION);
    }, 5);
    t.teardown(() => clearInterval(poll));
    await t.throwsAsync(running, { name: 'AbortError' });
    t.true(existsSync(join(folder, 'there')));
  });
}

test('a command that lasts too long is ended', async (t) => {
  const command = script('setInterval(() => {}, 1000)');
  await t.throwsAsync(run(t, 'proc', command, { timeoutMs: 50 }), {
    message: /no end after 0.05 s/,
  });
});

test('nothing is started after an interrupt', async (t) => {
  const folder = temporaryFolder(t);
  const command = { ...script(`require('node:fs').writeFileSync('started', '')`), cwd: folder };
  const signal = AbortSignal.abort(INTERRUPTION);
  await t.throwsAsync(run(t, 'proc', command, { signal }), { name: 'AbortError' });
  t.false(existsSync(join(folder, 'started')));
});

test('the environment is what it says', async (t) => {
  const command = script(`if (process.env.HOME !== '/x' || process.env.PATH) process.exitCode = 1`);
  await t.notThrowsAsync(run(t, 'time', { ...command, env: { HOME: '/x' } }));
});
