/** A source that changes while it is read is noticed (spec/images.md, "A source that changes"). */
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { rememberSource } from '../../../../lib/images/source/source-state.node.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

async function changed(
  t: Parameters<typeof temporaryFolder>[0],
  change: (path: string) => void,
): Promise<string | undefined> {
  const path = join(temporaryFolder(t), 'source');
  fs.writeFileSync(path, 'content');
  const descriptor = fs.openSync(path, 'r');
  t.teardown(() => fs.closeSync(descriptor));
  // The file was written just now: a change within the same tick of the clock counts, too.
  const state = await rememberSource(descriptor);
  change(path);
  return state.difference();
}

test('a file that nobody touches has not changed', async (t) => {
  t.is(await changed(t, () => {}), undefined);
  t.is(await changed(t, (path) => fs.readFileSync(path)), undefined);
});

test('other content of the same length is a change, at once after the last one', async (t) => {
  t.regex((await changed(t, (path) => fs.writeFileSync(path, 'CONTENT'))) ?? '', /modified/);
});

test('another size is a change', async (t) => {
  t.regex((await changed(t, (path) => fs.appendFileSync(path, 'x'))) ?? '', /from 7 to 8/);
});

test('a date that was put back is a change all the same', async (t) => {
  const difference = await changed(t, (path) => {
    const { atime, mtime } = fs.statSync(path);
    fs.writeFileSync(path, 'CONTENT');
    fs.utimesSync(path, atime, mtime);
  });
  t.regex(difference ?? '', /modified/);
});
