/**
 * Explores all orders in which the steps of several programs on one storage can happen: the real code
 * over the memory backend, every call of the storage being a step. Programs may also die at any step,
 * and time may pass while all of them stand still. States that were seen before are not explored
 * again; a program's own state follows from the answers it has got.
 */
import { createHash } from 'node:crypto';
import type { ObjectBackend } from '../../store/backend.ts';
import { createMemoryBackend } from '../../store/backends/memory.ts';
import type { LeaseClock, LeaseHolder, LeaseOptions } from '../../store/lease.ts';

/** What the programs share besides leases. */
export interface Shared {
  readonly chunks: Set<string>;
  /** Chunks by the names of the indexes that need them. */
  readonly indexes: Map<string, string>;
}

/** What a program of the model works with. */
export interface Place {
  readonly backend: ObjectBackend;
  readonly options: LeaseOptions;
  /** A step of its own; its result goes into the state of the program. */
  step<T>(name: string, action: (shared: Shared) => T): Promise<T>;
  /** From now on, or not any more, time does not pass while this program stands still. */
  hurry(isHurried: boolean): void;
}

export type Program = (place: Place) => Promise<void>;

export interface ModelOptions {
  readonly programs: readonly Program[];
  /** Programs that may die, each at any step. */
  readonly deathCount?: number;
  /** How often more time may pass than a lease lasts. */
  readonly jumpCount?: number;
  /** Whether programs can see whether another one lives. */
  readonly seesProcesses?: boolean;
  /** Time passes even when somebody is in a hurry. */
  readonly ignoresHurry?: boolean;
  /** Only what changes the storage or lists it is a step. */
  readonly isCoarse?: boolean;
  /** Enough to show that something is wrong. */
  readonly stopsAtLoss?: boolean;
  /** Changes what a program sees of the storage, to show that the model notices. */
  readonly disturb?: (backend: ObjectBackend) => ObjectBackend;
  /** Numbers of the programs by rank: the first gets the smallest ids. */
  readonly ranks?: readonly number[];
}

/** How each program ended: `done`, `dead` or the code of an error. */
export type Ends = readonly string[];

export interface Exploration {
  readonly stateCount: number;
  /** All ways in which programs ended together. */
  readonly ends: ReadonlySet<string>;
  /** Choices that led to an index without its chunk, each with the ends of the programs. */
  readonly losses: readonly string[];
  /** Choices after which nobody could go on. */
  readonly deadlocks: readonly string[];
}

type Choice = string;

/** Longer than any lease lasts without a sign of life. */
const LONG_MS = 3_600_000;

/** Who has tried so often waits for somebody who died after time has passed for the last time. */
const MOST_ATTEMPTS = 1;

interface Pending {
  readonly name: string;
  readonly perform: () => unknown;
  readonly answer: (result: unknown) => void;
  readonly fail: (error: unknown) => void;
  /** A sleep ends when something has changed since this version. */
  readonly since?: number;
}

class Actor {
  readonly number: number;
  pending: Pending | undefined;
  end: string | undefined;
  isHurried = false;
  /** Version of the storage that was listed last. */
  seen = 0;
  attempts = 0;
  lastPutMs = 0;
  hasClaim = false;
  isAsleep = false;
  sleepCount = 0;
  #history = '';

  constructor(number: number) {
    this.number = number;
  }

  /** Forgets what it has seen, where nothing depends on it any more but this. */
  begin(state: string): void {
    this.#history = state;
  }

  note(text: string): void {
    this.#history += ` ${text}`;
  }

  get state(): string {
    if (this.end !== undefined) return this.end;
    return `${this.#history} ${this.pending?.name} ${this.isHurried}`;
  }
}

