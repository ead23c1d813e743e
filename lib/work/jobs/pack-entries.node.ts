/**
 * Job of `make`: packs entries that follow one another in the archive into memory shared with the
 * caller, one behind the other.
 */
import type { NodeType } from '../../../formats/catar-events.ts';
import { nodeTypeOfMode } from '../../../formats/catar-fields.ts';
import { PACKED_COLUMNS } from '../../../formats/catar-serializer.ts';
import { hashName } from '../../../formats/goodbye.ts';
import { EntryPacker, FULL, LEFT } from '../../make/entry-packer.node.ts';
import {
  type PackEntriesInput,
  type PackEntriesOutput,
  type PackRun,
  packedLength,
} from '../../make/packing.ts';

const TYPE_SHIFT = 12;

let latest: { readonly key: string; readonly packer: EntryPacker } | undefined;

/** The packer remembers owners and file systems, so it is kept from job to job. */
function packerFor({ options, contents }: PackEntriesInput): EntryPacker {
  const { featureFlags, uidShift } = options;
  const key = `${featureFlags} ${uidShift?.shift} ${uidShift?.range} ${contents}`;
  if (latest?.key !== key) latest = { key, packer: new EntryPacker(options, contents) };
  return latest.packer;
}

/** Never fails because of an entry: what cannot be packed is left to the caller. */
export function packEntries(_context: unknown, input: PackEntriesInput): PackEntriesOutput {
  const { runs } = input;
  const packer = packerFor(input);
  const region = new Uint8Array(input.region);
  const count = runs.reduce((sum, { types }) => sum + types.length, 0);
  const table = new Uint32Array(count * PACKED_COLUMNS);
  const referred = new Uint32Array(input.contents === 'refer' ? count : 0);
  let entry = 0;
  let offset = 0;
  for (const run of runs) {
    for (const [name, listed] of entriesOf(run)) {
      const length = packer.pack(run, name, listed, region, offset);
      if (length === FULL) return outputOf(table, referred, entry);
      if (length !== LEFT) {
        const hash = hashName(name);
        const cell = entry * PACKED_COLUMNS;
        table[cell] = length;
        table[cell + 1] = hash.low;
        table[cell + 2] = hash.high;
        referred[entry] = packer.referred;
        offset += packedLength(length, packer.referred);
      }
      entry += 1;
    }
  }
  return outputOf(table, referred, entry);
}

/** What is known of the first `count` entries. */
function outputOf(table: Uint32Array, referred: Uint32Array, count: number): PackEntriesOutput {
  const output = { table: table.slice(0, count * PACKED_COLUMNS) };
  return referred.length === 0 ? output : { ...output, referred: referred.slice(0, count) };
}

function* entriesOf({
  names,
  types,
}: PackRun): Generator<readonly [name: Uint8Array, listed: NodeType | undefined]> {
  // Not as a Buffer, whose methods are slower.
  const bytes = Uint8Array.from(Buffer.from(names, 'latin1'));
  let start = 0;
  for (const typeBits of types) {
    const nul = bytes.indexOf(0, start);
    const end = nul < 0 ? bytes.length : nul;
    yield [bytes.subarray(start, end), nodeTypeOfMode(typeBits << TYPE_SHIFT)];
    start = end + 1;
  }
}
