import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openInPlaceTarget, openOldFile } from '../../../lib/extract/target-in-place.node.ts';
import { JournalWriter, journalPath } from '../../../lib/extract/update-journal.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const OLD = Buffer.alloc(20_000, 'old');
const PIECE = Buffer.from('new bytes');

interface Scene {
  readonly path: string;
  readonly journal: string;
  /** What a complete update makes of the old file. */
  readonly result: Buffer;
}

/** A file with the complete journal of an update that did not begin to write. */
async function interrupted(t: ExecutionContext, newSize = 16_000): Promise<Scene> {
  const path = join(temporaryFolder(t), 'image.raw');
  writeFileSync(path, OLD);
  const journal = journalPath(path);
  const { ino } = statSync(path, { bigint: true });
  const writer = new JournalWriter(journal, { inode: ino, oldSize: OLD.length, newSize });
  writer.write(PIECE, 5000);
  writer.zero(8192, 4096);
  await writer.finish();
  const result = Buffer.alloc(newSize);
  OLD.copy(result);
  PIECE.copy(result, 5000);
  result.fill(0, 8192, 8192 + 4096);
  return { path, journal, result };
}

function recover(path: string): boolean {
  const old = openOldFile(path);
  if (old !== undefined) closeSync(old.descriptor);
  return old !== undefined;
}

test('an update that was cut off is completed by the next one', async (t) => {
  for (const newSize of [16_000, 20_000, 30_000]) {
    const { path, journal, result } = await interrupted(t, newSize);
    t.true(recover(path));
    t.true(readFileSync(path).equals(result));
    t.false(existsSync(journal));
  }
});

test('a journal that is not complete has changed nothing and changes nothing', async (t) => {
  const { path, journal } = await interrupted(t);
  const whole = readFileSync(journal);
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(journal, whole.subarray(0, length), { mode: 0o600 });
    t.true(recover(path));
    t.false(existsSync(journal));
  }
  for (let i = 0; i < whole.length; i++) {
    const flipped = Buffer.from(whole);
    flipped[i] ^= 1;
    writeFileSync(journal, flipped, { mode: 0o600 });
    t.true(recover(path));
  }
  t.true(readFileSync(path).equals(OLD));
});

test('a journal of another file is not carried out', async (t) => {
  const { path } = await interrupted(t);
  const other = join(temporaryFolder(t), 'image.raw');
  writeFileSync(other, OLD);
  writeFileSync(journalPath(other), readFileSync(journalPath(path)), { mode: 0o600 });
  t.true(recover(other));
  t.true(readFileSync(other).equals(OLD));
});

test('a journal is not carried out on a file of another length', async (t) => {
  const { path } = await interrupted(t);
  truncateSync(path, 10);
  t.true(recover(path));
  t.is(statSync(path).size, 10);
});

test('what others could have written is left alone, and the file is replaced', async (t) => {
  const { path, journal } = await interrupted(t);
  chmodSync(journal, 0o666);
  t.false(recover(path));
  chmodSync(journal, 0o600);
  linkSync(journal, `${journal}2`);
  t.false(recover(path));
  t.true(readFileSync(path).equals(OLD));
  t.true(existsSync(journal));
});

test('a file that somebody else updates can only be replaced', async (t) => {
  if (!requirement(t, { commands: ['flock'] })) return;
  const path = join(temporaryFolder(t), 'image.raw');
  writeFileSync(path, OLD);
  const holder = spawn('flock', [path, 'sh', '-c', 'echo locked; read line']);
  t.teardown(() => holder.kill());
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  t.is(openOldFile(path), undefined);
});

test('giving up leaves the file and no journal', async (t) => {
  const path = join(temporaryFolder(t), 'image.raw');
  writeFileSync(path, OLD);
  const old = openOldFile(path);
  if (old === undefined) throw new TypeError('the file can be updated');
  const target = openInPlaceTarget(path, old, { size: OLD.length });
  await target.write(PIECE, 100);
  t.true(existsSync(journalPath(path)));
  await target.discard();
  t.false(existsSync(journalPath(path)));
  t.true(readFileSync(path).equals(OLD));
});

test('the journal of a long name has a name that is short enough', (t) => {
  t.is(Buffer.byteLength(journalPath(`/x/${'ä'.repeat(127)}`)) - 3, 255);
});
