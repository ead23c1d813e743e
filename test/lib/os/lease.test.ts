/** Whether somebody writes to a file. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { isOpenForWriting } from '../../../lib/os/lease.node.ts';
import { nativeAvailable } from '../../../lib/os/libc.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

test('a file is open for writing as long as somebody has it open for that', (t) => {
  if (!requirement(t, { conditions: { koffi: nativeAvailable() } })) return;
  const path = join(temporaryFolder(t), 'file');
  fs.writeFileSync(path, 'x');
  const reader = fs.openSync(path, 'r');
  t.is(isOpenForWriting(reader), false);
  const writer = fs.openSync(path, 'r+');
  t.is(isOpenForWriting(reader), true);
  fs.closeSync(writer);
  t.is(isOpenForWriting(reader), false);
  // Nobody is kept from opening it afterwards.
  fs.writeFileSync(path, 'y');
  fs.closeSync(reader);
});
