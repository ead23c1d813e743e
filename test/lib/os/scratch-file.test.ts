import { closeSync, fstatSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openScratchFile, scratchFolder } from '../../../lib/os/scratch-file.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

test('the first usable variable names the folder', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  t.is(scratchFolder({}), '/var/tmp');
  t.is(scratchFolder({ TMPDIR: folder, TEMP: '/' }), folder);
  t.is(scratchFolder({ TMPDIR: 'relative', TEMP: folder }), folder);
  t.is(scratchFolder({ TMPDIR: `${folder}/../..`, TMP: folder }), folder);
  t.is(scratchFolder({ TMPDIR: join(folder, 'missing'), TMP: folder }), folder);
  t.is(scratchFolder({ TMPDIR: join(folder, 'file') }), '/var/tmp');
});

test('a scratch file has no name', (t) => {
  const folder = temporaryFolder(t);
  const descriptor = openScratchFile(folder);
  t.teardown(() => closeSync(descriptor));
  t.deepEqual(readdirSync(folder), []);
  t.is(fstatSync(descriptor).nlink, 0);
});

test('a folder that is not there is an error that names it', (t) => {
  const folder = join(temporaryFolder(t), 'missing');
  t.throws(() => openScratchFile(folder), { message: /missing.*: No such file or directory$/ });
});