/** One run of all programs, in the order that is chosen. */
class World {
  readonly shared: Shared = { chunks: new Set(['c']), indexes: new Map() };
  readonly #options: ModelOptions;
  readonly #actors: readonly Actor[];
  readonly #memory: ObjectBackend;
  #nowMs = 0;
  #version = 0;
  #deathsLeft: number;
  #jumpsLeft: number;
  hasLoss = false;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#deathsLeft = options.deathCount ?? 0;
    this.#jumpsLeft = options.jumpCount ?? 0;
    this.#memory = createMemoryBackend({ now: () => new Date(this.#nowMs) });
    this.#actors = options.programs.map((_, i) => new Actor(i));
    for (const [i, program] of options.programs.entries()) {
      const actor = this.#actors[i];
      program(this.#placeOf(actor)).then(
        () => {
          actor.end = 'done';
        },
        (error: Error & { code?: string }) => {
          actor.end ??= error.code ?? String(error.stack);
        },
      );
    }
  }

  choices(): readonly Choice[] {
    const choices: Choice[] = [];
    const alive = this.#actors.filter(({ end }) => end === undefined);
    for (const { number, pending } of alive) {
      if (pending !== undefined && pending.since !== this.#version) choices.push(`go ${number}`);
    }
    // Who waits for the storage to change looks again after a while all the same.
    if (choices.length === 0 && this.#jumpsLeft === 0 && this.#options.jumpCount !== undefined) {
      for (const { number, pending, hasClaim, attempts } of alive) {
        const isPatient = hasClaim || attempts > MOST_ATTEMPTS;
        if (pending !== undefined && !isPatient) choices.push(`go ${number}`);
      }
    }
    if (this.#deathsLeft > 0) for (const { number } of alive) choices.push(`die ${number}`);
    const mayJump = this.#options.ignoresHurry || alive.every(({ isHurried }) => !isHurried);
    if (this.#jumpsLeft > 0 && mayJump && alive.length > 0) choices.push('jump');
    return choices;
  }

  async take(choice: Choice): Promise<void> {
    const [verb, word] = choice.split(' ');
    const actor = this.#actors[Number(word)];
    if (verb === 'die') {
      this.#deathsLeft -= 1;
      this.#version += 1;
      actor.end = 'dead';
      actor.pending = undefined;
    } else if (verb === 'jump') {
      this.#jumpsLeft -= 1;
      this.#nowMs += LONG_MS;
      this.#version += 1;
    } else {
      const { pending } = actor;
      if (pending === undefined) throw new Error(`${choice}: nothing to do`);
      actor.pending = undefined;
      try {
        const result = await pending.perform();
        actor.note(`${pending.name} ${JSON.stringify(result)}`);
        pending.answer(result);
      } catch (error) {
        actor.note(`${pending.name} fails`);
        pending.fail(error);
      }
    }
    await settled();
    for (const chunk of this.shared.indexes.values()) {
      if (!this.shared.chunks.has(chunk)) this.hasLoss = true;
    }
  }

  get ends(): Ends {
    return this.#actors.map(({ end }) => end ?? 'stuck');
  }

  async state(): Promise<string> {
    const objects: string[] = [];
    for await (const { key, modified } of this.#memory.list('')) {
      objects.push(`${key} ${modified.getTime()}`);
    }
    return JSON.stringify([
      this.#actors.map((actor) => [actor.state, actor.pending?.since === this.#version]),
      objects.sort(),
      [...this.shared.chunks],
      [...this.shared.indexes],
      [this.#nowMs, this.#deathsLeft, this.#jumpsLeft, this.hasLoss],
    ]);
  }

  #gate<T>(actor: Actor, name: string, perform: () => T, since?: number): Promise<Awaited<T>> {
    return new Promise((answer, fail) => {
      actor.pending = {
        name,
        perform,
        answer: answer as (result: unknown) => void,
        fail,
        ...(since === undefined ? {} : { since }),
      };
    });
  }

  #placeOf(actor: Actor): Place {
    const { disturb = (backend: ObjectBackend) => backend } = this.#options;
    return {
      backend: disturb(this.#backendOf(actor)),
      options: this.#leaseOptionsOf(actor),
      step: (name, action) =>
        this.#gate(actor, name, () => {
          this.#version += 1;
          return action(this.shared);
        }),
      hurry: (isHurried) => {
        actor.isHurried = isHurried;
      },
    };
  }

  /** The memory backend with a gate before each call that means something. */
  #backendOf(actor: Actor): ObjectBackend {
    const memory = this.#memory;
    const gate = <T>(name: string, perform: () => T, since?: number) =>
      this.#gate(actor, name, perform, since);
    const changing = <T>(name: string, perform: () => Promise<T>) =>
      this.#gate(actor, name, () => {
        this.#version += 1;
        return perform();
      });
    const listed = async (prefix: string) => {
      actor.seen = this.#version;
      actor.isAsleep = false;
      const found = [];
      for await (const object of memory.list(prefix)) found.push(object);
      return found;
    };
    const looking = <T>(name: string, perform: () => Promise<T>): Promise<T> =>
      this.#options.isCoarse ? perform() : (this.#gate(actor, name, perform) as Promise<T>);
    return {
      label: 'model',
      can: memory.can,
      get: async (key) => Buffer.from(await looking(`get ${key}`, () => textOf(memory, key))),
      has: (keys) => looking(`has ${keys.join()}`, async () => memory.has(keys)),
      stat: (key) => looking(`stat ${key}`, () => memory.stat(key)),
      put: (key, bytes) =>
        changing(`put ${key}`, () => {
          actor.lastPutMs = this.#nowMs;
          actor.hasClaim = true;
          return memory.put(key, bytes);
        }),
      flush: async () => {},
      remove: (key) =>
        changing(`remove ${key}`, () => {
          if (key.includes(this.#idOf(actor))) actor.hasClaim = false;
          return memory.remove(key);
        }),
      async *list(prefix) {
        const since = actor.isAsleep ? actor.seen : undefined;
        yield* await gate('list', () => listed(prefix), since);
      },
      close: async () => {},
    };
  }

  #idOf({ number, attempts }: Actor): string {
    const rank = this.#options.ranks?.indexOf(number) ?? number;
    return (rank * 4096 + attempts).toString(16).padStart(16, '0');
  }

  #leaseOptionsOf(actor: Actor): LeaseOptions {
    const { seesProcesses = true } = this.#options;
    const holder: LeaseHolder = {
      host: 'model',
      processId: actor.number + 1,
      processStart: '0',
      machine: 'model',
      fileSystem: 'model',
    };
    const clock: LeaseClock = {
      now: () => this.#nowMs,
      // Whoever has slept lists next; there is nothing new to see before something changes.
      sleep: async () => {
        actor.isAsleep = true;
        const { attempts, lastPutMs, hasClaim } = actor;
        actor.sleepCount += hasClaim ? 0 : 1;
        actor.begin(`${attempts} ${lastPutMs} ${actor.sleepCount}`);
      },
      every: () => () => {},
    };
    return {
      holder,
      clock,
      isAlive: ({ processId }) =>
        seesProcesses ? this.#actors[processId - 1].end !== 'dead' : undefined,
      newId: () => {
        actor.attempts += 1;
        actor.sleepCount = 0;
        actor.begin(`${actor.attempts}`);
        return this.#idOf(actor);
      },
      waitMs: Number.POSITIVE_INFINITY,
    };
  }
}

