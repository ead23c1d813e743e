/**
 * `npm run bench:images`: syncs, deltas and versions of disk images beside rsync, rdiff, rdiff-backup,
 * bmaptool, borg and restic, those of them that are installed. What was made is compared with what it
 * must be. `--help` lists the options.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseSize } from '../formats/size.ts';
import { writeImagePair } from '../test/helpers/image-pair.ts';
import { findInPath } from './contestants.ts';
import { imageTasks } from './images-rows.ts';
import { type ImageRow, type ImageSample, imageTable } from './images-table.ts';
import {
  bytesOf,
  type ImageContestant,
  type ImagePlace,
  type ImageTask,
  movedBytes,
} from './images-task.ts';
import { chooseFolder, describeMachine } from './machine.ts';
import { type Command, chooseMeter, describeCommand, measure } from './measure.ts';
import { numberOf, runProgram, say, wordsOf } from './program.ts';

const OURS = resolve(import.meta.dirname, '../cli/casync.cjs');
/** Runs a command, and tells what its system calls and those of its children have moved. */
const COUNTED = 'report=$1; shift; "$@"; status=$?; cat /proc/$$/io >"$report"; exit $status';
const COPIES = 8;

const HELP = `Usage: npm run bench:images -- [OPTION...]

  --size=1G              Bytes of the image
  --pages=2600           Pages of 4 KiB that differ between A and B, 5 % of them zeros in B
  --rounds=3             Measured rounds; the median counts
  --tasks=NAME,...       Only these: sync, signature, delta, patch, device, keep, restore
  --programs=NAME,...    Only these beside ours: rsync, rdiff, rdiff-backup, bmaptool, borg, restic
  --work=DIR             Where images and repositories are; chosen: in memory if there is room
  --out=FILE             Write the table there as well
`;

interface Options {
  readonly size: number;
  readonly pages: number;
  readonly rounds: number;
  readonly tasks: readonly string[] | undefined;
  readonly programs: readonly string[] | undefined;
  readonly work: string | undefined;
  readonly out: string | undefined;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: '1G' },
      pages: { type: 'string' },
      rounds: { type: 'string' },
      tasks: { type: 'string' },
      programs: { type: 'string' },
      work: { type: 'string' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return undefined;
  return {
    size: byteCountOf(values.size),
    pages: numberOf('pages', values.pages, { usual: 2600, least: 0, isWhole: true }),
    rounds: numberOf('rounds', values.rounds, { usual: 3, least: 1, isWhole: true }),
    tasks: wordsOf(values.tasks),
    programs: wordsOf(values.programs),
    work: values.work,
    out: values.out,
  };
}

function byteCountOf(word: string): number {
  try {
    return parseSize(word);
  } catch {
    throw new Error(`--size=${word}: wanted are bytes, with K, M, G or T behind them or without`);
  }
}

