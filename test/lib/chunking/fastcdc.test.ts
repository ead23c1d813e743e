import { createHash } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import type { ChunkSizes } from '../../../formats/chunk-sizes.ts';
import { cutLimits } from '../../../lib/chunking/fastcdc-limits.ts';
import { GEAR_TABLE } from '../../../lib/chunking/fastcdc-table.ts';
import { createScanKernel, KERNEL_BYTES } from '../../../lib/chunking/kernel/kernel.ts';
import type { ChunkScanner } from '../../../lib/chunking/scanner.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { golden, noise, text, vectors } from '../../helpers/golden.ts';
import { otherLength, packageEnds } from './fastcdc-other.ts';
import { endsBy, GEAR, gearHash, ruleLength } from './fastcdc-rule.ts';

interface Vectors {
  readonly gear: readonly string[];
  readonly gearSha256: string;
  readonly lowHalvesSha256: string;
  readonly limits: readonly {
    readonly average: number;
    readonly early: number;
    readonly late: number;
  }[];
  readonly hashes: readonly { readonly bytes: string; readonly hash: string }[];
  readonly edges: readonly {
    readonly bytes: string;
    readonly zerosBefore: number;
    readonly min: number;
    readonly average: number;
    readonly max: number;
    readonly end: number;
  }[];
}

interface Cuts {
  readonly cases: readonly {
    readonly blob: string;
    readonly min: number;
    readonly average: number;
    readonly max: number;
    readonly ends: readonly number[];
  }[];
}

const VECTORS = vectors<Vectors>('fastcdc');
const CUTS = vectors<Cuts>('fastcdc-cuts').cases;
const DEFAULT = { min: 16384, avg: 65536, max: 262144 };

const MEMORY = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
const KERNEL = createScanKernel(MEMORY);

function endsOf(scanner: ChunkScanner, bytes: Uint8Array): readonly number[] {
  return endsBy((rest) => scanner.firstChunk(rest), bytes);
}

function scannedEnds(bytes: Uint8Array, chunkSizes: ChunkSizes): readonly number[] {
  return endsOf(createScanner({ chunker: 'fastcdc', chunkSizes }), bytes);
}

/** The same by the kernel, with the bytes at the very end of its memory or before it. */
function kernelEnds(
  bytes: Uint8Array,
  chunkSizes: ChunkSizes,
  distanceToEnd = 0,
): readonly number[] {
  const { byteLength } = MEMORY.buffer;
  const offset = byteLength - distanceToEnd - bytes.length;
  const inside = new Uint8Array(MEMORY.buffer, offset, bytes.length);
  inside.set(bytes);
  return endsOf(createScanner({ chunker: 'fastcdc', chunkSizes, kernel: KERNEL }), inside);
}

function ruleEnds(bytes: Uint8Array, sizes: ChunkSizes): readonly number[] {
  return endsBy((rest) => ruleLength(rest, sizes), bytes);
}

function lengthsOf(ends: readonly number[]): readonly number[] {
  return ends.map((end, i) => end - (i === 0 ? 0 : ends[i - 1]));
}

/** Inputs that are not random: few values, runs, and zeros before, between and behind something. */
const CONTENTS: Readonly<Record<string, (length: number, seed: number) => Uint8Array>> = {
  noise,
  'two values': (length, seed) => noise(length, seed).map((byte) => byte & 1),
  zeros: (length) => new Uint8Array(length),
  'one value': (length, seed) => new Uint8Array(length).fill(seed),
  'runs of zeros': (length, seed) =>
    noise(length, seed).map((byte, i) => ((i + seed) % 300 < 250 ? 0 : byte)),
  'zeros at first': (length, seed) =>
    noise(length, seed).map((byte, i) => (i < Math.abs(seed) % (length + 1) ? 0 : byte)),
};

const SIZES = fc
  .tuple(fc.integer({ min: 1, max: 200 }), fc.nat(200), fc.nat(400))
  .filter(([, more, most]) => more + most > 0)
  .map(([min, more, most]) => ({ min, avg: min + more, max: min + more + most }));

test('the gear values are the published ones', (t) => {
  const whole = Buffer.alloc(2048);
  GEAR.forEach((value, i) => {
    whole.writeBigUInt64LE(value, 8 * i);
  });
  t.is(createHash('sha256').update(whole).digest('hex'), VECTORS.gearSha256);
  t.deepEqual(
    GEAR.map((value) => value.toString(16).padStart(16, '0')),
    VECTORS.gear,
  );
});

test('the scanner has their low halves', (t) => {
  const low = Buffer.alloc(1024);
  GEAR_TABLE.forEach((value, i) => {
    low.writeInt32LE(value, 4 * i);
  });
  t.is(createHash('sha256').update(low).digest('hex'), VECTORS.lowHalvesSha256);
  t.deepEqual(
    Array.from(GEAR_TABLE),
    GEAR.map((value) => Number(BigInt.asIntN(32, value))),
  );
});

