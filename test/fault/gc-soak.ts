/**
 * Makes and a gc in one store at the same time, as real processes (spec/promises.md, 4): two loops make
 * indexes of changing inputs that share chunks, delete old ones and kill a make now and then; a third
 * loop collects garbage. Every index that is there must be complete, at any time.
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isCasError } from '../../formats/errors.ts';
import { decodeIndex } from '../../formats/index-codec.ts';
import { verifyStore } from '../../lib/maintain/verify-store.node.ts';
import { CASYNC, runCasync, succeed } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { type Random, randomFrom } from '../property/random.ts';

export interface SoakOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Told of what goes on, now and then. */
  readonly log?: (line: string) => void;
}

export interface SoakResult {
  readonly makeCount: number;
  readonly killedCount: number;
  readonly gcCount: number;
  /** Runs of gc that gave up, because an index vanished or a make did not end. */
  readonly refusedCount: number;
  readonly removedChunkCount: number;
  readonly checkedIndexCount: number;
  readonly complaints: readonly string[];
}

interface Ended {
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const BLOCK_LENGTH = 60_000;
const BLOCK_COUNT = 12;
/** Different blocks that inputs are made of: few, so that loops often need each other's chunks. */
const POOL_COUNT = 40;
/** Indexes that a loop keeps at least. */
const KEPT_COUNT = 4;
const KILL_RATE = 0.15;
/** Exit status of a gc that may begin again: an index has vanished; the store is in use. */
const REFUSALS = [10, 11];

export async function soakGc(options: SoakOptions): Promise<SoakResult> {
  const folder = makeTemporaryFolder();
  try {
    await succeed(runCasync(['--version']));
    return await new Soak(folder, options).run();
  } finally {
    removeTree(folder);
  }
}

class Soak {
  readonly #folder: string;
  readonly #options: SoakOptions;
  readonly #endMs: number;
  readonly #pool: readonly Buffer[];
  readonly #complaints: string[] = [];
  #makeCount = 0;
  #killedCount = 0;
  #gcCount = 0;
  #refusedCount = 0;
  #removedChunkCount = 0;
  #checkedIndexCount = 0;

  constructor(folder: string, options: SoakOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#endMs = performance.now() + options.durationMs;
    const random = randomFrom(options.seed);
    this.#pool = Array.from({ length: POOL_COUNT }, () => random.bytes(BLOCK_LENGTH));
  }

  async run(): Promise<SoakResult> {
    // There is always an index for gc to name.
    await this.#make('first', randomFrom(this.#options.seed), false);
    await Promise.all([this.#makeLoop('a'), this.#makeLoop('b'), this.#gcLoop()]);
    await this.#check();
    // What the killed makes have left is no hindrance.
    await this.#gc();
    await this.#check();
    if (existsSync(join(this.#folder, 's.castr/leases'))) {
      const left = readdirSync(join(this.#folder, 's.castr/leases'));
      // A make that is killed while it writes its lease leaves that unfinished.
      if (left.some((name) => !name.endsWith('.tmp'))) this.#complain(`leases left: ${left}`);
    }
    return {
      makeCount: this.#makeCount,
      killedCount: this.#killedCount,
      gcCount: this.#gcCount,
      refusedCount: this.#refusedCount,
      removedChunkCount: this.#removedChunkCount,
      checkedIndexCount: this.#checkedIndexCount,
      complaints: this.#complaints,
    };
  }

  #isOver(): boolean {
    return performance.now() >= this.#endMs || this.#complaints.length > 0;
  }

  #complain(text: string): void {
    this.#complaints.push(text);
    this.#options.log?.(text);
  }

  async #makeLoop(name: string): Promise<void> {
    const random = randomFrom(this.#options.seed + name.charCodeAt(0));
    for (let i = 0; !this.#isOver(); i++) {
      await this.#make(`${name}${i}`, random, random.chance(KILL_RATE));
      // Several at a time: a gc that is told of an index and finds it gone gives up.
      if (i % KEPT_COUNT !== 0) continue;
      for (let old = i - 2 * KEPT_COUNT; old < i - KEPT_COUNT; old++) {
        rmSync(join(this.#folder, `${name}${old}.caibx`), { force: true });
      }
    }
  }

  async #make(name: string, random: Random, isKilled: boolean): Promise<void> {
    const input = join(this.#folder, `${name}.input`);
    const blocks = Array.from({ length: BLOCK_COUNT }, () => random.pick(this.#pool));
    writeFileSync(input, Buffer.concat(blocks));
    const args = ['make', '--store=s.castr', `${name}.caibx`, input];
    const killAfterMs = isKilled ? random.integer(80, 400) : undefined;
    const { status, stderr } = await this.#start(process.execPath, [CASYNC, ...args], killAfterMs);
    rmSync(input);
    if (status === 0) this.#makeCount += 1;
    else if (isKilled && status === undefined) this.#killedCount += 1;
    else this.#complain(`make ${name}: status ${status}: ${stderr}`);
  }

  async #gcLoop(): Promise<void> {
    while (!this.#isOver()) {
      await this.#gc();
      await this.#check();
    }
  }

  async #gc(): Promise<void> {
    // As in a script: the shell that finds the names becomes the command.
    const script = `exec '${process.execPath}' '${CASYNC}' gc -v --store=s.castr *.caibx`;
    const { status, stdout, stderr } = await this.#start('sh', ['-c', script]);
    if (status === 0) {
      this.#gcCount += 1;
      this.#removedChunkCount += Number(/^Removed (\d+) chunks/m.exec(stdout)?.[1]);
    } else if (REFUSALS.includes(status ?? 0)) this.#refusedCount += 1;
    else this.#complain(`gc: status ${status}: ${stderr}`);
  }

  /** Complains about indexes that lack chunks and are still there afterwards. */
  async #check(): Promise<void> {
    const names = readdirSync(this.#folder).filter((name) => /^[^.].*\.caibx$/.test(name));
    for (const name of names) {
      const path = join(this.#folder, name);
      const problem = await this.#problemOf(path);
      this.#checkedIndexCount += 1;
      if (problem !== undefined && existsSync(path)) this.#complain(`${name}: ${problem}`);
    }
  }

  async #problemOf(path: string): Promise<string | undefined> {
    try {
      const index = decodeIndex(readFileSync(path));
      const store = {
        folder: join(this.#folder, 's.castr'),
        digests: [index.digest],
        compression: 'zstd',
        suffix: '.cacnk',
        sync: 'none',
      } as const;
      const { problems } = await verifyStore(store, { indexes: [index], threadCount: 0 });
      const [first] = problems;
      return first && `${problems.length} problems: ${first.kind} ${first.id}`;
    } catch (error) {
      if (isCasError(error)) return error.message;
      return existsSync(path) ? String(error) : undefined;
    }
  }

  #start(file: string, args: readonly string[], killAfterMs?: number): Promise<Ended> {
    return new Promise((done, fail) => {
      const child = spawn(file, args, {
        cwd: this.#folder,
        env: { ...process.env, LC_ALL: 'C', CASYNC_STORE: undefined, NODE_OPTIONS: undefined },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
      child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
      child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
      const timer =
        killAfterMs === undefined
          ? undefined
          : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
      child.on('error', fail);
      child.on('close', (status) => {
        clearTimeout(timer);
        const [out, problem] = [stdout, stderr].map((pieces) => Buffer.concat(pieces).toString());
        done({ status: status ?? undefined, stdout: out, stderr: problem });
      });
    });
  }
}
