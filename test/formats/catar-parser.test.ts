/** The parser as a machine that is fed: portions, ends, seeking, damage. */
import test, { type ExecutionContext } from 'ava';
import { compareBytes, concatBytes, writeU64 } from '../../formats/bytes.ts';
import type { CatarEvent } from '../../formats/catar-events.ts';
import { CatarParser } from '../../formats/catar-parser.ts';
import { FormatError } from '../../formats/errors.ts';
import { entered, parseArchive, plainEvents, serializeEvents } from '../helpers/catar.ts';
import { golden } from '../helpers/golden.ts';
import { DEFAULT_FLAGS, directory, file, forgeArchive, record } from '../hostile/forge.ts';

const SMALL = ['mini/dir.catar', 'mini/acl-dir.catar'];
const MANY = ['mini/dir.catar', 'mini/acl-dir.catar', 'mini/excl.catar', 'mini/many.catar'];

/** The events, or undefined if the archive was refused as it should be. */
function parseOrRefuse(t: ExecutionContext, archive: Uint8Array): CatarEvent[] | undefined {
  try {
    return parseArchive(archive);
  } catch (error) {
    if (!(error instanceof FormatError)) t.fail(String(error));
    return undefined;
  }
}

/** True if every directory has its names in archive order. */
function namesAscend(events: readonly CatarEvent[]): boolean {
  const last: (Uint8Array | undefined)[] = [];
  for (const event of events) {
    if (event.kind === 'leave') last.pop();
    if (event.kind !== 'enter') continue;
    const before = last.at(-1);
    if (before !== undefined && compareBytes(before, event.name) >= 0) return false;
    if (last.length > 0) last[last.length - 1] = event.name;
    last.push(undefined);
  }
  return true;
}

for (const path of MANY) {
  test(`${path} gives the same events byte by byte`, (t) => {
    const archive = golden(path);
    const cuts = Array.from({ length: archive.length }, (_, i) => i);
    t.deepEqual(plainEvents(parseArchive(archive, {}, cuts)), plainEvents(parseArchive(archive)));
  });

  test(`${path} gives the same events when cut in two anywhere`, (t) => {
    const archive = golden(path);
    const whole = parseArchive(archive);
    for (let cut = 0; cut <= archive.length; cut += archive.length > 1000 ? 7 : 1) {
      t.deepEqual(plainEvents(parseArchive(archive, {}, [cut])), plainEvents(whole));
    }
  });
}

for (const path of SMALL) {
  test(`${path} is refused when it ends early, wherever that is`, (t) => {
    const archive = golden(path);
    for (let length = 0; length < archive.length; length++) {
      const error = t.throws(() => parseArchive(archive.subarray(0, length)), {
        instanceOf: FormatError,
      });
      t.is(error?.offset, length);
    }
  });

  test(`${path} with any bit flipped is refused or is another archive`, (t) => {
    const archive = golden(path);
    let acceptedCount = 0;
    for (let bit = 0; bit < 8 * archive.length; bit++) {
      const damaged = archive.slice();
      damaged[bit >> 3] ^= 1 << (bit & 7);
      const events = parseOrRefuse(t, damaged);
      if (events === undefined || !namesAscend(events)) continue;
      acceptedCount++;
      t.notThrows(() => serializeEvents(events), `bit ${bit}`);
    }
    t.true(acceptedCount > 0);
  });
}

test('offsets of events are those of the records', (t) => {
  const archive = golden('mini/dir.catar');
  const events = parseArchive(archive);
  const [root, first] = entered(events);
  t.is(root?.offset, 0);
  t.is(first?.offset, 96 + 19);
  const ends = events.flatMap((event) => (event.kind === 'leave' ? [event.end] : []));
  t.is(ends[0], 96 + 100);
  t.is(ends.at(-1), archive.length);
});

test('payload is passed on without a copy, names are copies', (t) => {
  const archive = golden('mini/dir.catar');
  for (const event of new CatarParser().push(archive)) {
    if (event.kind === 'data') t.is(event.bytes.buffer, archive.buffer);
    if (event.kind === 'enter') t.not(event.name.buffer, archive.buffer);
  }
});