test('hashes are those of the vectors', (t) => {
  for (const { bytes, hash } of VECTORS.hashes) {
    t.is(gearHash(Buffer.from(bytes, 'hex')), BigInt(`0x${hash}`), bytes);
  }
});

test('limits are those of the vectors', (t) => {
  for (const { average, early, late } of VECTORS.limits) {
    t.deepEqual(cutLimits(average), { early: early - 1, late: late - 1 }, `${average}`);
  }
});

test('a hash just below a limit ends the chunk, one that is equal does not', (t) => {
  for (const { bytes, zerosBefore, min, average, max, end } of VECTORS.edges) {
    const input = Buffer.concat([Buffer.alloc(zerosBefore), Buffer.from(bytes, 'hex')]);
    t.is(scannedEnds(input, { min, avg: average, max })[0], end, bytes);
    t.is(kernelEnds(input, { min, avg: average, max })[0], end, `${bytes}, kernel`);
  }
});

test('for powers of two, the limits are masks of two bits more and two bits less', (t) => {
  for (let bits = 2; bits <= 27; bits++) {
    const { early, late } = cutLimits(2 ** bits);
    t.is(early, 2 ** (32 - (bits + 2)) - 1);
    t.is(late, 2 ** (32 - (bits - 2)) - 1);
  }
});

test('the cuts are those of the vectors', (t) => {
  t.true(CUTS.length > 30);
  for (const { blob, min, average, max, ends } of CUTS) {
    const sizes = { min, avg: average, max };
    const bytes = golden(`blobs/${blob}`);
    t.deepEqual(scannedEnds(bytes, sizes), ends, `${blob} ${min}:${average}`);
    t.deepEqual(kernelEnds(bytes, sizes), ends, `${blob} ${min}:${average}, kernel`);
  }
});

const SMALL: readonly ChunkSizes[] = [
  { min: 1, avg: 1, max: 2 },
  { min: 1, avg: 2, max: 3 },
  { min: 1, avg: 64, max: 256 },
  { min: 31, avg: 64, max: 256 },
  { min: 32, avg: 33, max: 34 },
  { min: 33, avg: 64, max: 64 },
  { min: 64, avg: 64, max: 256 },
  { min: 60, avg: 100, max: 101 },
  { min: 100, avg: 1000, max: 1000 },
];

for (const sizes of SMALL) {
  const { min, avg, max } = sizes;
  test(`${min}:${avg}:${max} obeys the cut rule at every length around the boundaries`, (t) => {
    for (const [name, content] of Object.entries(CONTENTS)) {
      const bytes = content(2 * max + 70, min + avg);
      for (const at of [0, 31, 32, min, min + 32, avg, avg + 32, max, 2 * max]) {
        for (let length = Math.max(0, at - 2); length <= at + 2; length++) {
          const input = bytes.subarray(0, length);
          const expected = ruleEnds(input, sizes);
          t.deepEqual(scannedEnds(input, sizes), expected, `${name} ${length}`);
          t.deepEqual(kernelEnds(input, sizes), expected, `${name} ${length}, kernel`);
        }
      }
    }
  });
}

test('scanner and kernel obey the cut rule on all kinds of input', (t) => {
  const property = fc.property(
    SIZES,
    fc.integer(),
    fc.nat(3000),
    fc.constantFrom(...Object.values(CONTENTS)),
    fc.nat(20),
    (sizes, seed, length, content, distance) => {
      const bytes = content(length, seed);
      const expected = ruleEnds(bytes, sizes);
      t.deepEqual(scannedEnds(bytes, sizes), expected);
      t.deepEqual(kernelEnds(bytes, sizes, distance), expected);
    },
  );
  t.notThrows(() => fc.assert(property, { numRuns: 500 }));
});

test('scanner and kernel obey the cut rule with usual sizes', (t) => {
  const bytes = noise(1_000_000, 7);
  bytes.fill(0, 200_000, 600_000);
  for (const sizes of [DEFAULT, { min: 2500, avg: 10_000, max: 40_000 }]) {
    const expected = ruleEnds(bytes, sizes);
    t.deepEqual(scannedEnds(bytes, sizes), expected);
    t.deepEqual(kernelEnds(bytes, sizes), expected);
  }
});

test('bytes outside of the memory of a kernel are cut all the same', (t) => {
  const bytes = noise(50_000, 13);
  const sizes = { min: 256, avg: 1024, max: 4096 };
  const scanner = createScanner({ chunker: 'fastcdc', chunkSizes: sizes, kernel: KERNEL });
  t.deepEqual(endsOf(scanner, bytes), ruleEnds(bytes, sizes));
});

test('both algorithms can use one kernel', (t) => {
  const bytes = new Uint8Array(MEMORY.buffer, KERNEL_BYTES, 100_000);
  bytes.set(noise(bytes.length, 17));
  const chunkSizes = { min: 256, avg: 1024, max: 4096 };
  for (const chunker of ['buzhash', 'fastcdc', 'buzhash', 'fastcdc'] as const) {
    const expected = endsOf(createScanner({ chunker, chunkSizes }), bytes);
    t.deepEqual(endsOf(createScanner({ chunker, chunkSizes, kernel: KERNEL }), bytes), expected);
  }
});

