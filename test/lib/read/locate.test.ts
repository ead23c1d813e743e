import test from 'ava';
import { concatBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { locateNode, readSubtree } from '../../../lib/read/locate.ts';
import { type Place, plain, sameValue, sourceOf, walked } from '../../helpers/archive-places.ts';
import { golden } from '../../helpers/golden.ts';

test('bytes behind the archive leave the lookup to the walk', async (t) => {
  const archive = golden('mini/dir.catar');
  const longer = concatBytes([archive, new Uint8Array(100)]);
  for (const { path, start, end } of walked(archive)) {
    t.like(await locateNode(sourceOf(longer).source, path), { start, end });
  }
});

test('a damaged table never gives another node than the walk', async (t) => {
  const archive = golden('mini/dir-unix.catar');
  const places = walked(archive);
  for (let at = 697; at < archive.length; at++) {
    const forged = archive.slice();
    forged[at] ^= 1 << (at % 8);
    for (const place of places) {
      const { source } = sourceOf(forged);
      const expected = await outcome(locateNode({ ...source, seekable: false }, place.path));
      const found = await outcome(locateNode(source, place.path));
      // The walk also minds damage that lies elsewhere.
      if (expected === 'FORMAT') continue;
      t.deepEqual(found, expected, `byte ${at}, ${Buffer.from(place.path)}`);
    }
  }
});

async function outcome(located: Promise<Place>): Promise<unknown> {
  try {
    return plain(await located);
  } catch (error) {
    if (isCasError(error)) return error.code;
    throw error;
  }
}

test('the events of a part are the same whether it is looked up or walked to', async (t) => {
  const archive = golden('tree/default.catar');
  for (const { path } of walked(archive)) {
    const { source } = sourceOf(archive);
    const [jumped, passed]: unknown[][] = [[], []];
    await readSubtree(source, path, (event) => void jumped.push(event));
    await readSubtree({ ...source, seekable: false }, path, (event) => void passed.push(event));
    if (!sameValue(joined(jumped), joined(passed))) t.fail(`${Buffer.from(path)}`);
  }
  t.pass();
});

/** Pieces of contents depend on how the bytes arrive. */
function joined(events: readonly unknown[]): unknown[] {
  const result: unknown[] = [];
  for (const event of events as { kind: string; bytes?: Uint8Array }[]) {
    const last = result.at(-1) as { kind: string; bytes: number[] } | undefined;
    if (event.kind !== 'data') result.push(event);
    else if (last?.kind === 'data') last.bytes.push(...(event.bytes ?? []));
    else result.push({ kind: 'data', bytes: [...(event.bytes ?? [])] });
  }
  return result;
}

test('a path that no node has fails with the words of the original', async (t) => {
  const { source } = sourceOf(golden('mini/dir.catar'));
  const path = Buffer.from('no/such');
  const expected = { code: 'NOT_IN_ARCHIVE', message: 'Seek path not available in archive.' };
  await t.throwsAsync(locateNode(source, path), expected);
  await t.throwsAsync(
    readSubtree(source, path, () => undefined),
    expected,
  );
});

test('a folder is listed the same whether its children are looked up or walked to', async (t) => {
  const archive = golden('tree/default.catar');
  const options = { skipPayloads: true, childrenOnly: true };
  for (const { path } of walked(archive)) {
    const { source } = sourceOf(archive);
    const [jumped, passed]: unknown[][] = [[], []];
    await readSubtree(source, path, (event) => void jumped.push(event), options);
    const stream = { ...source, seekable: false };
    await readSubtree(stream, path, (event) => void passed.push(event), options);
    if (!sameValue(jumped, passed)) t.fail(`${Buffer.from(path)}`);
  }
  t.pass();
});
