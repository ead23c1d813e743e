/** `npm run test:gc [-- --seed=N] [--seconds=N]`: makes and gc in one store. Status 1 if it complains. */
import { soakGc } from './gc-soak.ts';

function option(name: string, byDefault: number): number {
  const prefix = `--${name}=`;
  const word = process.argv.find((candidate) => candidate.startsWith(prefix));
  return word === undefined ? byDefault : Number(word.slice(prefix.length));
}

const seed = option('seed', Math.floor(Math.random() * 2 ** 31));
const seconds = option('seconds', 60);
console.log(`seed ${seed}, ${seconds} s`);
const result = await soakGc({ seed, durationMs: seconds * 1000, log: console.log });
const { complaints, ...counts } = result;
for (const [name, count] of Object.entries(counts)) console.log(`  ${name}: ${count}`);
// A run in which nothing was removed proves nothing.
const isGood = complaints.length === 0 && counts.removedChunkCount > 0;
console.log(isGood ? '1 passed, 0 failed' : '0 passed, 1 failed');
process.exitCode = isGood ? 0 : 1;
