import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { exchange } from '../../../lib/os/rename.node.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

function twoFiles(t: Parameters<typeof temporaryFolder>[0]) {
  const folder = temporaryFolder(t);
  const [a, b] = [join(folder, 'a'), join(folder, 'b')];
  writeFileSync(a, 'first');
  writeFileSync(b, 'second');
  return { a, b, paths: [Buffer.from(a), Buffer.from(b)] as const };
}

test('exchange swaps two files', (t) => {
  const { a, b, paths } = twoFiles(t);
  t.true(exchange(...paths));
  t.is(readFileSync(a, 'utf8'), 'second');
  t.is(readFileSync(b, 'utf8'), 'first');
});

test('a missing file is an error', (t) => {
  const missing = Buffer.from('/nonexistent/x');
  t.throws(() => exchange(missing, missing), { message: 'exchange: No such file or directory' });
});