function run({ words, cwd, env }: Command): void {
  const [file = '', ...rest] = words;
  try {
    execFileSync(file, rest, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const { stderr } = error as { readonly stderr?: Buffer };
    throw new Error(`${describeCommand({ words })}: ${stderr?.toString().trim() ?? error}`);
  }
}

/** A loop device over a copy of an image. */
function loopOver(image: string): string {
  return execFileSync('losetup', ['-f', '--show', image], { encoding: 'utf8' }).trim();
}

async function sample(
  contestant: ImageContestant,
  path: string,
  place: ImagePlace,
  signal: AbortSignal,
): Promise<ImageSample> {
  for (const command of contestant.prepare(place, path)) run(command);
  const made = contestant.made?.(place);
  const before = made === undefined ? 0 : bytesOf(made);
  const [report, scratch] = [join(place.folder, '..', 'io'), join(place.folder, '..', 'time')];
  let total = { seconds: 0, cpuSeconds: 0, memoryBytes: 0, readBytes: 0, writtenBytes: 0 };
  for (const command of contestant.run(place, path)) {
    const counted = { ...command, words: ['sh', '-c', COUNTED, 'sh', report, ...command.words] };
    const usage = await measure(counted, { meter: chooseMeter(), scratch, signal });
    const { read, written } = movedBytes(report);
    total = {
      seconds: total.seconds + usage.wallSeconds,
      cpuSeconds: total.cpuSeconds + usage.userSeconds + usage.systemSeconds,
      memoryBytes: Math.max(total.memoryBytes, usage.peakMemoryBytes),
      readBytes: total.readBytes + read,
      writtenBytes: total.writtenBytes + written,
    };
  }
  const result = contestant.result?.(place);
  if (result !== undefined) run({ words: ['cmp', result.path, place[result.equals]] });
  return { ...total, madeBytes: made === undefined ? undefined : bytesOf(made) - before };
}

/** @returns undefined for a program that failed, which is told: the others go on */
async function sampleOrTell(
  ...parameters: Parameters<typeof sample>
): Promise<ImageSample | undefined> {
  const [contestant, , , signal] = parameters;
  try {
    return await sample(...parameters);
  } catch (error) {
    signal.throwIfAborted();
    if (contestant.program === 'casync') throw error;
    say(`${contestant.name}: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

async function measureTask(
  task: ImageTask,
  options: Options,
  base: Pick<ImagePlace, 'a' | 'b'>,
  folder: string,
  signal: AbortSignal,
): Promise<readonly ImageRow[]> {
  const rows: ImageRow[] = [];
  for (const contestant of task.contestants) {
    const { name, program } = contestant;
    const isWanted = program === 'casync' || (options.programs?.includes(program) ?? true);
    const path = program === 'casync' ? OURS : findInPath(program);
    if (!isWanted || path === undefined) {
      if (isWanted) say(`${task.name}: ${name}: not installed`);
      continue;
    }
    const samples: ImageSample[] = [];
    for (let round = 0; round < options.rounds; round++) {
      const place = join(folder, 'place');
      mkdirSync(place);
      const disk = join(folder, 'disk');
      if (task.needsDevice) copyFileSync(base.a, disk);
      const device = task.needsDevice ? loopOver(disk) : undefined;
      try {
        const where = { ...base, folder: place, ...(device ? { device } : {}) };
        const one = await sampleOrTell(contestant, path, where, signal);
        if (one === undefined) break;
        samples.push(one);
      } finally {
        if (device !== undefined) execFileSync('losetup', ['-d', device]);
        rmSync(place, { recursive: true, force: true });
        rmSync(disk, { force: true });
      }
    }
    if (samples.length === 0) continue;
    say(`${task.name}: ${name}: ${samples.map(({ seconds }) => seconds.toFixed(2)).join(' ')} s`);
    rows.push({ name, samples });
  }
  return rows;
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(new DOMException('interrupted', 'AbortError')));
  const folder = mkdtempSync(
    join(options.work ?? chooseFolder(COPIES * options.size), 'bench-images-'),
  );
  try {
    const base = { a: join(folder, 'A'), b: join(folder, 'B') };
    writeImagePair(base.a, base.b, { size: options.size, changedPages: options.pages });
    const { processor, cores, fileSystem, date } = describeMachine(folder, chooseMeter());
    const parts = [
      `Images of ${options.size} bytes, ${options.pages} pages of 4096 bytes differ. ${processor}, ` +
        `${cores} cores, ${fileSystem}, ${date}. Medians of ${options.rounds}.\n`,
    ];
    for (const task of imageTasks(OURS)) {
      if (options.tasks?.includes(task.name) === false) continue;
      if (task.needsDevice && process.getuid?.() !== 0) {
        say(`${task.name}: needs root`);
        continue;
      }
      const rows = await measureTask(task, options, base, folder, controller.signal);
      parts.push(imageTable(task, rows));
    }
    const text = parts.join('\n');
    process.stdout.write(text);
    if (options.out !== undefined) writeFileSync(options.out, text);
    return 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await runProgram('bench:images', main);
