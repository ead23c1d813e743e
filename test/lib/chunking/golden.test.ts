import test from 'ava';
import type { DigestName } from '../../../formats/chunk-id.ts';
import { IndexBuilder } from '../../../formats/chunk-index.ts';
import { parseChunkSizes } from '../../../formats/chunk-sizes.ts';
import { decodeIndex, encodeIndex } from '../../../formats/index-codec.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { scanEnds } from '../../../lib/chunking/stitch.ts';
import { createDigest } from '../../../lib/digest/digest.node.ts';
import { golden } from '../../helpers/golden.ts';

/** One line of commands.txt: what casync 2 was asked, and what it printed. */
interface Row {
  readonly file: string;
  readonly digest: string;
  readonly command: string;
}

const rows: readonly Row[] = new TextDecoder()
  .decode(golden('blob-index/commands.txt'))
  .trimEnd()
  .split('\n')
  .map((line) => {
    const [file, digest, command] = line.split('\t');
    return { file, digest, command };
  });

function option(command: string, name: string): string | undefined {
  return new RegExp(`--${name}=(\\S+)`).exec(command)?.[1];
}

/** Makes the index that the command makes. */
function makeIndex({ command }: Row, featureFlags: bigint) {
  const digest = createDigest((option(command, 'digest') ?? 'sha512-256') as DigestName);
  const chunkSizes = parseChunkSizes(option(command, 'chunk-size') ?? 'auto');
  const blob = golden(command.slice(command.lastIndexOf(' ') + 1));
  const scanner = createScanner({ chunker: 'buzhash', chunkSizes });
  const builder = new IndexBuilder();
  let start = 0;
  for (const end of scanEnds(scanner, blob, 0, blob.length)) {
    builder.add(digest.hash(blob.subarray(start, end)), end - start);
    start = end;
  }
  const index = builder.finish({ featureFlags, chunkSizes });
  return { index, digest: digest.hash(blob), digestName: digest.name };
}

test('there is a vector for every index', (t) => {
  t.is(rows.filter(({ digest }) => digest !== 'FAILS').length, 38);
  t.is(rows.filter(({ digest }) => digest === 'FAILS').length, 3);
});

for (const row of rows) {
  if (row.digest === 'FAILS') {
    test(`${row.file}: is refused as casync 2 refuses it`, (t) => {
      t.throws(() => makeIndex(row, 0n), { code: 'USAGE' });
    });
    continue;
  }
  test(`${row.file}: is the index of casync 2, byte for byte`, (t) => {
    const expected = golden(`blob-index/${row.file}`);
    const { featureFlags, digest } = decodeIndex(expected);
    const made = makeIndex(row, featureFlags);
    t.is(made.digestName, digest);
    t.is(made.digest as string, row.digest);
    t.deepEqual(encodeIndex(made.index), expected);
  });
}
