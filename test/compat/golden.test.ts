/**
 * The recipe of the golden vectors, run with our command, gives the files that the original gave.
 * Only the compressed bytes of chunk files may differ.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { GOLDEN } from '../helpers/golden.ts';
import { requirement } from '../helpers/requirements.ts';
import { CASYNC } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const NEEDS = {
  root: true,
  commands: ['perl', 'setfattr', 'setfacl', 'setcap', 'mknod', 'chattr', 'sha256sum'],
} as const;

/** Not made by the recipe. */
const NOT_MADE = new Set([
  'README.md',
  'invalid',
  'make-fixtures.sh',
  'make-tree.sh',
  'make-tree-chattr.sh',
  'manifest.sha256',
  'protocol',
]);

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !NOT_MADE.has(name.split('/')[0]))
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

/**
 * Two things are meant to differ: failures go on with what failed, and `--exclude-file=no` really
 * ignores the files (spec/command-line.md, "Differences"), where the original only clears the flag.
 */
function comparable(name: string, bytes: Buffer): string {
  if (name !== 'tree/variants.tsv') return bytes.toString('latin1');
  return bytes
    .toString()
    .replaceAll(/(\tfails\tFailed to run synchronizer: ).*/g, '$1')
    .replace(/^--exclude-file=no\tok\t.*/m, '--exclude-file=no\tok');
}

test('the recipe of the golden vectors gives the same files with our command', (t) => {
  t.timeout(240_000);
  if (!requirement(t, NEEDS)) return;
  const out = join(temporaryFolder(t), 'out');
  execFileSync(join(GOLDEN, 'make-fixtures.sh'), [out], {
    env: { ...process.env, CASYNC, CASYNC_DIGEST: 'sha512-256' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const expected = filesBelow(GOLDEN);
  t.deepEqual(filesBelow(out), expected);
  const differing = expected.filter((name) => {
    if (name.endsWith('.cacnk')) return false;
    const ours = comparable(name, readFileSync(join(out, name)));
    return ours !== comparable(name, readFileSync(join(GOLDEN, name)));
  });
  t.deepEqual(differing, []);
  t.true(expected.length > 120, `only ${expected.length} files compared`);
});
