/** What was read and is not what it should be is seen, whoever serves it. Folders instead of mounts. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { measure } from '../../bench/measure.ts';
import { ONLY_FILE, READINGS, type Reading, type ReadPlace } from '../../bench/readings.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const FILE_BYTES = 1_000_003;

function placeOf(t: ExecutionContext, served: Buffer): ReadPlace {
  const folder = temporaryFolder(t);
  const place = {
    served: join(folder, 'served'),
    input: join(folder, 'input'),
    results: join(folder, 'results'),
  };
  for (const path of Object.values(place)) mkdirSync(path);
  writeFileSync(join(place.input, ONLY_FILE), Buffer.alloc(FILE_BYTES, 'content '));
  writeFileSync(join(place.served, ONLY_FILE), served);
  return place;
}

async function readAndCheck(t: ExecutionContext, reading: Reading, place: ReadPlace) {
  const scratch = join(temporaryFolder(t), 'usage');
  const options = { meter: 'proc', scratch, signal: new AbortController().signal } as const;
  const env = process.env as Record<string, string>;
  await measure({ ...reading.read(place), env }, options);
  await measure({ ...reading.check(place), env }, options);
}

for (const name of ['sequential', 'parallel', 'random', 'names'] as const) {
  test(`${name}: what is the same is right`, async (t) => {
    const place = placeOf(t, Buffer.alloc(FILE_BYTES, 'content '));
    await t.notThrowsAsync(readAndCheck(t, READINGS[name], place));
  });
}

for (const name of ['sequential', 'parallel', 'random'] as const) {
  test(`${name}: other content is wrong`, async (t) => {
    const other = Buffer.alloc(FILE_BYTES, 'content ').fill('x', FILE_BYTES >> 1);
    await t.throwsAsync(readAndCheck(t, READINGS[name], placeOf(t, other)), { message: /cmp/ });
  });
}

test('parallel: a file that is not there is an error', async (t) => {
  const place = { ...placeOf(t, Buffer.alloc(0)), served: '/no/such' };
  await t.throwsAsync(readAndCheck(t, READINGS.parallel, place));
});

test('names: one that is missing is wrong, and so is one more', async (t) => {
  const place = placeOf(t, Buffer.alloc(0));
  writeFileSync(join(place.input, 'more'), '');
  await t.throwsAsync(readAndCheck(t, READINGS.names, place), { message: /cmp/ });
  writeFileSync(join(place.served, 'more'), '');
  await t.notThrowsAsync(readAndCheck(t, READINGS.names, place));
  writeFileSync(join(place.served, 'even more'), '');
  await t.throwsAsync(readAndCheck(t, READINGS.names, place), { message: /cmp/ });
});

test('random reads are the same every time, and those of each reader are others', async (t) => {
  const place = placeOf(
    t,
    Buffer.from(Uint8Array.from({ length: FILE_BYTES }, (_, i) => i / 4096)),
  );
  const scratch = join(temporaryFolder(t), 'usage');
  const options = { meter: 'proc', scratch, signal: new AbortController().signal } as const;
  const digests = async (): Promise<string> => {
    await measure(READINGS.random.read(place), options);
    t.true(existsSync(join(place.results, 'digests')));
    return readFileSync(join(place.results, 'digests'), 'ascii');
  };
  const first = await digests();
  t.is(await digests(), first);
  t.is(new Set(first.trim().split('\n')).size, 8);
});
