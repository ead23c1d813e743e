/** Words of the command line as bytes: what is not UTF-8 never becomes another name. */
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { CASYNC } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

/** Bash turns `$'\\351'` into the byte; Node could not pass it on. */
function shell(line: string, cwd: string) {
  const env = { ...process.env, casync: `${process.execPath} ${CASYNC}`, LC_ALL: 'C' };
  const { status, stdout, stderr } = spawnSync('bash', ['-c', line], { cwd, env });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

for (const words of ["make caf$'\\351'.catar .", "--store=caf$'\\351' make x.caidx ."]) {
  test(`a word that is not UTF-8 is refused and named: ${words}`, (t) => {
    const folder = temporaryFolder(t);
    const { status, stdout, stderr } = shell(`$casync ${words}`, folder);
    t.is(status, 1);
    t.is(stdout, '');
    t.regex(stderr, /^\S*caf\\351\S*: words of the command line must be UTF-8; [^\n]*\n$/);
    t.deepEqual(readdirSync(folder), []);
  });
}

test('names in UTF-8 work, also with the sign that stands for undecodable bytes', (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['grün.caibx', 'a\ufffdb.caibx', '日本.caibx', 'a b\n.caibx']) {
    writeFileSync(join(folder, 'blob'), name);
    const made = spawnSync(process.execPath, [CASYNC, 'make', name, 'blob'], { cwd: folder });
    t.is(made.stderr.toString(), '');
    t.true(readdirSync(folder).includes(name));
  }
});

test('a redirection stands for a file with such a name', (t) => {
  const folder = temporaryFolder(t);
  const line = `echo x >blob; name=caf$'\\351'.caibx; $casync make - blob >"$name" && $casync digest --what=blob-index - <"$name"`;
  const { status, stdout, stderr } = shell(line, folder);
  t.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  t.is(stdout, '73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac\n');
});
