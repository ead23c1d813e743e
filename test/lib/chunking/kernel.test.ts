import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import test from 'ava';
import { DEFAULT_CHUNK_SIZES } from '../../../formats/chunk-sizes.ts';
import { buildKernel } from '../../../lib/chunking/kernel/build.node.ts';
import { createScanKernel, KERNEL_BYTES } from '../../../lib/chunking/kernel/kernel.ts';
import { createScanner } from '../../../lib/chunking/scanner-choice.ts';
import { scannedEnds, scannerSuite } from '../../conformance/scanner.ts';
import { noise } from '../../helpers/golden.ts';

const PAGE = 65536;

function sharedMemory(dataSize: number): WebAssembly.Memory {
  const pages = Math.ceil((KERNEL_BYTES + dataSize) / PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Copies the bytes into the memory, at an odd address. */
function placeIn(memory: WebAssembly.Memory, bytes: Uint8Array): Uint8Array {
  const view = new Uint8Array(memory.buffer, KERNEL_BYTES + 3, bytes.length);
  view.set(bytes);
  return view;
}

const suiteMemory = sharedMemory(1 << 20);
const suiteKernel = createScanKernel(suiteMemory);

scannerSuite(
  'scan kernel',
  (chunkSizes) => createScanner({ chunker: 'buzhash', chunkSizes, kernel: suiteKernel }),
  (bytes) => placeIn(suiteMemory, bytes),
);

scannerSuite('scan kernel, bytes outside of its memory', (chunkSizes) =>
  createScanner({ chunker: 'buzhash', chunkSizes, kernel: suiteKernel }),
);

test('the committed module is what the source compiles to', async (t) => {
  const committed = new URL('../../../lib/chunking/kernel/scan-wasm.ts', import.meta.url);
  t.is(await buildKernel(), readFileSync(committed, 'utf8'));
});

/** Some MiB with everything in it: noise, runs of zeros, runs of other bytes, text. */
function mixedBytes(length: number): Uint8Array {
  const bytes = noise(length, 11);
  for (let at = 0; at < length; at += 700_000) {
    bytes.fill(0, at + 50_000, at + 50_000 + at / 8);
    bytes.fill(at % 251, at + 400_000, at + 440_000);
  }
  return bytes;
}

test('kernel and reference agree on megabytes, for usual and unusual sizes', (t) => {
  const bytes = mixedBytes(8_000_000);
  const memory = sharedMemory(bytes.length + 3);
  const kernel = createScanKernel(memory);
  const inside = placeIn(memory, bytes);
  const averages = [1024, 4096, 65536, 65535, 100_000, 1 << 20];
  const all = [
    DEFAULT_CHUNK_SIZES,
    { min: 65536, avg: 65536, max: 1 << 20 },
    ...averages.map((avg) => ({ min: Math.floor(avg / 4), avg, max: 4 * avg })),
  ];
  for (const chunkSizes of all) {
    const options = { chunker: 'buzhash', chunkSizes } as const;
    const expected = scannedEnds(createScanner(options), bytes);
    t.deepEqual(scannedEnds(createScanner({ ...options, kernel }), inside), expected);
  }
});

test('a chunk may end with the memory', (t) => {
  const memory = sharedMemory(PAGE);
  const scanner = createScanner({
    chunker: 'buzhash',
    chunkSizes: { min: 64, avg: 60_000, max: 65_530 },
    kernel: createScanKernel(memory),
  });
  const { length } = new Uint8Array(memory.buffer);
  for (const size of [1, 47, 48, 63, 64, 65, 71, 72, 73, 128, 65_529, 65_530, 65_536]) {
    const bytes = new Uint8Array(memory.buffer, length - size);
    t.is(scanner.firstChunk(bytes), Math.min(size, 65_530));
  }
});

test('kernels over one memory do not disturb each other', (t) => {
  const bytes = mixedBytes(1_000_000);
  const memory = sharedMemory(bytes.length + 3);
  const inside = placeIn(memory, bytes);
  const chunkSizes = { min: 256, avg: 1024, max: 4096 };
  const options = { chunker: 'buzhash', chunkSizes } as const;
  const first = createScanner({ ...options, kernel: createScanKernel(memory) });
  const before = scannedEnds(first, inside);
  const second = createScanner({ ...options, kernel: createScanKernel(memory) });
  t.deepEqual(scannedEnds(second, inside), before);
  t.deepEqual(scannedEnds(first, inside), before);
  t.deepEqual(scannedEnds(createScanner(options), bytes), before);
});

test('the bytes behind the kernel are not touched', (t) => {
  const memory = sharedMemory(PAGE);
  const bytes = new Uint8Array(memory.buffer, KERNEL_BYTES);
  bytes.set(noise(bytes.length));
  const scanner = createScanner({
    chunker: 'buzhash',
    chunkSizes: { min: 64, avg: 256, max: 1024 },
    kernel: createScanKernel(memory),
  });
  scannedEnds(scanner, bytes);
  t.deepEqual(bytes.slice(), noise(bytes.length));
});

test('threads scan one memory at the same time', async (t) => {
  const bytes = mixedBytes(2_000_000);
  const memory = sharedMemory(bytes.length + 3);
  const inside = placeIn(memory, bytes);
  const chunkSizes = { min: 256, avg: 1024, max: 4096 };
  const options = { chunker: 'buzhash', chunkSizes } as const;
  const url = new URL('../../helpers/scan-worker.mjs', import.meta.url);
  const workerData = { memory, options, offset: inside.byteOffset, length: bytes.length };
  const workers = [1, 2, 3].map(() => new Worker(url, { workerData }));
  const results = await Promise.all(
    workers.map(
      (worker) => new Promise((resolve) => worker.once('message', resolve).once('error', resolve)),
    ),
  );
  const expected = scannedEnds(createScanner(options), bytes);
  for (const ends of results) t.deepEqual(ends, expected);
});
