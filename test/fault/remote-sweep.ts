/**
 * Interrupts work with a server at random moments, by the end of the client or of the server, and
 * collects what is wrong afterwards. Used by remote-run.ts and the test beside it.
 */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PlaceKind, RemotePlace } from '../helpers/remote-places.ts';
import { CASYNC, describeRun, runCasync } from '../helpers/run-casync.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';
import { type Random, randomFrom } from '../property/random.ts';
import { warmUp } from './kill-points.ts';
import {
  extractWork,
  makeWork,
  prepareExtract,
  prepareFolder,
  type RemoteWork,
} from './remote-work.ts';

/** Who ends without a warning. */
export type Victim = 'client' | 'server';

export interface RemoteSweepOptions {
  readonly kind: PlaceKind;
  readonly victims: readonly Victim[];
  /** Of each victim and each kind of work. */
  readonly pointCount: number;
  readonly seed: number;
  readonly log?: (line: string) => void;
}

export interface RemoteSweepResult {
  /** Runs in which the victim ended before the work did. */
  readonly interruptedCount: number;
  /** Runs that came to a good end although the server had been away. */
  readonly survivedCount: number;
  readonly complaints: readonly string[];
}

interface Ended {
  readonly status: number | undefined;
  readonly stderr: string;
}

/** How long the server is away at most, where the client may see it again. */
const LONGEST_AWAY_MS = 1500;
const TIMEOUT_MS = 120_000;

export async function sweepRemote(options: RemoteSweepOptions): Promise<RemoteSweepResult> {
  const folder = makeTemporaryFolder();
  const place = await options.kind.start();
  try {
    warmUp();
    await prepareFolder(folder);
    await prepareExtract(folder, place);
    return await new Sweep(folder, place, options).run();
  } finally {
    await place.stop();
    removeTree(folder);
  }
}

class Sweep {
  readonly #folder: string;
  readonly #place: RemotePlace;
  readonly #options: RemoteSweepOptions;
  readonly #random: Random;
  readonly #complaints: string[] = [];
  #interruptedCount = 0;
  #survivedCount = 0;

  constructor(folder: string, place: RemotePlace, options: RemoteSweepOptions) {
    this.#folder = folder;
    this.#place = place;
    this.#options = options;
    this.#random = randomFrom(options.seed);
  }

  async run(): Promise<RemoteSweepResult> {
    const [folder, place] = [this.#folder, this.#place];
    for (const [name, work, workOverOld] of [
      ['make', makeWork(folder, place, false), makeWork(folder, place, true)],
      ['extract', extractWork(folder, place, false), extractWork(folder, place, true)],
    ] as const) {
      const durationMs = await this.#undisturbed(name, work);
      for (const victim of this.#options.victims) {
        for (let i = 0; i < this.#options.pointCount; i++) {
          await this.#takePoint(name, i % 2 === 0 ? work : workOverOld, victim, durationMs);
        }
      }
    }
    return {
      interruptedCount: this.#interruptedCount,
      survivedCount: this.#survivedCount,
      complaints: this.#complaints,
    };
  }

  async #undisturbed(name: string, work: RemoteWork): Promise<number> {
    await work.reset();
    const startedMs = performance.now();
    const { status, stderr } = await this.#start(work).ended;
    const durationMs = performance.now() - startedMs;
    if (status !== 0) throw new Error(`${name} fails by itself: ${status} ${stderr}`);
    return durationMs;
  }

  async #takePoint(
    name: string,
    work: RemoteWork,
    victim: Victim,
    durationMs: number,
  ): Promise<void> {
    const { kind, log } = this.#options;
    await work.reset();
    // The first third passes before anything is sent.
    const moment = durationMs * (0.3 + (0.7 * this.#random.integer(0, 1000)) / 1000);
    const end = await this.#interrupt(work, victim, moment);
    const point = `${kind.name}: ${name}, ${victim} ends after ${Math.round(moment)} ms`;
    const found = [...(await work.afterInterruption())];
    const again = await runCasync(work.args, this.#runOptions());
    if (again.status !== 0) found.push(`the second run fails: ${describeRun(again)}`);
    else found.push(...(await work.afterSuccess()).map((text) => `after the second run: ${text}`));
    log?.(`${point}: ${end}${found.length === 0 ? '' : `: ${found.join('; ')}`}`);
    this.#complaints.push(...found.map((text) => `${point}, ${end}: ${text}`));
  }

  /** @returns how the run ended, in words. The server is there again. */
  async #interrupt(work: RemoteWork, victim: Victim, moment: number): Promise<string> {
    const child = this.#start(work);
    const first = await Promise.race([child.ended, sleep(moment)]);
    if (first !== undefined) return 'done before';
    this.#interruptedCount += 1;
    if (victim === 'client') {
      child.kill();
      await child.ended;
      return 'killed';
    }
    await this.#place.kill();
    const isBackSoon = this.#random.chance(0.5);
    if (isBackSoon) {
      await sleep(this.#random.integer(0, LONGEST_AWAY_MS));
      await this.#place.restart();
    }
    const { status, stderr } = await child.ended;
    if (!isBackSoon) await this.#place.restart();
    if (status === 0) this.#survivedCount += 1;
    else this.#judgeFailure(status, stderr);
    return `${isBackSoon ? 'back soon' : 'away'}, status ${status}`;
  }

  #judgeFailure(status: number | undefined, stderr: string): void {
    const isExplained = status === 16 && !/internal error/i.test(stderr);
    if (!isExplained) this.#complaints.push(`status ${status}: ${stderr.trim()}`);
  }

  #runOptions() {
    return { cwd: this.#folder, env: this.#place.environment, timeoutMs: TIMEOUT_MS };
  }

  #start({ args }: RemoteWork): { readonly ended: Promise<Ended>; readonly kill: () => void } {
    const child = spawn(process.execPath, [CASYNC, ...args], {
      cwd: this.#folder,
      env: { ...process.env, LC_ALL: 'C', NODE_OPTIONS: undefined, ...this.#place.environment },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const ended = new Promise<Ended>((done, fail) => {
      child.on('error', fail);
      child.on('exit', (status) => done({ status: status ?? undefined, stderr }));
    });
    return { ended, kill: () => void child.kill('SIGKILL') };
  }
}
