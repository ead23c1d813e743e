import test from 'ava';
import fc from 'fast-check';
import { isCasError } from '../../../formats/errors.ts';
import { parseSftpFolderUrl, parseSftpUrl } from '../../../store/backends/sftp-location.ts';
import { encodePacket, PACKET, PacketFields } from '../../../store/backends/sftp-packets.ts';
import { type Destination, PacketReader } from '../../../store/backends/sftp-reader.ts';
import { noise } from '../../helpers/golden.ts';

interface Packet {
  readonly type: number;
  readonly id: number;
  readonly body: Uint8Array;
}

const byteText = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((n) => String.fromCharCode(n)),
});
const packet: fc.Arbitrary<Packet> = fc.record({
  type: fc.integer({ min: 0, max: 255 }).filter((type) => type !== PACKET.DATA),
  id: fc.integer({ min: 0, max: 0xffffffff }),
  body: fc.uint8Array({ maxLength: 300 }),
});

/** The packets as they are sent: encoded with their body as one field, whose length is cut out. */
function sent({ type, id, body }: Packet): Uint8Array {
  const bytes = new Uint8Array(9 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 5 + body.length);
  bytes[4] = type;
  view.setUint32(5, id);
  bytes.set(body, 9);
  return bytes;
}

/** Pushes the bytes in pieces whose lengths are taken from `cuts` in turn. */
function pushInPieces(reader: PacketReader, bytes: Uint8Array, cuts: readonly number[]): void {
  for (let offset = 0, i = 0; offset < bytes.length; i++) {
    const length = cuts[i % cuts.length];
    reader.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
}

const cutLengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 });

test('packets come out as they went in, wherever the stream is cut', (t) => {
  const law = fc.property(fc.array(packet), cutLengths, (packets, cuts) => {
    const found: Packet[] = [];
    const reader = new PacketReader({
      destination: () => undefined,
      onData: () => t.fail(),
      onPacket: (type, id, body) => found.push({ type, id, body }),
    });
    pushInPieces(reader, new Uint8Array(Buffer.concat(packets.map(sent))), cuts);
    t.deepEqual(found, packets);
  });
  t.notThrows(() => fc.assert(law));
});

test('data go to their places, and what does not fit is counted and dropped', (t) => {
  const law = fc.property(
    fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { maxLength: 20 }),
    cutLengths,
    (lengths, cuts) => {
      const places = lengths.map(([length, room]): Destination => {
        return { target: room === 0 ? undefined : new Uint8Array(room), asked: length };
      });
      const counts: number[] = [];
      const reader = new PacketReader({
        destination: (id) => places[id],
        onData: (id, length) => {
          counts[id] = length;
        },
        onPacket: () => t.fail(),
      });
      const stream = lengths.map(([length], id) =>
        Buffer.concat([encodePacket(PACKET.DATA, id, [], length), noise(length, id)]),
      );
      pushInPieces(reader, new Uint8Array(Buffer.concat(stream)), cuts);
      for (const [id, [length, room]] of lengths.entries()) {
        t.is(counts[id], length);
        const kept = Math.min(length, room);
        t.deepEqual(
          places[id].target?.subarray(0, kept) ?? new Uint8Array(),
          noise(length, id).slice(0, room === 0 ? 0 : kept),
        );
      }
    },
  );
  t.notThrows(() => fc.assert(law));
});

test('whatever a server sends is taken or refused with an error of ours', (t) => {
  const law = fc.property(fc.uint8Array({ maxLength: 200 }), cutLengths, (bytes, cuts) => {
    const reader = new PacketReader({
      destination: (id) => (id % 2 === 0 ? { target: new Uint8Array(8), asked: 8 } : undefined),
      onData: () => {},
      onPacket: (type, _id, body) => {
        const fields = new PacketFields(body, `type ${type}`);
        while (!fields.isAtEnd) fields.takeAttributes();
      },
    });
    try {
      pushInPieces(reader, bytes, cuts);
    } catch (error) {
      if (!isCasError(error)) throw error;
    }
  });
  t.notThrows(() => fc.assert(law, { numRuns: 2000 }));
});

test('fields are read as they were written', (t) => {
  const law = fc.property(
    fc.integer({ min: 0, max: 0xffffffff }),
    fc.nat(Number.MAX_SAFE_INTEGER),
    byteText,
    fc.uint8Array(),
    (short, long, name, bytes) => {
      const encoded = encodePacket(PACKET.STATUS, 7, [short, BigInt(long), name, bytes]);
      t.is(new DataView(encoded.buffer).getUint32(0), encoded.length - 4);
      const fields = new PacketFields(encoded.subarray(9), 'test');
      t.deepEqual(
        [fields.takeUint32(), fields.takeUint64(), fields.takeText(), fields.takeBytes()],
        [short, long, name, bytes],
      );
      t.true(fields.isAtEnd);
      t.throws(() => fields.takeUint32(), { code: 'FORMAT' });
    },
  );
  t.notThrows(() => fc.assert(law));
});

test('attributes tell kind, size and time, and leave out what is not there', (t) => {
  const flags = { size: 1, owner: 2, mode: 4, times: 8, extended: 0x80000000 };
  const all = flags.size + flags.owner + flags.mode + flags.times + flags.extended;
  const read = (fields: Parameters<typeof encodePacket>[2]) =>
    new PacketFields(encodePacket(PACKET.ATTRS, 1, fields).subarray(9), 'test').takeAttributes();
  t.deepEqual(read([all, 5n, 1, 2, 0o100644, 3, 4, 1, 'name', 'value']), {
    type: 'file',
    size: 5,
    modified: new Date(4000),
  });
  t.is(read([flags.mode, 0o120777]).type, 'link');
  t.is(read([flags.mode, 0o040755]).type, 'folder');
  t.is(read([flags.mode, 0o010644]).type, 'other');
  t.deepEqual(read([0]), { type: 'file', size: 0, modified: new Date(0) });
  t.throws(() => read([flags.extended, 0xffffffff]), { code: 'FORMAT' });
});

test('URLs say host, user, port and path', (t) => {
  t.like(parseSftpUrl('sftp://me@host.example:2022/a/b%20c%FF'), {
    label: 'sftp://host.example:2022/a/b%20c%FF',
    host: 'host.example',
    user: 'me',
    port: 2022,
    path: '/a/b c\u00ff',
  });
  t.like(parseSftpUrl('sftp://[::1]/x?y;z'), { host: '::1', path: '/x?y;z' });
  t.is(parseSftpUrl('sftp://h/~/x').path, './x');
  t.is(parseSftpUrl('sftp://h/%7E/x').path, '/~/x');
  t.is(parseSftpUrl('sftp://h/~user/x').path, '/~user/x');
  t.is(parseSftpUrl('sftp://h/ä').path, '/\u00c3\u00a4');
  t.is(parseSftpFolderUrl('sftp://h/store//?q=1').path, '/store');
  t.is(parseSftpFolderUrl('sftp://h').path, '/.');
  t.is(parseSftpFolderUrl('sftp://h/~/').path, '.');
});
