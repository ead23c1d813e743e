/**
 * `npm run bench:kernel [file]`: what one core does per second in the inner loops (scan, digest,
 * codec), measured in CPU time, so that other work on the machine disturbs little. The real data is
 * the middle of the file; without one, of the running program.
 */

import { randomFillSync } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { DEFAULT_CHUNK_SIZES } from '../formats/chunk-sizes.ts';
import { createScanKernel, KERNEL_BYTES } from '../lib/chunking/kernel/kernel.ts';
import type { ChunkScanner } from '../lib/chunking/scanner.ts';
import { createScanner } from '../lib/chunking/scanner-choice.ts';
import { createGzipCodec } from '../lib/compress/gzip.node.ts';
import { createXzCodec } from '../lib/compress/xz.node.ts';
import { createNativeZstdCodec } from '../lib/compress/zstd-native.node.ts';
import { createPortableZstdCodec } from '../lib/compress/zstd-portable.ts';
import { createNodeZstdCodec } from '../lib/compress/zstd-zlib.node.ts';
import { createPortableDigest } from '../lib/digest/digest.ts';
import { createNativeDigest } from '../lib/digest/digest-openssl.node.ts';
import { type Codec, compressedRoom, type Digest } from '../store/transforms.ts';
import { table } from './table.ts';

const DATA_SIZE = 64 << 20;
const CHUNK_SIZE = 65536;
/** Chunks that codecs work on in turn. */
const CODEC_CHUNKS = 128;
const WINDOW_MS = 150;
const WINDOWS = 4;

/** Handles some bytes and says how many. */
type Step = () => number | Promise<number>;
type Row = readonly [what: string, rate: string];

/** The best of several windows, in MB per second of CPU time; the first ones let V8 optimise. */
async function rate(step: Step): Promise<string> {
  let best = 0;
  for (let i = 0; i < WINDOWS; i++) {
    const start = process.cpuUsage();
    let bytes = 0;
    let micros = 0;
    while (micros < WINDOW_MS * 1000) {
      const done = step();
      bytes += typeof done === 'number' ? done : await done;
      const { user, system } = process.cpuUsage(start);
      micros = user + system;
    }
    best = Math.max(best, bytes / micros);
  }
  return best < 100 ? best.toFixed(1) : best.toFixed(0);
}

/** Cuts chunk after chunk, several per step, because asking for the CPU time costs, too. */
function scanning(scanner: ChunkScanner, bytes: Uint8Array): Step {
  const { max } = DEFAULT_CHUNK_SIZES;
  let at = 0;
  return () => {
    let done = 0;
    while (done < 4 * max) {
      if (at + max > bytes.length) at = 0;
      const length = scanner.firstChunk(bytes.subarray(at, at + max));
      at += length;
      done += length;
    }
    return done;
  };
}

async function scanRows(memory: WebAssembly.Memory, real: Uint8Array): Promise<readonly Row[]> {
  const kernel = createScanKernel(memory);
  const buzhash = { chunker: 'buzhash', chunkSizes: DEFAULT_CHUNK_SIZES } as const;
  const scanners = {
    'buzhash, kernel': createScanner({ ...buzhash, kernel }),
    'buzhash, reference': createScanner(buzhash),
    'fastcdc, kernel': createScanner({ ...buzhash, chunker: 'fastcdc', kernel }),
    'fastcdc, reference': createScanner({ ...buzhash, chunker: 'fastcdc' }),
  };
  const rows: Row[] = [];
  for (const kind of ['real data', 'random', 'zeros']) {
    const kept = real.slice();
    if (kind === 'random') randomFillSync(real);
    if (kind === 'zeros') real.fill(0);
    for (const [name, scanner] of Object.entries(scanners)) {
      rows.push([`scan, ${name}, ${kind}`, await rate(scanning(scanner, real))]);
    }
    real.set(kept);
  }
  return rows;
}

async function digestRows(real: Uint8Array): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const measure = async (what: string, digest: Digest | undefined): Promise<void> => {
    if (digest === undefined) return void rows.push([what, 'skipped: OpenSSL does not have it']);
    const step = inTurn(chunksOf(real), (chunk) => {
      digest.hash(chunk);
      return chunk.length;
    });
    rows.push([what, await rate(step)]);
  };
  for (const name of ['sha256', 'sha512-256'] as const) {
    await measure(`digest, ${name}, OpenSSL`, createNativeDigest(name));
    await measure(`digest, ${name}, portable`, createPortableDigest(name));
  }
  return rows;
}

/** Makers of codecs; a string is the reason why there is none. */
const CODECS: Readonly<Record<string, () => Codec | string>> = {
  'zstd, libzstd': () => createNativeZstdCodec() ?? 'koffi or libzstd is missing',
  'zstd, Node': () => createNodeZstdCodec() ?? `Node ${process.versions.node} has no zstd`,
  'zstd, WebAssembly': createPortableZstdCodec,
  xz: createXzCodec,
  gzip: createGzipCodec,
};

async function codecRows(real: Uint8Array): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const chunks = chunksOf(real).slice(0, CODEC_CHUNKS);
  const output = new Uint8Array(compressedRoom(CHUNK_SIZE));
  for (const [name, create] of Object.entries(CODECS)) {
    const codec = create();
    if (typeof codec === 'string') {
      rows.push([name, `skipped: ${codec}`]);
      continue;
    }
    const stored: Uint8Array[] = [];
    for (const chunk of chunks) stored.push((await codec.compress(chunk)).slice());
    const compress = inTurn(chunks, async (chunk) => {
      await codec.compress(chunk, output);
      return chunk.length;
    });
    const decompress = inTurn(stored, async (one) => {
      return (await codec.decompress(one, CHUNK_SIZE, output)).length;
    });
    rows.push([`compress, ${name}`, await rate(compress)]);
    rows.push([`decompress, ${name}`, await rate(decompress)]);
  }
  return rows;
}

function chunksOf(bytes: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: Math.floor(bytes.length / CHUNK_SIZE) }, (_, i) =>
    bytes.subarray(i * CHUNK_SIZE, (i + 1) * CHUNK_SIZE),
  );
}

function inTurn<T>(items: readonly T[], work: (item: T) => number | Promise<number>): Step {
  let next = 0;
  return () => work(items[next++ % items.length]);
}

/** Takes the middle of the file and repeats it as often as needed. */
function fill(bytes: Uint8Array, path: string): void {
  const descriptor = openSync(path, 'r');
  const offset = Math.max(0, Math.floor((fstatSync(descriptor).size - bytes.length) / 2));
  const length = readSync(descriptor, bytes, 0, bytes.length, offset);
  closeSync(descriptor);
  if (length === 0) throw new Error(`${path} is empty`);
  for (let at = length; at < bytes.length; at += length) {
    bytes.copyWithin(at, 0, Math.min(length, bytes.length - at));
  }
}

const path = process.argv[2] ?? process.execPath;
const pages = (KERNEL_BYTES + DATA_SIZE) / 65536;
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
const real = new Uint8Array(memory.buffer, KERNEL_BYTES, DATA_SIZE);
fill(real, path);
const rows = [
  ...(await scanRows(memory, real)),
  ...(await digestRows(real)),
  ...(await codecRows(real)),
];
console.log(`Real data: ${path}. Codecs: ${CHUNK_SIZE / 1024} KiB a piece.\n`);
console.log(table(['one core', 'MB/s'], rows));
