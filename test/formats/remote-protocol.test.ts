import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { concatBytes, writeU64 } from '../../formats/bytes.ts';
import { chunkIdFromBytes } from '../../formats/chunk-id.ts';
import { FormatError } from '../../formats/errors.ts';
import { agree, checkHelloFlags, PROTOCOL_FLAG as F } from '../../formats/protocol-flags.ts';
import {
  encodeMessage,
  MAX_MESSAGE_SIZE,
  MAX_SENT_CHUNK_SIZE,
  MESSAGE_TYPES,
  type Message,
} from '../../formats/remote-protocol.ts';
import { MessageDecoder } from '../../formats/remote-protocol-decoder.ts';
import { GOLDEN, golden } from '../helpers/golden.ts';

const SERVICES = 0x3f;
const OPERATIONS = 0x1fc0;

const SESSIONS = readdirSync(join(GOLDEN, 'protocol'))
  .filter((name) => name.endsWith('.c2s'))
  .map((name) => name.slice(0, -'.c2s'.length));

/** Messages, their views copied. */
function decodeAll(ours: number, portions: readonly Uint8Array[]): readonly Message[] {
  const decoder = new MessageDecoder(ours);
  const messages: Message[] = [];
  for (const portion of portions) {
    decoder.feed(portion);
    for (let message = decoder.next(); message !== undefined; message = decoder.next()) {
      messages.push('bytes' in message ? { ...message, bytes: message.bytes.slice() } : message);
    }
  }
  decoder.finish();
  return messages;
}

function encodeAll(messages: readonly Message[]): Uint8Array {
  return concatBytes(messages.flatMap((message) => encodeMessage(message)));
}

function helloOf(session: string, side: 'c2s' | 's2c'): number {
  return (
    golden(`protocol/${session}.${side}`)[16] + 256 * golden(`protocol/${session}.${side}`)[17]
  );
}

/** The same bytes in portions of one size. */
function portionsOf(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  );
}

for (const session of SESSIONS) {
  for (const side of ['c2s', 's2c'] as const) {
    const ours = () => helloOf(session, side === 'c2s' ? 's2c' : 'c2s');
    const bytes = golden(`protocol/${session}.${side}`);

    test(`what casync says in ${session}.${side} is read, and written again byte for byte`, (t) => {
      const messages = decodeAll(ours(), [bytes]);
      t.is(messages[0].kind, 'hello');
      t.deepEqual(encodeAll(messages), bytes);
    });

    test(`${session}.${side} gives the same messages in portions of any size`, (t) => {
      const whole = decodeAll(ours(), [bytes]);
      for (let size = 1; size <= 80; size++) {
        t.deepEqual(decodeAll(ours(), portionsOf(bytes, size)), whole, `portions of ${size}`);
      }
    });

    test(`${session}.${side} gives the same messages when it is split once, anywhere`, (t) => {
      const whole = decodeAll(ours(), [bytes]);
      const step = bytes.length > 2000 ? 7 : 1;
      for (let at = 1; at < bytes.length; at += step) {
        const messages = decodeAll(ours(), [bytes.subarray(0, at), bytes.subarray(at)]);
        if (messages.length !== whole.length) t.fail(`split at ${at}`);
      }
      t.pass();
    });

    test(`${session}.${side}: an end inside a message is refused`, (t) => {
      const ends = new Set<number>([0]);
      let end = 0;
      for (const message of decodeAll(ours(), [bytes])) {
        end += encodeAll([message]).length;
        ends.add(end);
      }
      for (let at = 0; at < bytes.length; at++) {
        const cut = () => decodeAll(ours(), [bytes.subarray(0, at)]);
        if (ends.has(at)) t.notThrows(cut);
        else if (at % 13 === 0) t.throws(cut, { instanceOf: FormatError });
      }
    });
  }
}

