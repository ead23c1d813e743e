/**
 * Reads blocks of 4 KiB at random places of a file, with several readers at a time: FILE OUTPUT READERS
 * READS. The places are the same every time. OUTPUT gets a digest of what each has read. Used by
 * readings.ts, which runs it on its own.
 */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const BLOCK_BYTES = 4096;

/** @returns digest of the blocks, in the order in which they were read */
function readAtRandom({ file, seed, reads }) {
  const descriptor = openSync(file, 'r');
  const blocks = Math.floor(fstatSync(descriptor).size / BLOCK_BYTES);
  const block = Buffer.alloc(BLOCK_BYTES);
  const digest = createHash('sha256');
  let state = seed;
  for (let i = 0; i < reads; i++) {
    // The generator of Numerical Recipes; its high bits are the good ones.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const offset = Math.floor((state / 2 ** 32) * blocks) * BLOCK_BYTES;
    if (readSync(descriptor, block, 0, BLOCK_BYTES, offset) !== BLOCK_BYTES) {
      throw new Error(`short read at ${offset}`);
    }
    digest.update(block);
  }
  closeSync(descriptor);
  return digest.digest('hex');
}

async function main() {
  const [file, output, readers, reads] = process.argv.slice(2);
  const digests = Array.from({ length: Number(readers) }, (_, i) => {
    const data = { file, seed: (i + 1) * 7919, reads: Number(reads) };
    const worker = new Worker(new URL(import.meta.url), { workerData: data });
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  });
  writeFileSync(output, `${(await Promise.all(digests)).join('\n')}\n`);
}

if (isMainThread) await main();
else parentPort.postMessage(readAtRandom(workerData));
