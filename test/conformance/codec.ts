/** What every implementation of a codec must do (spec/formats/castr.md). */
import test, { type ExecutionContext } from 'ava';
import { concatBytes } from '../../formats/bytes.ts';
import { isCasError } from '../../formats/errors.ts';
import { type Codec, compressedRoom } from '../../store/transforms.ts';
import { noise, text } from '../helpers/golden.ts';

export interface CodecSuiteOptions {
  /** Makes input for decoders that cannot compress; the codec's own compress where left out. */
  readonly compress?: Codec['compress'];
  /** Streams of the same format that decode to something else or to nothing in this codec. */
  readonly refused?: Readonly<Record<string, Uint8Array>>;
}

/** Anything that can be wrong with foreign bytes, and nothing else. */
const DAMAGE = ['FORMAT', 'LIMIT_EXCEEDED'];

const SAMPLES: Readonly<Record<string, Uint8Array>> = {
  'one byte': Uint8Array.of(7),
  text: text(50_000),
  noise: noise(70_000),
  'equal bytes': new Uint8Array(300_000),
  'exactly one block': text(131_072),
  'one block and a byte': text(131_073),
};

async function outcome(
  codec: Codec,
  stored: Uint8Array,
  ceiling: number,
  output?: Uint8Array,
): Promise<Uint8Array | string> {
  try {
    return await codec.decompress(stored, ceiling, output);
  } catch (error) {
    if (isCasError(error)) return error.code;
    throw error;
  }
}

async function refuses(
  t: ExecutionContext,
  codec: Codec,
  stored: Uint8Array,
  what: string,
): Promise<void> {
  const result = await outcome(codec, stored, 1 << 20);
  t.true(typeof result === 'string' && DAMAGE.includes(result), `${what}: ${result}`);
}

export function codecSuite(name: string, codec: Codec, options: CodecSuiteOptions = {}): void {
  const compress = options.compress ?? codec.compress;
  roundTrips(name, codec, compress);
  ceilings(name, codec, compress);
  damage(name, codec, compress, options.refused ?? {});
}

function roundTrips(name: string, codec: Codec, compress: Codec['compress']): void {
  test(`${name}: gives back what went in`, async (t) => {
    for (const [what, plain] of Object.entries(SAMPLES)) {
      const stored = await compress(plain);
      t.deepEqual(await codec.decompress(stored, plain.length), plain, what);
      t.deepEqual(await codec.decompress(stored, 1 << 27), plain, what);
    }
  });

  test(`${name}: results are not touched by later calls`, async (t) => {
    const [a, b] = [text(10_000), noise(10_000)];
    const storedA = await compress(a);
    const storedB = await compress(b);
    const plainA = await codec.decompress(storedA, a.length);
    await codec.decompress(storedB, b.length);
    t.deepEqual(plainA, a);
    t.deepEqual(await codec.decompress(storedB, b.length), b);
    t.is(storedA.constructor, Uint8Array);
    t.is(plainA.constructor, Uint8Array);
  });

  test(`${name}: compresses into memory of the caller or into new memory`, async (t) => {
    for (const [what, plain] of Object.entries(SAMPLES)) {
      const room = new Uint8Array(compressedRoom(plain.length) + 100).fill(0xee);
      const stored = await compress(plain, room);
      t.true(stored.length <= compressedRoom(plain.length), what);
      if (stored.buffer === room.buffer) {
        t.is(stored.byteOffset, 0);
        t.true(room.subarray(compressedRoom(plain.length)).every((byte) => byte === 0xee));
      }
      const small = new Uint8Array(1);
      t.not((await compress(plain, small)).buffer, small.buffer);
      t.deepEqual(await codec.decompress(stored, plain.length), plain, what);
    }
  });

  test(`${name}: decodes into memory of the caller that has room for the ceiling`, async (t) => {
    for (const [what, plain] of Object.entries(SAMPLES)) {
      const stored = await compress(plain);
      const room = new Uint8Array(new SharedArrayBuffer(plain.length + 200), 50, plain.length + 10);
      room.fill(0xee);
      const result = await codec.decompress(stored, plain.length, room);
      t.is(result.buffer, room.buffer, what);
      t.is(result.byteOffset, 50);
      t.deepEqual(result.slice(), plain.slice());
      t.true(room.subarray(plain.length).every((byte) => byte === 0xee));
      const small = new Uint8Array(plain.length - 1);
      const other = await codec.decompress(stored, plain.length, small);
      t.not(other.buffer, small.buffer);
      t.deepEqual(other, plain);
    }
  });

  test(`${name}: never writes behind the ceiling`, async (t) => {
    for (const plain of [text(50_000), noise(50_000), new Uint8Array(50_000)]) {
      const stored = await compress(plain);
      const room = new Uint8Array(60_000).fill(0xee);
      for (const ceiling of [0, 1, 100, plain.length - 1]) {
        t.is(await outcome(codec, stored, ceiling, room), 'LIMIT_EXCEEDED');
        t.true(
          room.subarray(ceiling).every((byte) => byte === 0xee),
          `${ceiling}`,
        );
      }
    }
  });

  test(`${name}: works on views of shared memory`, async (t) => {
    const plain = new Uint8Array(new SharedArrayBuffer(6000), 100, 5000);
    plain.set(text(5000));
    const stored = await compress(plain);
    const shared = new Uint8Array(new SharedArrayBuffer(stored.length));
    shared.set(stored);
    t.deepEqual(await codec.decompress(shared, 5000), text(5000));
  });
}

