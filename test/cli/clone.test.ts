/** `casync clone SOURCE TARGET` (spec/command-line.md). */
import { appendFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { identitiesOf } from '../helpers/identities.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { compareTrees } from '../helpers/tree-snapshot.ts';

function scene(t: ExecutionContext) {
  const cwd = temporaryFolder(t);
  mkdirSync(join(cwd, 'source/d'), { recursive: true });
  writeFileSync(join(cwd, 'source/d/f'), 'content');
  return { cwd, source: join(cwd, 'source'), target: join(cwd, 'target') };
}

const WORDS = ['--without=privileged', 'clone', 'source', 'target'];

test('a clone is silent, and its second run changes nothing', async (t) => {
  const { cwd, source, target } = scene(t);
  const first = await succeed(runCasync(WORDS, { cwd }));
  t.is(`${first.stdout}${first.stderr}`, '');
  t.deepEqual(compareTrees(source, target), []);
  const before = identitiesOf(target);
  const second = await succeed(runCasync(WORDS, { cwd }));
  t.is(`${second.stdout}${second.stderr}`, '');
  t.deepEqual(identitiesOf(target), before);
});

test('-v tells of features, entries and bytes', async (t) => {
  const { cwd } = scene(t);
  const { stderr } = await succeed(runCasync(['-v', ...WORDS], { cwd }));
  const lines = stderr.toString().split('\n');
  t.is(lines[0], 'Cloning ./');
  t.regex(lines[1], /^Using feature flags: /);
  t.deepEqual(lines.slice(6, 14), [
    'Cloning d',
    'Cloning d/f',
    'Cloned d/f',
    'Cloned d',
    'Cloned ./',
    'Bytes in files: 7B',
    'Bytes left as they were: 0B (0%)',
    'Zero bytes written as sparse files: 0B',
  ]);
  t.regex(lines[15], /^Total clone time: /);
});

test('--delete=no keeps what the source lacks', async (t) => {
  const { cwd, target } = scene(t);
  mkdirSync(join(target, 'extra'), { recursive: true });
  await succeed(runCasync(['--delete=no', ...WORDS], { cwd }));
  t.deepEqual(readdirSync(target).sort(), ['d', 'extra']);
  await succeed(runCasync(WORDS, { cwd }));
  t.deepEqual(readdirSync(target), ['d']);
});

test('--stats=json has one object', async (t) => {
  const { cwd } = scene(t);
  await succeed(runCasync(WORDS, { cwd }));
  const { stderr } = await succeed(runCasync(['--stats=json', ...WORDS], { cwd }));
  t.like(JSON.parse(stderr.toString()), { verb: 'clone', byteCount: 7, keptBytes: 7 });
});

for (const [what, words, message] of [
  ['one word', ['clone', 'source'], 'A source and a target directory expected.'],
  ['three words', ['clone', 'a', 'b', 'c'], 'A source and a target directory expected.'],
  ['the same folder', ['clone', 'source', './source'], 'the same directory, refusing.'],
  ['a target in the source', ['clone', 'source', 'source/x'], 'inside of the source'],
  ['a source in the target', ['clone', 'source/d', 'source'], 'inside of the target'],
  ['a URL', ['clone', 'http://x/y', 'target'], 'Source must be local path: http://x/y'],
  ['no source', ['clone', 'missing', 'target'], 'missing: open: No such file or directory'],
] as const) {
  test(`refused in one line: ${what}`, async (t) => {
    const { cwd } = scene(t);
    const { status, stdout, stderr } = await runCasync(words, { cwd });
    t.is(status, 1);
    t.is(stdout.toString(), '');
    t.true(stderr.toString().includes(message), stderr.toString());
    t.is(stderr.toString().trim().split('\n').length, 1);
  });
}

test('a source that changes is reported, with status 3', async (t) => {
  const { cwd, source } = scene(t);
  // A file that grows as long as the run lasts.
  const file = join(source, 'growing');
  writeFileSync(file, Buffer.alloc(50_000_000, 'x'));
  const timer = setInterval(() => appendFileSync(file, 'x'), 1);
  const { status, stderr } = await runCasync(WORDS, { cwd });
  clearInterval(timer);
  t.is(status, 3, stderr.toString());
  t.is(stderr.toString(), 'source/growing: file changed while it was read\n');
});
