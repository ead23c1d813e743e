/** A result never takes the place of what it is made from (spec/command-line.md). */
import { createHash } from 'node:crypto';
import { linkSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { noise } from '../helpers/golden.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const COMMANDS = [
  'make --what=blob-index disk disk',
  'make --what=blob-index again disk',
  'put --what=blob-index disk disk',
  'put --what=archive-index archive.catar archive.catar',
  'index -o disk disk',
  'index -o again disk',
  'delta --base=disk -o disk newer',
  'delta --base=disk -o newer newer',
  'compose x.cadelta -o x.cadelta',
  'patch disk x.cadelta -o x.cadelta',
  'patch disk x.cadelta --undo=x.cadelta',
  'patch disk x.cadelta --undo=disk',
  'sync --undo=disk newer disk',
  'sync --undo=newer newer disk',
  'sync --map=newer newer disk',
  'sync --map=disk newer disk',
  'sync disk disk',
  'sync disk again',
  'export --format=rdiff-sig disk disk',
  'export --format=qcow2 --backing=disk newer disk',
];

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('a command that would write over its input is refused, and nothing has changed', async (t) => {
  t.timeout(120_000);
  const cwd = temporaryFolder(t);
  writeFileSync(join(cwd, 'disk'), noise(300_000, 1));
  writeFileSync(join(cwd, 'newer'), noise(290_000, 2));
  linkSync(join(cwd, 'disk'), join(cwd, 'again'));
  await succeed(runCasync(['make', 'archive.catar', '.'], { cwd }));
  await succeed(runCasync(['delta', '--base=disk', '-o', 'x.cadelta', 'newer'], { cwd }));

  const names = ['disk', 'newer', 'archive.catar', 'x.cadelta'];
  const content = (): readonly string[] => names.map((name) => digestOf(join(cwd, name)));
  const before = content();
  for (const command of COMMANDS) {
    const result = await runCasync(command.split(' '), { cwd });
    t.is(result.status, 15, command);
    t.regex(result.stderr.toString(), /^[^\n]+\n$/, command);
    t.deepEqual(content(), before, command);
  }
});
