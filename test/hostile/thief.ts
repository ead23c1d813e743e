/**
 * A process of its own that disturbs an extraction; started by tree-race.test.ts.
 *   thief.ts swap ENTRY DECOY OUTSIDE  swaps ENTRY with a symbolic link to OUTSIDE, as fast as it can
 *   thief.ts link ENTRY DECOY OUTSIDE  puts a hard link to OUTSIDE in the place of ENTRY, likewise
 *   thief.ts spy FOLDER UID            looks for set-uid files of anybody but UID
 * Runs until its standard input ends; then it prints how often it had success.
 */
import { linkSync, lstatSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { exchange } from '../../lib/os/rename.node.ts';

const ROUNDS_PER_TURN = 200;

/** One swap; the extraction may have taken away anything meanwhile. */
function swap(entry: string, decoy: string, outside: string): boolean {
  try {
    if (!lstatSync(decoy).isSymbolicLink() && !lstatSync(entry).isSymbolicLink()) {
      rmSync(decoy, { recursive: true, force: true });
      symlinkSync(outside, decoy);
    }
    return exchange(Buffer.from(entry), Buffer.from(decoy));
  } catch {
    return false;
  }
}

function link(entry: string, decoy: string, outside: string): boolean {
  try {
    linkSync(outside, decoy);
    renameSync(decoy, entry);
    return true;
  } catch {
    rmSync(decoy, { force: true });
    return false;
  }
}

function spy(folder: string, uid: number): boolean {
  try {
    return readdirSync(folder).some((name) => {
      const stat = lstatSync(join(folder, name));
      return stat.isFile() && (stat.mode & 0o4000) !== 0 && stat.uid !== uid;
    });
  } catch {
    return false;
  }
}

const [task, first = '', second = '', third = ''] = process.argv.slice(2);
const TASKS: Readonly<Record<string, () => boolean>> = {
  swap: () => swap(first, second, third),
  link: () => link(first, second, third),
  spy: () => spy(first, Number(second)),
};
const once = TASKS[task];
let successes = 0;
let running = true;

function work(): void {
  for (let round = 0; round < ROUNDS_PER_TURN; round++) if (once()) successes += 1;
  if (running) setImmediate(work);
  else console.log(successes);
}

process.stdin.on('end', () => {
  running = false;
});
process.stdin.resume();
console.log('ready');
work();
