import { crc32 } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { concatBytes } from '../../formats/bytes.ts';
import { FormatError } from '../../formats/errors.ts';
import {
  encodeFrameHeader,
  type Frame,
  FrameDecoder,
  MAX_FRAME_CONTENT,
  SESSION_PREAMBLE,
} from '../../formats/session-frames.ts';

function encoded(frame: Frame): Uint8Array {
  return concatBytes([encodeFrameHeader(frame, crc32), frame.content]);
}

/** All frames of a stream that comes in pieces of a length. */
function decoded(stream: Uint8Array, pieceLength: number): { frames: Frame[]; isWhole: boolean } {
  const decoder = new FrameDecoder(crc32);
  const frames: Frame[] = [];
  for (let start = 0; start < stream.length; start += pieceLength) {
    decoder.feed(stream.subarray(start, start + pieceLength));
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
      frames.push(frame);
    }
  }
  return { frames, isWhole: decoder.isBetweenFrames };
}

const EXAMPLE: Frame = { kind: 24, content: Uint8Array.of(1, 2, 3, 4, 5) };

test('a frame has these bytes', (t) => {
  const hex = Buffer.from(encoded(EXAMPLE)).toString('hex');
  t.is(hex, '0500000018000000050000002043fb180102030405');
});

test('frames come out as they went in, however the stream is cut', (t) => {
  const frame = fc.record({
    kind: fc.integer({ min: 1, max: 255 }),
    content: fc.uint8Array({ maxLength: 300 }),
    isCompressed: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 6 }),
      fc.integer({ min: 1, max: 64 }),
      (given, piece) => {
        const frames = given.map(({ kind, content, isCompressed }) => ({
          kind,
          content,
          ...(isCompressed ? { plainLength: content.length * 3 } : {}),
        }));
        const stream = concatBytes([SESSION_PREAMBLE, ...frames.map(encoded)]);
        const found = decoded(stream, piece);
        t.deepEqual(found.frames, frames);
        t.true(found.isWhole);
      },
    ),
    { verbose: true },
  );
});

test('a stream that ends early has no further frame, and is not between frames', (t) => {
  const stream = concatBytes([SESSION_PREAMBLE, encoded(EXAMPLE)]);
  for (let length = 0; length < stream.length; length++) {
    const { frames, isWhole } = decoded(stream.subarray(0, length), 1000);
    t.deepEqual(frames, []);
    t.is(isWhole, length === SESSION_PREAMBLE.length);
  }
});

test('no bit of a stream can be changed', (t) => {
  const stream = concatBytes([SESSION_PREAMBLE, encoded(EXAMPLE)]);
  for (let bit = 0; bit < stream.length * 8; bit++) {
    const harmed = stream.slice();
    harmed[bit >> 3] ^= 1 << (bit & 7);
    let frames: readonly Frame[] = [];
    try {
      frames = decoded(harmed, 7).frames;
    } catch (error) {
      t.true(error instanceof FormatError);
    }
    // A longer length waits for bytes that do not come.
    t.deepEqual(frames, []);
  }
});

test('lengths that no frame has are refused before memory is taken for them', (t) => {
  const head = encodeFrameHeader({ kind: 1, content: new Uint8Array(0) }, crc32);
  new DataView(head.buffer).setUint32(0, MAX_FRAME_CONTENT + 1, true);
  t.throws(() => decoded(concatBytes([SESSION_PREAMBLE, head]), 100), { instanceOf: FormatError });
});