test('names do not share the memory of a Buffer either', (t) => {
  const archive = Buffer.from(golden('mini/acl-dir.catar'));
  const events = [...new CatarParser().push(archive)];
  const before = plainEvents(parseArchive(archive));
  archive.fill(0);
  t.deepEqual(plainEvents(events), before);
});

test('bytes behind the root are ignored', (t) => {
  const archive = golden('mini/dir.catar');
  const parser = new CatarParser();
  t.is([...parser.push(concatBytes([archive, Uint8Array.of(1, 2, 3)]))].length, 18);
  t.true(parser.done);
  t.is(parser.nextOffset, archive.length);
  t.deepEqual([...parser.push(archive)], []);
  t.notThrows(() => parser.end());
});

/** Reads as a driver that can seek: always from where the parser wants to go on. */
function parseSeeking(archive: Uint8Array, portion: number): CatarEvent[] {
  const parser = new CatarParser({ skipPayloads: true });
  const events: CatarEvent[] = [];
  while (!parser.done && parser.nextOffset < archive.length) {
    const start = parser.nextOffset;
    events.push(...parser.push(archive.slice(start, start + portion)));
  }
  parser.end();
  return events;
}

test('skipped payloads change no other event, and their bytes do not matter', (t) => {
  for (const path of [...MANY, 'tree/default.catar']) {
    const archive = golden(path);
    const wanted = parseArchive(archive).filter((event) => event.kind !== 'data');
    const hidden = archive.slice();
    for (const event of new CatarParser().push(hidden)) {
      if (event.kind === 'data') event.bytes.fill(0xee);
    }
    for (const portion of [1, 16, 100, 1000, archive.length]) {
      t.deepEqual(parseSeeking(hidden, portion), wanted, `${path} in portions of ${portion}`);
    }
  }
});

test('a skipped payload need not be there: the parser says where to go on', (t) => {
  const size = 2 ** 40;
  const claimed = record('PAYLOAD', new Uint8Array(), 16 + size);
  const table: Uint8Array[] = [];
  const child = { ...file(), records: [claimed] };
  const archive = forgeArchive(
    directory([['big', child]], {
      goodbye: ({ goodbyeOffset }) => {
        const bytes = record('GOODBYE', new Uint8Array(24));
        writeU64(bytes, 16, goodbyeOffset + size);
        writeU64(bytes, 24, 40);
        writeU64(bytes, 32, 0x57446fa533702943n);
        table.push(bytes);
        return new Uint8Array();
      },
    }),
  );
  const parser = new CatarParser({ skipPayloads: true });
  const events = [...parser.push(archive)];
  t.deepEqual(
    events.map((event) => event.kind),
    ['enter', 'enter', 'leave'],
  );
  t.is(entered(events)[1]?.node.size, size);
  t.is(parser.nextOffset, archive.length + size);
  t.deepEqual(
    [...parser.push(concatBytes(table))].map((event) => event.kind),
    ['leave'],
  );
  t.true(parser.done);
});

test('the flags of the index must be those of the archive', (t) => {
  const archive = golden('mini/dir.catar');
  t.notThrows(() => parseArchive(archive, { expectedFlags: DEFAULT_FLAGS }));
  t.throws(() => parseArchive(archive, { expectedFlags: DEFAULT_FLAGS & ~(1n << 61n) }), {
    instanceOf: FormatError,
    message: /index/,
  });
});

test('an error is repeated by every later call', (t) => {
  const parser = new CatarParser();
  const error = t.throws(() => [...parser.push(new Uint8Array(64))], { instanceOf: FormatError });
  t.is(
    t.throws(() => [...parser.push(golden('mini/dir.catar'))]),
    error,
  );
  t.is(
    t.throws(() => parser.end()),
    error,
  );
});

test('an error names the record, the byte and what was expected', (t) => {
  const error = t.throws(() => parseArchive(golden('invalid/catar/035-uid-65535.catar')), {
    instanceOf: FormatError,
  });
  t.like(error, { format: 'catar', record: 'ENTRY', offset: 82, code: 'FORMAT' });
  t.true(error?.reason.startsWith('expected'));
});

test('events that are not taken are a mistake of the caller', (t) => {
  const parser = new CatarParser();
  for (const _ of parser.push(golden('mini/dir.catar'))) break;
  t.throws(() => parser.push(new Uint8Array()), { instanceOf: TypeError });
});