function ceilings(name: string, codec: Codec, compress: Codec['compress']): void {
  test(`${name}: more than the ceiling does not come out`, async (t) => {
    for (const plain of [text(50_000), noise(50_000), new Uint8Array(50_000)]) {
      const stored = await compress(plain);
      for (const ceiling of [0, 1, 100, plain.length - 1]) {
        t.is(await outcome(codec, stored, ceiling), 'LIMIT_EXCEEDED');
      }
    }
  });

  test.serial(`${name}: a bomb is stopped without taking the memory it asks for`, async (t) => {
    const bomb = await compress(new Uint8Array(1 << 27));
    const { arrayBuffers, external } = process.memoryUsage();
    for (let i = 0; i < 5; i++) t.is(await outcome(codec, bomb, 65536), 'LIMIT_EXCEEDED');
    const after = process.memoryUsage();
    t.true(after.arrayBuffers - arrayBuffers < 1 << 24);
    t.true(after.external - external < 1 << 25);
  });
}

function damage(
  name: string,
  codec: Codec,
  compress: Codec['compress'],
  refused: Readonly<Record<string, Uint8Array>>,
): void {
  test(`${name}: refuses data that ends early, at every byte`, async (t) => {
    const stored = await compress(text(700));
    for (let length = 0; length < stored.length; length++) {
      await refuses(t, codec, stored.subarray(0, length), `${length} bytes`);
    }
  });

  test(`${name}: refuses anything behind the stream`, async (t) => {
    const stored = await compress(text(700));
    for (const tail of [Uint8Array.of(0), new Uint8Array(4), noise(100), stored]) {
      await refuses(t, codec, concatBytes([stored, tail]), `${tail.length} bytes behind`);
      await refuses(t, codec, concatBytes([tail, stored]), `${tail.length} bytes before`);
    }
  });

  test(`${name}: a flipped bit is refused or leaves the size within the ceiling`, async (t) => {
    const plain = text(700);
    const stored = await compress(plain);
    for (let bit = 0; bit < 8 * stored.length; bit++) {
      const flipped = stored.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      const result = await outcome(codec, flipped, plain.length);
      if (typeof result === 'string') t.true(DAMAGE.includes(result), `bit ${bit}: ${result}`);
      else t.true(result.length <= plain.length);
    }
    t.deepEqual(await codec.decompress(stored, plain.length), plain);
  });

  test(`${name}: refuses what is not of its format`, async (t) => {
    const foreign = { nothing: new Uint8Array(0), noise: noise(1000), zeros: new Uint8Array(100) };
    for (const [what, stored] of Object.entries({ ...foreign, ...refused })) {
      await refuses(t, codec, stored, what);
    }
  });
}