test('all chunks but the last have a size between minimum and maximum', (t) => {
  const property = fc.property(SIZES, fc.integer(), fc.nat(5000), (sizes, seed, length) => {
    const lengths = lengthsOf(scannedEnds(noise(length, seed), sizes));
    const last = lengths.at(-1) ?? 1;
    t.true(lengths.slice(0, -1).every((size) => size >= sizes.min && size <= sizes.max));
    t.true(last >= 1 && last <= sizes.max);
    t.is(
      lengths.reduce((sum, size) => sum + size, 0),
      length,
    );
  });
  t.notThrows(() => fc.assert(property));
});

test('a cut depends on nothing behind the maximum size', (t) => {
  const property = fc.property(SIZES, fc.integer(), fc.nat(1000), (sizes, seed, more) => {
    const bytes = noise(sizes.max + more, seed);
    const scanner = createScanner({ chunker: 'fastcdc', chunkSizes: sizes });
    t.is(scanner.firstChunk(bytes), scanner.firstChunk(bytes.subarray(0, sizes.max)));
  });
  t.notThrows(() => fc.assert(property));
});

test('where the bytes lie in memory does not matter', (t) => {
  const bytes = noise(40_000, 3);
  bytes.fill(0, 0, 9000);
  const sizes = { min: 256, avg: 1024, max: 8192 };
  const expected = ruleEnds(bytes, sizes);
  for (let offset = 0; offset < 8; offset++) {
    const memory = new Uint8Array(new SharedArrayBuffer(bytes.length + 16)).fill(0);
    memory.set(bytes, offset);
    t.deepEqual(scannedEnds(memory.subarray(offset, offset + bytes.length), sizes), expected);
  }
});

test('zeros are cut at the maximum size', (t) => {
  for (const [min, avg, max] of [
    [16384, 65536, 262144],
    [1, 44, 100],
    [65536, 65536, 262145],
  ]) {
    const ends = scannedEnds(new Uint8Array(3 * max + 1), { min, avg, max });
    t.deepEqual(ends, [max, 2 * max, 3 * max, 3 * max + 1]);
  }
});

test('behind inserted bytes the cuts are soon the same again', (t) => {
  const sizes = { min: 256, avg: 1024, max: 4096 };
  for (const content of [noise(200_000, 11), text(200_000).map((byte, i) => byte ^ (i >> 12))]) {
    const before = scannedEnds(content, sizes);
    for (const inserted of [1, 2, 31, 257, 5000]) {
      const changed = new Uint8Array(content.length + inserted);
      changed.set(noise(inserted, inserted));
      changed.set(content, inserted);
      const after = new Set(scannedEnds(changed, sizes).map((end) => end - inserted));
      const lost = before.filter((end) => !after.has(end));
      t.true(lost.length <= 10, `${inserted} bytes cost ${lost.length} of ${before.length} cuts`);
      t.true(lost.every((end) => end < 15 * sizes.max));
    }
  }
});

test('random data has chunks of 1.14 times the average, also where that is no power of two', (t) => {
  const bytes = noise(8_000_000, 5);
  for (const avg of [1000, 1024, 1448, 1500]) {
    const sizes = { min: avg / 4, avg, max: 4 * avg };
    const mean = bytes.length / scannedEnds(bytes, sizes).length;
    t.true(Math.abs(mean / avg - 1.141) < 0.02, `${avg}: ${mean}`);
  }
});

test('equal sizes cut every so many bytes', (t) => {
  const sizes = { min: 100, avg: 100, max: 100 };
  t.deepEqual(scannedEnds(noise(250), sizes), [100, 200, 250]);
});

test('the frame, with the hash and sizes of fastcdc-wasm, cuts where fastcdc-wasm cuts', (t) => {
  t.log('compared: the frame (skipped beginning, normal size, two questions, maximum, rest)');
  t.log('not compared: our gear values, limits and search, which fastcdc-wasm does not have');
  const sizes = fc
    .tuple(fc.integer({ min: 64, max: 700 }), fc.nat(2000), fc.nat(5000))
    .map(([min, more, most]) => {
      const avg = Math.max(256, min + more);
      return { min, avg, max: Math.max(1024, avg + most) };
    });
  const property = fc.property(sizes, fc.integer(), fc.nat(30_000), (chunkSizes, seed, length) => {
    const bytes = noise(length + 1, seed);
    const ends = endsBy((rest) => otherLength(rest, chunkSizes), bytes);
    t.deepEqual(ends, packageEnds(bytes, chunkSizes));
  });
  t.notThrows(() => fc.assert(property, { numRuns: 300 }));
  const large = noise(4_000_000, 9);
  t.deepEqual(
    endsBy((rest) => otherLength(rest, DEFAULT), large),
    packageEnds(large, DEFAULT),
  );
});
