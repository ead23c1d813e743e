/** Thread of a test: scans a range of a memory that it shares with others, and posts the ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
const { createScanKernel } = await import('../../lib/chunking/kernel/kernel.ts');
const { createScanner } = await import('../../lib/chunking/scanner-choice.ts');

const { memory, options, offset, length } = workerData;
const scanner = createScanner({ ...options, kernel: createScanKernel(memory) });
const ends = [];
for (let end = 0; end < length; ) {
  end += scanner.firstChunk(new Uint8Array(memory.buffer, offset + end, length - end));
  ends.push(end);
}
parentPort.postMessage(ends);