test('the pieces of a pushed archive are the archive', (t) => {
  const bytes = golden('protocol/push-archive.c2s');
  const messages = decodeAll(F.WRITABLE_ARCHIVE, [bytes]);
  const pieces = messages.flatMap((message) => (message.kind === 'archive' ? [message.bytes] : []));
  t.deepEqual(concatBytes(pieces), golden('mini/many.catar'));
});

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => chunkIdFromBytes(bytes));
const content = fc.uint8Array({ minLength: 1, maxLength: 300 });
const reason = fc.stringMatching(/^[\x20-\x7e]{0,50}$/);

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('chunk' as const), id, isPlain: fc.boolean(), bytes: content }),
  fc.record({
    kind: fc.constant('request' as const),
    isUrgent: fc.boolean(),
    ids: fc.array(id, { minLength: 1, maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant('missing' as const), id }),
  fc.record({ kind: fc.constantFrom('index' as const, 'archive' as const), bytes: content }),
);
const lastMessage: fc.Arbitrary<Message> = fc.oneof(
  fc.constant<Message>({ kind: 'goodbye' }),
  fc.record({
    kind: fc.constant('abort' as const),
    errorNumber: fc.integer({ min: 0, max: 2 ** 31 - 2 }),
    reason,
  }),
);

/** Everything is offered and wanted. */
const HELLO_ALL: Message = { kind: 'hello', flags: SERVICES | OPERATIONS };
const OURS = SERVICES | OPERATIONS;

test('any messages come back from their bytes, in any portions', (t) => {
  const session = fc.tuple(fc.array(anyMessage, { maxLength: 10 }), lastMessage);
  fc.assert(
    fc.property(session, fc.integer({ min: 1, max: 200 }), ([middle, last], size) => {
      const messages = [HELLO_ALL, ...middle, last];
      t.deepEqual(decodeAll(OURS, portionsOf(encodeAll(messages), size)), messages);
    }),
  );
});

test('no bytes make the decoder fail with anything but a refusal', (t) => {
  const hello = encodeAll([HELLO_ALL]);
  const header = fc.tuple(
    fc.oneof(fc.integer({ min: 0, max: 200 }), fc.maxSafeInteger().map(Math.abs)),
    fc.constantFrom(...Object.values(MESSAGE_TYPES)),
    fc.uint8Array({ maxLength: 200 }),
  );
  fc.assert(
    fc.property(fc.array(header, { maxLength: 5 }), (records) => {
      const parts = records.map(([size, type, body]) => {
        const bytes = new Uint8Array(16 + body.length);
        writeU64(bytes, 0, size);
        writeU64(bytes, 8, type);
        bytes.set(body, 16);
        return bytes;
      });
      try {
        decodeAll(OURS, [concatBytes([hello, ...parts])]);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }),
  );
  t.pass();
});

/** A message of any type, size field and body, after a hello. */
function raw(type: bigint, body: Uint8Array, size: number | bigint = 16 + body.length): Uint8Array {
  const bytes = new Uint8Array(16 + body.length);
  writeU64(bytes, 0, size);
  writeU64(bytes, 8, type);
  bytes.set(body, 16);
  return concatBytes([encodeAll([HELLO_ALL]), bytes]);
}

const M = MESSAGE_TYPES;
const withFlags = (flags: number, length: number): Uint8Array => {
  const body = new Uint8Array(length);
  writeU64(body, 0, flags);
  return body;
};
const abortWith = (text: string, errorNumber: bigint | number = 5): Uint8Array => {
  const body = new Uint8Array(8 + text.length);
  writeU64(body, 0, errorNumber);
  for (let i = 0; i < text.length; i++) body[8 + i] = text.charCodeAt(i);
  return body;
};

const REFUSED: Readonly<Record<string, Uint8Array>> = {
  'a size of 0': raw(M.goodbye, new Uint8Array(), 0),
  'a size below that of the header': raw(M.goodbye, new Uint8Array(), 15),
  'a size above the limit': raw(M.index, new Uint8Array(), MAX_MESSAGE_SIZE + 1),
  'a size of 2^64-1': raw(M.index, new Uint8Array(), 2n ** 64n - 1n),
  'an unknown type': raw(0x1234n, new Uint8Array()),
  'a second hello': raw(M.hello, withFlags(1, 8)),
  'an empty piece of an index': raw(M.index, new Uint8Array()),
  'an empty piece of an archive': raw(M.archive, new Uint8Array()),
  'an end of index with content': raw(M['index-eof'], Uint8Array.of(1)),
  'an end of archive with content': raw(M['archive-eof'], Uint8Array.of(1)),
  'a goodbye with content': raw(M.goodbye, Uint8Array.of(1)),
  'a request without ids': raw(M.request, withFlags(0, 8)),
  'a request of one and a half ids': raw(M.request, withFlags(0, 8 + 48)),
  'a request with unknown flags': raw(M.request, withFlags(2, 40)),
  'a chunk without bytes': raw(M.chunk, withFlags(1, 40)),
  'a chunk with unknown flags': raw(M.chunk, withFlags(3, 41)),
  'a missing chunk without id': raw(M.missing, new Uint8Array()),
  'a missing chunk with too much': raw(M.missing, new Uint8Array(33)),
  'an abort without text': raw(M.abort, withFlags(5, 8)),
  'an abort whose text does not end': raw(M.abort, abortWith('no end')),
  'an abort of two lines': raw(M.abort, abortWith('a\nb\0')),
  'an abort with a zero byte inside': raw(M.abort, abortWith('a\0b\0')),
  'an abort with an error number that is too large': raw(M.abort, abortWith('\0', 2 ** 31 - 1)),
  'an abort with a huge error number': raw(M.abort, abortWith('\0', 2n ** 64n - 1n)),
};

for (const [name, bytes] of Object.entries(REFUSED)) {
  test(`${name} is refused`, (t) => {
    t.throws(() => decodeAll(OURS, [bytes]), { instanceOf: FormatError });
  });
}

test('a size is refused as soon as the header has arrived', (t) => {
  const decoder = new MessageDecoder(OURS);
  decoder.feed(raw(M.goodbye, new Uint8Array(), 17));
  decoder.next();
  t.throws(() => decoder.next(), { instanceOf: FormatError, message: /GOODBYE.*wrong size/ });
});

test('the first message must be a hello', (t) => {
  const bytes = encodeAll([{ kind: 'goodbye' }]);
  t.throws(() => decodeAll(OURS, [bytes]), { instanceOf: FormatError, message: /first message/ });
});

for (const kind of ['index', 'archive'] as const) {
  test(`nothing of the ${kind} may come after its end`, (t) => {
    const end: Message = { kind: `${kind}-eof` };
    const piece: Message = { kind, bytes: Uint8Array.of(1) };
    t.notThrows(() => decodeAll(OURS, [encodeAll([HELLO_ALL, piece, piece, end])]));
    for (const late of [piece, end]) {
      t.throws(() => decodeAll(OURS, [encodeAll([HELLO_ALL, end, late])]), {
        instanceOf: FormatError,
        message: /after the end/,
      });
    }
  });
}

test('nothing may come after goodbye or abort', (t) => {
  const lasts: readonly Message[] = [
    { kind: 'goodbye' },
    { kind: 'abort', errorNumber: 0, reason: '' },
  ];
  for (const last of lasts) {
    t.throws(() => decodeAll(OURS, [encodeAll([HELLO_ALL, last, { kind: 'goodbye' }])]), {
      instanceOf: FormatError,
    });
  }
});

test('the reason of an abort is printable', (t) => {
  const body = abortWith('caf\xe9 \x7f\x80\0');
  const [, abort] = decodeAll(OURS, [raw(M.abort, body)]);
  t.deepEqual(abort, { kind: 'abort', errorNumber: 5, reason: 'caf\\351 \\177\\200' });
});

test('hello flags must be known and some', (t) => {
  t.is(checkHelloFlags(0x1fffn), 0x1fff);
  for (const flags of [0n, 0x2000n, 1n << 63n, 2n ** 64n - 1n, (1n << 32n) | 1n]) {
    t.throws(() => checkHelloFlags(flags), { instanceOf: FormatError });
  }
});

test('pushing the chunks of an index needs index and chunks', (t) => {
  for (const flags of [0x800n, 0xa00n, 0xc00n]) {
    t.throws(() => checkHelloFlags(flags), { instanceOf: FormatError });
  }
  t.is(checkHelloFlags(0xe00n), 0xe00);
});

test('the pairs of hellos that casync knows agree, from both sides', (t) => {
  const pairs = [
    [0xc0, 0x5],
    [0x40, 0x1],
    [0x100, 0x10],
    [0xe00, 0xa],
    [0x1000, 0x20],
    [0x200, 0x2],
  ];
  for (const [client, server] of pairs) {
    const ofClient = agree(client, server);
    const ofServer = agree(server, client);
    t.deepEqual(ofClient.weMaySend, ofServer.theyMaySend);
    t.deepEqual(ofClient.theyMaySend, ofServer.weMaySend);
  }
});

test('an operation without its service, or none at all, is refused', (t) => {
  const services = [0x1, 0x4, 0x10, 0x2, 0x8, 0xa, 0x20];
  const operations = [0x40, 0x80, 0x100, 0x200, 0x400, 0xe00, 0x1000];
  operations.forEach((operation, i) => {
    const without = SERVICES & ~services[i];
    t.notThrows(() => agree(operation, services[i]));
    t.throws(() => agree(operation, without === 0 ? 1 : without), { instanceOf: FormatError });
    t.throws(() => agree(without, operation), { instanceOf: FormatError });
  });
  t.throws(() => agree(1, 2), { instanceOf: FormatError, message: /neither side/ });
});

test('messages that were not agreed are refused', (t) => {
  const chunkId = chunkIdFromBytes(new Uint8Array(32));
  const bytes = Uint8Array.of(1);
  const messages: readonly Message[] = [
    { kind: 'index', bytes },
    { kind: 'index-eof' },
    { kind: 'archive', bytes },
    { kind: 'archive-eof' },
    { kind: 'request', isUrgent: false, ids: [chunkId] },
    { kind: 'chunk', id: chunkId, isPlain: true, bytes },
    { kind: 'missing', id: chunkId },
  ];
  const allowed: readonly (readonly [number, number, readonly string[]])[] = [
    [0x40, 0x1, ['chunk', 'missing']],
    [0xc0, 0x5, ['chunk', 'missing', 'index', 'index-eof']],
    [0x100, 0x10, ['archive', 'archive-eof']],
    [0x1, 0x40, ['request']],
    [0xa, 0xe00, ['index', 'index-eof', 'chunk', 'missing']],
    [0xe00, 0xa, ['request']],
    [0x20, 0x1000, ['archive', 'archive-eof']],
  ];
  for (const [ours, theirs, kinds] of allowed) {
    for (const message of messages) {
      const bytesOf = encodeAll([{ kind: 'hello', flags: theirs }, message]);
      const decode = () => decodeAll(ours, [bytesOf]);
      if (kinds.includes(message.kind)) t.notThrows(decode);
      else t.throws(decode, { instanceOf: FormatError, message: /agreed/ });
    }
  }
});

test('messages of the largest size pass, larger ones are not made', (t) => {
  const piece: Message = { kind: 'index', bytes: new Uint8Array(MAX_MESSAGE_SIZE - 16).fill(7) };
  t.is(decodeAll(OURS, [encodeAll([HELLO_ALL, piece])]).length, 2);
  const chunkId = chunkIdFromBytes(new Uint8Array(32));
  const chunkOf = (length: number): Message => ({
    kind: 'chunk',
    id: chunkId,
    isPlain: false,
    bytes: new Uint8Array(length),
  });
  t.is(encodeAll([chunkOf(MAX_SENT_CHUNK_SIZE)]).length, MAX_MESSAGE_SIZE);
  t.throws(() => encodeMessage(chunkOf(MAX_SENT_CHUNK_SIZE + 1)), { instanceOf: RangeError });
});
