/** What a map says after every possible end of an update (spec/formats/map.md, "Order"). */
import test, { type ExecutionContext } from 'ava';
import { isCasError } from '../../../../formats/errors.ts';
import type { FsyncPolicy } from '../../../../lib/images/destination/image-update.ts';
import { createRandom, type Random } from '../../../helpers/simulated-disk.ts';
import {
  BLOCK,
  digestsOf,
  type Ending,
  type MachineOptions,
  SimulatedMachine,
} from '../../../helpers/simulated-image.ts';

const BLOCKS = 24;
const BATCH = 4 * BLOCK;

/** Versions of an image that differ in some blocks. */
function imageOf(random: Random, size: number, base?: Uint8Array): Uint8Array {
  const image = new Uint8Array(size);
  image.set(base?.subarray(0, size) ?? []);
  for (let at = 0; at < size; at += BLOCK) {
    const kind = base === undefined || at >= base.length ? random(8) : random(20);
    if (kind === 7) image.fill(0, at, at + BLOCK);
    else if (kind < 7) for (let i = at; i < Math.min(at + BLOCK, size); i++) image[i] = random(256);
  }
  return image;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** No block is believed to be something that it is not. */
function checkKnown(t: ExecutionContext<unknown>, machine: SimulatedMachine, what: string): void {
  const start = machine.known(undefined);
  if (start === undefined) return;
  const { content } = machine.destination ?? { content: new Uint8Array(0) };
  const { table } = start;
  const digests = digestsOf(content.subarray(0, table.size));
  const wrong: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (!table.isUnknown(i) && !table.has(i, digests, i * 32)) wrong.push(i);
  }
  if (wrong.length > 0) t.fail(`${what}: wrong about blocks ${wrong.join(' ')}`);
}

async function updateOrStop(
  machine: SimulatedMachine,
  source: Uint8Array,
  options: MachineOptions,
): Promise<boolean> {
  try {
    await machine.update(source, { ...options, batch: BATCH });
    return true;
  } catch (error) {
    if (machine.isOff && isCasError(error)) return false;
    throw error;
  }
}

interface Scenario {
  readonly name: string;
  /** Blocks of the image before and after; undefined: there is no destination. */
  readonly before: number | undefined;
  readonly after: number;
  readonly fsync?: FsyncPolicy;
  readonly isStream?: boolean;
  /** Whether blocks are written while others are still to be read. */
  readonly isLazy?: boolean;
  /** Whether the destination has no map at first. */
  readonly isCold?: boolean;
}

const ODD = 0.37;
const SCENARIOS: readonly Scenario[] = [
  { name: 'the same size', before: BLOCKS, after: BLOCKS },
  { name: 'a new file', before: undefined, after: BLOCKS },
  { name: 'without a map before', before: BLOCKS, after: BLOCKS, isCold: true },
  { name: 'read while written', before: BLOCKS, after: BLOCKS + ODD, isCold: true, isLazy: true },
  { name: 'growing, odd sizes', before: BLOCKS - 9 - ODD, after: BLOCKS - ODD },
  { name: 'shrinking, odd sizes', before: BLOCKS - ODD, after: BLOCKS - 9 - ODD },
  { name: 'a stream that grows', before: BLOCKS - 5 - ODD, after: BLOCKS - ODD, isStream: true },
  { name: 'a stream that shrinks', before: BLOCKS, after: BLOCKS - 7 - ODD, isStream: true },
  { name: 'synced at the end', before: BLOCKS, after: BLOCKS, fsync: 'end' },
  { name: 'never synced', before: BLOCKS, after: BLOCKS - ODD, fsync: 'none' },
];

interface Sweep {
  readonly machine: SimulatedMachine;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly other: Uint8Array;
  readonly options: MachineOptions;
}

async function prepared(scenario: Scenario, seed: number): Promise<Sweep> {
  const random = createRandom(seed);
  const sizeOf = (blocks: number) => Math.floor(blocks * BLOCK);
  const before = imageOf(random, sizeOf(scenario.before ?? 0));
  const after = imageOf(random, sizeOf(scenario.after), before);
  const other = imageOf(random, sizeOf(BLOCKS + 2), after);
  const machine = new SimulatedMachine(random);
  if (scenario.before !== undefined) await machine.update(before);
  if (scenario.isCold) [machine.map, machine.state] = [undefined, undefined];
  const { fsync = 'batch', isStream = false, isLazy = false } = scenario;
  return { machine, before, after, other, options: { fsync, isStream, isLazy } };
}

/** Stops the update at one call, perhaps stops the next one too, and lets the last one end. */
async function endAt(
  t: ExecutionContext<unknown>,
  sweep: Sweep,
  { call, ending, seed }: { readonly call: number; readonly ending: Ending; readonly seed: number },
): Promise<boolean> {
  const random = createRandom(seed * 1009 + call);
  const machine = sweep.machine.fork(random);
  machine.allow(call);
  if (await updateOrStop(machine, sweep.after, sweep.options)) return false;
  const what = `${ending} at call ${call}, seed ${seed}`;
  machine.restart(ending);
  checkKnown(t, machine, what);
  // The source may have gone back, or on, before the next run.
  const next = [sweep.after, sweep.before, sweep.other][random(3)];
  machine.allow(1 + random(12));
  await updateOrStop(machine, next, sweep.options);
  const second: Ending = random(2) === 0 ? 'kill' : 'power cut';
  machine.restart(second);
  checkKnown(t, machine, `${what}, then ${second}`);
  const last = [sweep.after, sweep.before, next][random(3)];
  const run = await machine.update(last, { batch: BATCH });
  const { bytes } = machine.destination ?? { bytes: new Uint8Array(0) };
  if (!isEqual(bytes, last)) t.fail(`${what}, then ${second}: not what the source is`);
  checkKnown(t, machine, `${what}, at the end`);
  const start = machine.known(last.length);
  if (start?.kind !== 'good' || start.root === undefined) t.fail(`${what}: the map is not clean`);
  else if (!isEqual(start.root, run.result.root)) t.fail(`${what}: another root`);
  return true;
}

for (const scenario of SCENARIOS) {
  test(`wherever an update stops, the map is right and the next one completes it: ${scenario.name}`, async (t) => {
    let stops = 0;
    for (let seed = 1; seed <= 6; seed++) {
      const sweep = await prepared(scenario, seed);
      for (const ending of ['kill', 'power cut'] as const) {
        let call = 1;
        while (await endAt(t, sweep, { call, ending, seed })) call += 1;
        stops += call - 1;
      }
    }
    t.true(stops > 6 * 2 * 5, `${stops}`);
  });
}