async function textOf(memory: ObjectBackend, key: string): Promise<string> {
  return Buffer.from(await memory.get(key)).toString();
}

/** Resolves when all programs wait for their next step. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Waiting for somebody who is not known to be dead ends only when time passes. */
function mayBeStuck(ends: Ends, choices: readonly Choice[], options: ModelOptions): boolean {
  const isInTheDark = options.seesProcesses === false && ends.includes('dead');
  return choices.includes('jump') || isInTheDark;
}

/** More states than this mean that the model has no end. */
const MOST_STATES = 200_000;

/** Goes through all orders, or until the first loss if `stopsAtLoss`. */
export async function explore(options: ModelOptions): Promise<Exploration> {
  const seen = new Set<string>();
  const ends = new Set<string>();
  const losses: string[] = [];
  const deadlocks: string[] = [];
  const stack: (readonly Choice[])[] = [[]];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const world = new World(options);
    await settled();
    for (const choice of path) await world.take(choice);
    // What is found first is gone on with, without beginning anew.
    for (;;) {
      const text = await world.state();
      const state = createHash('sha1').update(text).digest('base64');
      if (seen.has(state)) break;
      seen.add(state);
      const choices = world.choices();
      if (choices.every((choice) => !choice.startsWith('go'))) {
        const end = world.ends.join(', ');
        if (!world.ends.includes('stuck')) ends.add(end);
        else if (!mayBeStuck(world.ends, choices, options)) deadlocks.push(`${path}: ${end}`);
        if (world.hasLoss) losses.push(`${path}: ${end}`);
      }
      if (choices.length === 0) break;
      for (const choice of choices.slice(1)) stack.push([...path, choice]);
      path = [...path, choices[0]];
      await world.take(choices[0]);
    }
    if (options.stopsAtLoss && losses.length > 0) break;
    if (seen.size > MOST_STATES) throw new Error('too many states');
  }
  return { stateCount: seen.size, ends, losses, deadlocks };
}
