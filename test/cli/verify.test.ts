/** `verify`, as scripts meet it (spec/command-line.md, "verify"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { describeRun, runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

async function makeExamples(t: ExecutionContext): Promise<string> {
  const cwd = temporaryFolder(t);
  fs.mkdirSync(join(cwd, 'tree/sub'), { recursive: true });
  fs.writeFileSync(join(cwd, 'tree/file'), noise(300_000));
  fs.writeFileSync(join(cwd, 'tree/sub/other'), 'x');
  fs.writeFileSync(join(cwd, 'blob'), noise(1_000_000, 2));
  for (const [output, input] of [
    ['x.catar', 'tree'],
    ['x.caidx', 'tree'],
    ['x.caibx', 'blob'],
  ]) {
    await succeed(runCasync(['make', output, input], { cwd }));
  }
  return cwd;
}

async function expectRun(
  t: ExecutionContext,
  cwd: string,
  args: readonly string[],
  status: number,
  stdout: string | RegExp,
): Promise<void> {
  const result = await runCasync(['verify', ...args], { cwd });
  t.is(result.status, status, describeRun(result));
  if (typeof stdout === 'string') t.is(result.stdout.toString(), stdout);
  else t.regex(result.stdout.toString(), stdout);
  t.is(result.stderr.toString(), '');
}

function chunkFiles(cwd: string): string[] {
  return fs
    .readdirSync(join(cwd, 'default.castr'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.cacnk'))
    .map((name) => join(cwd, 'default.castr', name))
    .sort();
}

test('what is as it was passes in silence', async (t) => {
  const cwd = await makeExamples(t);
  await succeed(runCasync(['extract', 'x.caidx', 'out'], { cwd }));
  for (const args of [
    ['x.caidx', 'tree'],
    ['x.catar', 'tree'],
    ['x.caidx', 'out'],
    ['x.caibx', 'blob'],
    ['x.caidx', 'x.catar'],
    ['x.caidx'],
    ['x.caibx'],
    ['x.catar'],
    ['default.castr'],
  ]) {
    await expectRun(t, cwd, args, 0, '');
  }
});

test('a folder that has changed is told entry by entry', async (t) => {
  const cwd = await makeExamples(t);
  const changed = noise(300_000);
  changed[150_000] ^= 1;
  fs.writeFileSync(join(cwd, 'tree/file'), changed);
  fs.rmSync(join(cwd, 'tree/sub/other'));
  fs.writeFileSync(join(cwd, 'tree/new'), '');
  const expected = 'differs file content\nsuperfluous new\nmissing sub/other\n';
  for (const input of ['x.catar', 'x.caidx']) {
    await expectRun(t, cwd, ['--without=sec-time', '--without=all', input, 'tree'], 1, expected);
  }
  await expectRun(
    t,
    cwd,
    ['--json', 'x.caidx', 'tree'],
    1,
    /"summary":\{"kind":"tree","isGood":false/,
  );
});

test('a file is checked by digests alone, and a pipe, too', async (t) => {
  const cwd = await makeExamples(t);
  fs.rmSync(join(cwd, 'default.castr'), { recursive: true });
  await expectRun(t, cwd, ['x.caibx', 'blob'], 0, '');
  const bytes = fs.readFileSync(join(cwd, 'blob'));
  bytes[500_000] ^= 1;
  fs.writeFileSync(join(cwd, 'blob'), bytes);
  await expectRun(t, cwd, ['x.caibx', 'blob'], 1, /^differs \d+ \d+ chunks\n$/);
  const piped = await runCasync(['verify', 'x.caibx', '-'], { cwd, stdin: bytes });
  t.is(piped.status, 1);
  t.regex(piped.stdout.toString(), /^differs \d+ \d+ chunks\n$/);
  fs.writeFileSync(join(cwd, 'blob'), bytes.subarray(0, 900_000));
  await expectRun(t, cwd, ['x.caibx', 'blob'], 1, /\nsize 1000000 900000\n$/);
});

test('chunks that are missing or damaged are told, and end with their own status', async (t) => {
  const cwd = await makeExamples(t);
  const [damaged, missing] = chunkFiles(cwd);
  fs.chmodSync(damaged, 0o644);
  fs.appendFileSync(damaged, 'x');
  await expectRun(t, cwd, ['default.castr'], 14, /^damaged [0-9a-f]{64} .*\n$/);
  fs.rmSync(missing);
  const id = /([0-9a-f]{64})\.cacnk$/.exec(missing)?.[1];
  await expectRun(t, cwd, ['default.castr'], 14, /^damaged [0-9a-f]{64} .*\n$/);
  const results = await Promise.all(
    ['x.caidx', 'x.caibx'].map((index) => runCasync(['verify', index], { cwd })),
  );
  const told = results.map(({ stdout }) => stdout.toString()).join('');
  t.true(told.includes(`missing ${id}\n`));
  t.true(results.some(({ status }) => status === 12));
  const json = await runCasync(['verify', '--json', 'default.castr'], { cwd });
  const lines = json.stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.like(lines[0], { kind: 'damaged' });
  t.like(lines.at(-1), {
    summary: { kind: 'chunks', isGood: false, problemCounts: { damaged: 1 } },
  });
});

test('a damaged archive fails with the place', async (t) => {
  const cwd = await makeExamples(t);
  fs.truncateSync(join(cwd, 'x.catar'), 1000);
  const result = await runCasync(['verify', 'x.catar'], { cwd });
  t.is(result.status, 14);
  t.regex(
    result.stderr.toString(),
    /x\.catar: catar PAYLOAD at byte 1000: the archive ends too early/,
  );
});

test('what cannot be verified is refused', async (t) => {
  const cwd = await makeExamples(t);
  for (const [args, message] of [
    [[], /^Archive, index or store expected\.$/],
    [['blob'], /^blob is neither an archive, an index nor a store\.$/],
    [['x.caibx', 'tree'], /^x\.caibx is neither an archive nor an archive index\.$/],
    [['x.catar', 'blob'], /^x\.catar is no index, and blob is no directory\.$/],
  ] as const) {
    const result = await runCasync(['verify', ...args], { cwd });
    t.is(result.status, 1);
    t.regex(result.stderr.toString().trimEnd(), message);
  }
  t.is((await runCasync(['verify', 'none.caidx'], { cwd })).status, 10);
});
