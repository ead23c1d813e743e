/** What every implementation of FileCalls must do (store/backends/file-calls.node.ts). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { createFileCalls } from '../../../lib/os/file-calls.node.ts';
import { type FileCalls, NODE_FILE_CALLS } from '../../../store/backends/file-calls.node.ts';
import { text } from '../../helpers/golden.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const native = createFileCalls();
const IMPLEMENTATIONS: Readonly<Record<string, FileCalls>> = {
  'node:fs': NODE_FILE_CALLS,
  ...(native ? { 'C library': native } : {}),
};

for (const [name, calls] of Object.entries(IMPLEMENTATIONS)) {
  test(`${name}: tells files, links and others apart, and does not follow links`, (t) => {
    const folder = temporaryFolder(t);
    const at = (entry: string): string => join(folder, entry);
    fs.writeFileSync(at('file-ä'), 'x');
    fs.symlinkSync('file-ä', at('link'));
    fs.symlinkSync('nowhere', at('dangling'));
    fs.mkdirSync(at('folder'));
    t.is(calls.kindAt(at('file-ä')), 'file');
    t.is(calls.kindAt(at('link')), 'link');
    t.is(calls.kindAt(at('dangling')), 'link');
    t.is(calls.kindAt(at('folder')), 'other');
    t.is(calls.kindAt(at('nothing')), undefined);
    t.is(calls.kindAt(at('no-folder/nothing')), undefined);
  });

  test(`${name}: what cannot be looked up is not missing`, (t) => {
    const folder = temporaryFolder(t);
    fs.writeFileSync(join(folder, 'file'), 'x');
    t.throws(() => calls.kindAt(join(folder, 'file/x')), { code: 'ENOTDIR' });
    t.throws(() => calls.kindAt(join(folder, 'x'.repeat(300))), { code: 'ENAMETOOLONG' });
    t.throws(() => calls.kindAt(`${folder}/${'x/'.repeat(5000)}`), { code: 'ENAMETOOLONG' });
    t.throws(() => calls.kindAt(`${folder}/file\0`));
  });

  test(`${name}: knows the size of regular files only`, (t) => {
    const folder = temporaryFolder(t);
    fs.writeFileSync(join(folder, 'file'), text(12_345));
    fs.writeFileSync(join(folder, 'large'), '');
    fs.truncateSync(join(folder, 'large'), 5 * 2 ** 32 + 3);
    const sizeOf = (path: string): number | undefined => {
      const descriptor = fs.openSync(path, 'r');
      t.teardown(() => fs.closeSync(descriptor));
      return calls.fileSize(descriptor);
    };
    t.is(sizeOf(join(folder, 'file')), 12_345);
    t.is(sizeOf(join(folder, 'large')), 5 * 2 ** 32 + 3);
    t.is(sizeOf(folder), undefined);
    t.is(sizeOf('/dev/null'), undefined);
    t.throws(() => calls.fileSize(-1));
  });

  test(`${name}: creates a folder unless the name is taken`, (t) => {
    const folder = join(temporaryFolder(t), 'new');
    t.true(calls.createFolder(folder));
    t.false(calls.createFolder(folder));
    t.is(fs.statSync(folder).mode & 0o777, 0o777 & ~process.umask());
    t.throws(() => calls.createFolder(join(folder, 'a/b')), { code: 'ENOENT' });
  });

  test(`${name}: a name that is taken stays as it is, whatever has it`, (t) => {
    const folder = temporaryFolder(t);
    const at = (entry: string): string => join(folder, entry);
    fs.writeFileSync(at('new'), 'new');
    fs.writeFileSync(at('old'), 'old');
    fs.symlinkSync('nowhere', at('link'));
    fs.mkdirSync(at('folder'));
    for (const taken of ['old', 'link', 'folder']) {
      t.false(calls.renameNew(at('new'), at(taken)), taken);
    }
    t.is(fs.readFileSync(at('old'), 'utf8'), 'old');
    t.true(calls.renameNew(at('new'), at('other')));
    t.is(fs.readFileSync(at('other'), 'utf8'), 'new');
    t.deepEqual(fs.readdirSync(folder).sort(), ['folder', 'link', 'old', 'other']);
    t.throws(() => calls.renameNew(at('new'), at('yet-another')), { code: 'ENOENT' });
  });
}
