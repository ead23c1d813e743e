/**
 * `npm run test:load [-- --seconds=60 --connections=200 --bad=50]`: a server under load. Status 1 if a
 * good request has failed, or the server has needed too much memory.
 */
import { loadServer } from './serve-load.ts';

const MIB = 1024 * 1024;
const MOST_MEMORY = 512 * MIB;

function option(name: string, byDefault: number): number {
  const prefix = `--${name}=`;
  const word = process.argv.find((candidate) => candidate.startsWith(prefix));
  return word === undefined ? byDefault : Number(word.slice(prefix.length));
}

const seconds = option('seconds', 60);
const connections = option('connections', 200);
const badConnections = option('bad', 50);
console.log(`${seconds} s, ${connections} connections, ${badConnections} bad ones of each kind`);
const result = await loadServer({ seconds, connections, badConnections });
console.log(
  `  requests: ${result.requestCount}, ${Math.round(result.requestCount / seconds)} a second`,
);
console.log(`  received: ${Math.round(result.bytesReceived / MIB)} MiB`);
console.log(`  bad connections that were ended: ${result.badEndCount}`);
const [median, p99, slowest] = [result.median, result.p99, result.slowest].map((ms) =>
  ms.toFixed(1),
);
console.log(`  p50 ${median} ms, p99 ${p99} ms, slowest ${slowest} ms`);
console.log(`  server: ${Math.round(result.peakMemoryBytes / MIB)} MiB at most,`);
console.log(`    ${Math.round(result.microsecondsPerRequest)} us of processor time a request`);
console.log(`  errors: ${result.errorCount}`);
for (const error of result.errors) console.log(`    ${error}`);
const isGood =
  result.errorCount === 0 && result.requestCount > 0 && result.peakMemoryBytes < MOST_MEMORY;
console.log(isGood ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exitCode = isGood ? 0 : 1;
