/**
 * Blobs from fixed seeds and from the image: holes, zeroes, noise, changed versions, parts and
 * multiples. Recipes of data-sets.ts. Sizes are those of the real thing times the scale.
 */
import { createCipheriv } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import type { BuildContext, Built } from './recipe.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
export const BLOCK_BYTES = 4 * KIB;
const PIECE_BYTES = 8 * MIB;
const SMALL_BYTES = MIB;
const SAMPLE_PIECES = 64;
const INSERTED_BYTES = 1000;

/** A full size scaled, in whole blocks, at least one. */
export function scaled(bytes: number, scale: number): number {
  return Math.max(1, Math.round((bytes * scale) / BLOCK_BYTES)) * BLOCK_BYTES;
}

/** Endless bytes that look random and are the same for the same seed. */
export function noiseSource(seed: number): (bytes: number) => Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  return (bytes) => cipher.update(Buffer.alloc(bytes));
}

/** Opens a new file, lets `fill` write it, closes it. */
export async function writeBlob(
  path: string,
  fill: (file: number) => Promise<void>,
): Promise<Built> {
  const file = openSync(path, 'wx');
  try {
    await fill(file);
  } finally {
    closeSync(file);
  }
  return { bytes: statSync(path).size, entries: 1 };
}

/** The bytes of a range of a file, in pieces; a piece is valid until the next one. */
export async function* piecesOf(
  path: string,
  signal: AbortSignal,
  start = 0,
  end = statSync(path).size,
): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(PIECE_BYTES);
  const file = openSync(path, 'r');
  try {
    for (let offset = start; offset < end; ) {
      const length = readSync(file, buffer, 0, Math.min(PIECE_BYTES, end - offset), offset);
      if (length === 0) return;
      yield buffer.subarray(0, length);
      offset += length;
      await breathe();
      signal.throwIfAborted();
    }
  } finally {
    closeSync(file);
  }
}

export function makeHoles({ path, scale }: BuildContext): Promise<Built> {
  return writeBlob(path, async (file) => ftruncateSync(file, scaled(8 * GIB, scale)));
}

/** In turn a hole, as many written zeroes, and a little data at an odd place. */
export function makeZeros({ path, scale, signal }: BuildContext): Promise<Built> {
  const unit = scaled(16 * MIB, scale);
  const noise = noiseSource(2);
  return writeBlob(path, async (file) => {
    for (let i = 0; i < 32; i++) {
      signal.throwIfAborted();
      const start = i * 2 * unit;
      writeSync(file, Buffer.alloc(unit), 0, unit, start + unit);
      writeSync(file, noise(1 + Math.floor(unit / 256)), 0, undefined, start + unit + 1234);
      await breathe();
    }
    ftruncateSync(file, 64 * unit);
  });
}

export function makeNoise({ path, scale, signal }: BuildContext): Promise<Built> {
  const noise = noiseSource(3);
  return writeBlob(path, async (file) => {
    for (let left = scaled(GIB, scale); left > 0; left -= PIECE_BYTES) {
      signal.throwIfAborted();
      writeSync(file, noise(Math.min(left, PIECE_BYTES)));
      await breathe();
    }
  });
}

/** Machine code from the middle of the program that runs this; the same size at every scale. */
export function makeSmall({ path, signal }: BuildContext): Promise<Built> {
  const start = Math.floor(statSync(process.execPath).size / 2);
  return writeBlob(path, async (file) => {
    for await (const piece of piecesOf(process.execPath, signal, start, start + SMALL_BYTES)) {
      writeSync(file, piece);
    }
  });
}

/** Every hundredth block on average is replaced. */
export async function makeChanged({ path, from, signal }: BuildContext): Promise<Built> {
  copyFileSync(from, path);
  const blocks = Math.floor(statSync(path).size / BLOCK_BYTES);
  const noise = noiseSource(4);
  const file = openSync(path, 'r+');
  try {
    for (let i = 0; i < Math.max(1, Math.floor(blocks / 100)); i++) {
      signal.throwIfAborted();
      const block = noise(4).readUInt32LE() % blocks;
      writeSync(file, noise(BLOCK_BYTES), 0, BLOCK_BYTES, block * BLOCK_BYTES);
    }
  } finally {
    closeSync(file);
  }
  return { bytes: statSync(path).size, entries: 1 };
}

export function makeInserted({ path, from, signal }: BuildContext): Promise<Built> {
  const where = Math.min(MIB, Math.floor(statSync(from).size / 16)) + 123;
  return writeBlob(path, async (file) => {
    for await (const piece of piecesOf(from, signal, 0, where)) writeSync(file, piece);
    writeSync(file, noiseSource(5)(INSERTED_BYTES));
    for await (const piece of piecesOf(from, signal, where)) writeSync(file, piece);
  });
}

/** A part of the image that is like the whole: pieces at even distances. */
export function makeSample(fraction: number): (context: BuildContext) => Promise<Built> {
  return ({ path, from, signal }) => {
    const distance = Math.floor(statSync(from).size / SAMPLE_PIECES);
    const length = Math.max(1, Math.round((distance * fraction) / BLOCK_BYTES)) * BLOCK_BYTES;
    return writeBlob(path, async (file) => {
      for (let i = 0; i < SAMPLE_PIECES; i++) {
        const start = Math.floor((i * distance) / BLOCK_BYTES) * BLOCK_BYTES;
        for await (const piece of piecesOf(from, signal, start, start + length)) {
          writeSync(file, piece);
        }
      }
    });
  };
}

/**
 * The image several times without repeating a chunk: in each copy all bytes are multiplied by
 * another odd number modulo 256. That exchanges values one for another and keeps zero, so that a
 * copy has the repetitions, the frequencies and the zero runs of the image.
 */
export function makeMultiple(copies: number): (context: BuildContext) => Promise<Built> {
  return ({ path, from, signal }) =>
    writeBlob(path, async (file) => {
      for (let copy = 0; copy < copies; copy++) {
        const table = Uint8Array.from({ length: 256 }, (_, value) => value * (2 * copy + 1));
        for await (const piece of piecesOf(from, signal)) {
          for (let i = 0; i < piece.length; i++) piece[i] = table[piece[i] ?? 0] ?? 0;
          writeSync(file, piece);
        }
      }
    });
}
