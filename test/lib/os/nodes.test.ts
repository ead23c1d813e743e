import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { statPath } from '../../../lib/os/file-stat.node.ts';
import { makeFifo, makeNode, makeSocket } from '../../../lib/os/nodes.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

test('device nodes have the type and numbers asked for', (t) => {
  if (!requirement(t, { root: true })) return;
  const folder = temporaryFolder(t);
  for (const [major, minor] of [
    [1, 3],
    [255, 256],
    [4095, 1048575],
  ]) {
    for (const type of [0o020000, 0o060000]) {
      const path = Buffer.from(join(folder, `${type}-${major}`));
      makeNode(path, type | 0o600, major, minor);
      t.like(statPath(path), { mode: type | 0o600, rdevMajor: major, rdevMinor: minor });
    }
  }
});

test('fifos and sockets have their type', (t) => {
  const folder = temporaryFolder(t);
  makeFifo(Buffer.from(join(folder, 'fifo')), 0o600);
  makeSocket(Buffer.from(join(folder, 'socket')), 0o600);
  t.is(lstatSync(join(folder, 'fifo')).mode, 0o010600);
  t.is(lstatSync(join(folder, 'socket')).mode, 0o140600);
});

test('a name that is taken is an error', (t) => {
  const path = Buffer.from(temporaryFolder(t));
  t.throws(() => makeFifo(path, 0o600), { message: 'make fifo: File exists' });
});
