/**
 * Whether a source stays as it is while it is read (spec/images.md, "A source that changes"): of files
 * size and times, of block devices how much was written to them, their partitions and whatever lies on
 * top of them.
 */
import { fstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineError } from '../../errors.ts';
import { type FileStat, hasChanged, statDescriptor } from '../../os/file-stat.node.ts';

/** A source as it was when the work began. */
export interface SourceState {
  /** How it differs from that now; undefined if it does not. */
  difference(): string | undefined;
  /** What makes a change during the work likely, in words. */
  readonly warning?: string;
}

/** Two changes within this time may have the same date. */
const CLOCK_STEP_MS = 20;
const NANOSECONDS_PER_MS = 1_000_000n;
/** Of the fields of `stat`, those that count what was written: requests, sectors; discards likewise. */
const WRITE_FIELDS = [4, 6, 11, 13];
/** Partitions and holders of a device, and theirs. */
const MOST_DEVICES = 1000;

/** Remembers what an open file or block device is like now. @param descriptor stays open */
export async function rememberSource(descriptor: number): Promise<SourceState> {
  if (fstatSync(descriptor).isBlockDevice()) return rememberDevice(descriptor);
  return rememberFile(descriptor);
}

/** Something that is open, and its name in messages. */
interface NamedDescriptor {
  readonly label: string;
  /** Undefined for a stream: what was read of it is what it was. */
  readonly descriptor?: number | undefined;
}

/**
 * Remembers what a source is like now.
 * @param step in the error
 * @returns to be called when all has been read; throws PipelineError `SOURCE_CHANGED`
 */
export async function watchSource(
  { label, descriptor }: NamedDescriptor,
  step: string,
): Promise<() => void> {
  if (descriptor === undefined) return () => {};
  const state = await rememberSource(descriptor);
  return () => {
    const reason = state.difference();
    if (reason === undefined) return;
    throw new PipelineError('SOURCE_CHANGED', { subject: label, step, reason });
  };
}

async function rememberFile(descriptor: number): Promise<SourceState> {
  // What was changed right now may be changed again without another date.
  const age = BigInt(Date.now()) * NANOSECONDS_PER_MS - statDescriptor(descriptor).ctimeNs;
  const ageMs = Number(age / NANOSECONDS_PER_MS);
  if (Math.abs(ageMs) < CLOCK_STEP_MS) await sleep(2 * CLOCK_STEP_MS);
  const before = statDescriptor(descriptor);
  return { difference: () => fileDifference(before, statDescriptor(descriptor)) };
}

function fileDifference(before: FileStat, after: FileStat): string | undefined {
  if (!hasChanged(before, after)) return undefined;
  if (before.size === after.size) return 'it was modified while it was read';
  return `its size changed from ${before.size} to ${after.size} while it was read`;
}

function rememberDevice(descriptor: number): SourceState {
  const { rdevMajor, rdevMinor } = statDescriptor(descriptor);
  const root = `/sys/dev/block/${rdevMajor}:${rdevMinor}`;
  const before = writeCounts(root);
  const mounted = mountedForWriting(before);
  return {
    ...(mounted === undefined ? {} : { warning: `it is mounted at ${mounted} for writing` }),
    difference() {
      const after = writeCounts(root);
      const isSame = [...after].every(([name, count]) => before.get(name)?.counts === count.counts);
      return isSame ? undefined : 'it was written to while it was read';
    },
  };
}

interface WriteCount {
  /** MAJOR:MINOR. */
  readonly number: string;
  /** What was written to it so far, as text. */
  readonly counts: string;
}

/** What was written so far to a device, its partitions and what lies on top, by their places in sysfs. */
function writeCounts(root: string): Map<string, WriteCount> {
  const found = new Map<string, WriteCount>();
  const waiting = [root];
  while (waiting.length > 0 && found.size < MOST_DEVICES) {
    const path = resolved(waiting.pop() ?? '');
    if (path === undefined || found.has(path)) continue;
    const fields = text(`${path}/stat`).trim().split(/\s+/);
    const counts = WRITE_FIELDS.map((field) => fields[field] ?? '').join(' ');
    found.set(path, { number: text(`${path}/dev`).trim(), counts });
    const partitions = names(path).filter((name) => text(`${path}/${name}/partition`) !== '');
    const holders = names(`${path}/holders`).map((name) => `holders/${name}`);
    for (const below of [...partitions, ...holders]) waiting.push(`${path}/${below}`);
  }
  return found;
}

/** Where one of these devices is mounted so that it can be written to. */
function mountedForWriting(devices: ReadonlyMap<string, WriteCount>): string | undefined {
  const numbers = new Set([...devices.values()].map(({ number }) => number));
  for (const line of text('/proc/self/mountinfo').split('\n')) {
    const [, , number = '', , point = '', options = ''] = line.split(' ');
    if (numbers.has(number) && options.split(',').includes('rw')) return point;
  }
  return undefined;
}

/** What sysfs does not tell is empty. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function names(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function resolved(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
