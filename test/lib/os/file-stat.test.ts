import { execFileSync } from 'node:child_process';
import { closeSync, lstatSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { statDescriptor, statEntry, statPath } from '../../../lib/os/file-stat.node.ts';
import { mountIdOf } from '../../../lib/os/open.node.ts';
import { errnoOf } from '../../../lib/os/system-error.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const PROJECT = join(import.meta.dirname, '../../..');

test('attributes are those that Node reports', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), 'x'.repeat(5000));
  symlinkSync('nowhere', join(folder, 'link'));
  for (const path of [folder, join(folder, 'file'), join(folder, 'link'), '/dev/null']) {
    const node = lstatSync(path, { bigint: true });
    const stat = statPath(Buffer.from(path));
    t.is(stat.mode, Number(node.mode), path);
    t.is(stat.uid, Number(node.uid));
    t.is(stat.gid, Number(node.gid));
    t.is(stat.size, Number(node.size));
    t.is(stat.mtimeNs, node.mtimeNs);
    t.is(stat.ctimeNs, node.ctimeNs);
    t.is(stat.inode, node.ino);
    t.is(stat.linkCount, Number(node.nlink));
    t.is(stat.allocatedBytes, Number(node.blocks) * 512);
  }
  t.like(statPath(Buffer.from('/dev/null')), { rdevMajor: 1, rdevMinor: 3 });
});

test('path, entry and descriptor give the same', (t) => {
  const folder = temporaryFolder(t);
  const name = Buffer.from([0xff, 0x20, 0x0a]);
  const path = Buffer.concat([Buffer.from(`${folder}/`), name]);
  writeFileSync(path, 'x');
  const directory = openSync(folder, 'r');
  const fd = openSync(path, 'r');
  t.teardown(() => closeSync(directory));
  t.teardown(() => closeSync(fd));
  t.deepEqual(statEntry(directory, name), statPath(path));
  t.deepEqual(statDescriptor(fd), statPath(path));
});

test('the mount is the one that /proc names', (t) => {
  const fd = openSync('/proc', 'r');
  t.teardown(() => closeSync(fd));
  const { mountId, isMountIdUnique } = statDescriptor(fd);
  // Newer kernels count all mounts there ever were; /proc names only those that are.
  t.is(mountId === mountIdOf(fd), !isMountIdUnique);
  t.not(statDescriptor(fd).mountId, statPath(Buffer.from('/')).mountId);
});

test('a missing file is an error with its number', (t) => {
  const error = t.throws(() => statPath(Buffer.from('/nonexistent/x')));
  t.is(errnoOf(error), 'ENOENT');
  t.is(error.message, 'read attributes: No such file or directory');
});

test('a name with a NUL inside is refused', (t) => {
  t.throws(() => statPath(Buffer.from('/etc\0/passwd')), { message: /Invalid argument/ });
});

const PROBE = `
  import { statPath, statDescriptor } from './lib/os/file-stat.node.ts';
  import { openSync } from 'node:fs';
  const show = ({ mode, uid, gid, rdevMajor, rdevMinor }) => [mode, uid, gid, rdevMajor, rdevMinor];
  const path = Buffer.from(process.env.PROBE + '/file');
  console.log(JSON.stringify({
    device: show(statPath(Buffer.from(process.env.PROBE + '/device'))),
    file: show(statPath(path)),
    open: show(statDescriptor(openSync(path, 'r'))),
  }));
`;
const EXPECTED = {
  device: [0o020640, 0, 0, 7, 300],
  file: [0o104755, 5, 7, 0, 0],
  open: [0o104755, 5, 7, 0, 0],
};
const SETUP = `umask 0; mknod -m 640 "$PROBE/device" c 7 300; touch "$PROBE/file";
  chown 5:7 "$PROBE/file"; chmod 4755 "$PROBE/file"; cd "$PROJECT";
  exec node --import=tsx --input-type=module -e "$SCRIPT"`;

function probe(folder: string, command: string, variables: Record<string, string>) {
  const env = { ...process.env, ...variables, PROBE: folder, PROJECT, SCRIPT: PROBE };
  const output = execFileSync(command, ['sh', '-c', SETUP], { env, cwd: '/' });
  return JSON.parse(output.toString());
}

test('fakeroot is seen', (t) => {
  if (!requirement(t, { commands: ['fakeroot'] })) return;
  const folder = temporaryFolder(t);
  t.deepEqual(probe(folder, 'fakeroot', { FAKEROOTDONTTRYCHOWN: '1' }), EXPECTED);
  t.is(lstatSync(join(folder, 'file')).uid, lstatSync(folder).uid);
});

test('pseudo is seen', (t) => {
  if (!requirement(t, { commands: ['pseudo'] })) return;
  const folder = temporaryFolder(t);
  const state = temporaryFolder(t);
  mkdirSync(join(folder, 'inside'));
  const variables = { PSEUDO_PREFIX: '/usr', PSEUDO_LOCALSTATEDIR: state, PSEUDO_DISABLED: '0' };
  t.deepEqual(probe(join(folder, 'inside'), 'pseudo', variables), EXPECTED);
});
