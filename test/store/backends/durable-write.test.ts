import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { openDurableFile } from '../../../store/backends/durable-write.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

for (const sync of [true, false]) {
  test(`the old file stays until commit, then the new one is there (sync: ${sync})`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'x.caibx');
    fs.writeFileSync(path, 'old');
    const file = openDurableFile(path, { mode: 0o640 });
    fs.writeSync(file.descriptor, 'new');
    t.is(fs.readFileSync(path, 'utf8'), 'old');
    const temporary = fs.readdirSync(folder).find((name) => name !== 'x.caibx');
    t.regex(temporary ?? '', /^\.#x\.caibx[0-9a-f]{16}$/);
    await file.commit({ sync });
    file.discard();
    t.is(fs.readFileSync(path, 'utf8'), 'new');
    t.is(fs.statSync(path).mode & 0o7777, 0o640 & ~process.umask());
    t.deepEqual(fs.readdirSync(folder), ['x.caibx']);
  });
}

test('discard leaves the old file and nothing else', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'x.caibx');
  fs.writeFileSync(path, 'old');
  const file = openDurableFile(path, { mode: 0o644 });
  fs.writeSync(file.descriptor, 'new');
  file.discard();
  file.discard();
  t.is(fs.readFileSync(path, 'utf8'), 'old');
  t.deepEqual(fs.readdirSync(folder), ['x.caibx']);
});

test('a commit that fails names the file and leaves no temporary', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'x.caibx');
  fs.mkdirSync(path);
  const file = openDurableFile(path, { mode: 0o644 });
  await t.throwsAsync(file.commit({ sync: true }), { code: 'IO', message: /x\.caibx/ });
  t.deepEqual(fs.readdirSync(folder), ['x.caibx']);
});

test('a symbolic link is replaced, not followed', async (t) => {
  const folder = temporaryFolder(t);
  const [path, other] = [join(folder, 'x'), join(folder, 'other')];
  fs.writeFileSync(other, 'other');
  fs.symlinkSync('other', path);
  const file = openDurableFile(path, { mode: 0o644 });
  await file.commit({ sync: true });
  t.false(fs.lstatSync(path).isSymbolicLink());
  t.is(fs.readFileSync(other, 'utf8'), 'other');
});

test('names as long as the file system allows can be written', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'ä'.repeat(127));
  const file = openDurableFile(path, { mode: 0o644 });
  await file.commit({ sync: false });
  t.true(fs.existsSync(path));
});

test('a folder that is not there is named', (t) => {
  const path = join(temporaryFolder(t), 'absent', 'x.caibx');
  t.throws(() => openDurableFile(path, { mode: 0o644 }), {
    code: 'IO',
    message: /absent\/x\.caibx: create: No such file or directory$/,
  });
});
