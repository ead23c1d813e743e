/** The archives of the original casync, and the damaged ones that it was asked about. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { CatarParser } from '../../formats/catar-parser.ts';
import { FormatError } from '../../formats/errors.ts';
import { parseArchive, serializeEvents } from '../helpers/catar.ts';
import { GOLDEN, golden } from '../helpers/golden.ts';

const VALID = ['tree', 'mini', 'chattr'].flatMap((folder) =>
  readdirSync(join(GOLDEN, folder))
    .filter((name) => name.endsWith('.catar'))
    .map((name) => join(folder, name)),
);

const DAMAGED = 'invalid/catar';

/**
 * User names that the original writes but refuses to read: with a dot, a dollar sign and beyond
 * ASCII. We read them (spec/formats/catar.md, "Mistakes of the reference that are not copied").
 */
const READ_NEVERTHELESS: ReadonlySet<string> = new Set([
  '047-user-b-a-b.catar',
  '055-user-b-na.catar',
  '056-user-b-xc3-xbc.catar',
]);

interface Expected {
  readonly name: string;
  readonly valid: boolean;
  /** Entries before the end or the error, where the reference came to one. */
  readonly entryCount: number | undefined;
}

const EXPECTED: readonly Expected[] = new TextDecoder()
  .decode(golden(join(DAMAGED, 'expected.tsv')))
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => {
    const [name = '', result, , count = ''] = line.split('\t');
    const readNevertheless = READ_NEVERTHELESS.has(name);
    const entryCount = count === '' || readNevertheless ? undefined : Number(count);
    return { name, valid: result === 'ok' || readNevertheless, entryCount };
  });

interface Outcome {
  readonly entryCount: number;
  readonly error: unknown;
}

function read(archive: Uint8Array): Outcome {
  const parser = new CatarParser();
  let entryCount = 0;
  try {
    for (const event of parser.push(archive)) if (event.kind === 'enter') entryCount++;
    parser.end();
  } catch (error) {
    return { entryCount, error };
  }
  return { entryCount, error: undefined };
}

for (const path of VALID) {
  test(`${path} parses, and serializes to the same bytes`, (t) => {
    const archive = golden(path);
    t.deepEqual(serializeEvents(parseArchive(archive)), archive);
  });
}

test('the list of damaged archives is complete', (t) => {
  t.is(EXPECTED.length, 98);
});

for (const { name, valid, entryCount } of EXPECTED) {
  test(`${name} is ${valid ? 'read' : 'refused'}`, (t) => {
    const outcome = read(golden(join(DAMAGED, name)));
    if (valid) t.is(outcome.error, undefined);
    else t.true(outcome.error instanceof FormatError, String(outcome.error));
    if (entryCount !== undefined) t.is(outcome.entryCount, entryCount);
  });
}
