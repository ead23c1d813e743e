/**
 * Work with a server of any kind that is interrupted, and what must be true afterwards: `make` and
 * `extract` of one blob. Chunks are verified without any code of ours. Used by remote-sweep.ts.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { decodeIndex } from '../../formats/index-codec.ts';
import type { RemotePlace } from '../helpers/remote-places.ts';
import { runCasync, succeed } from '../helpers/run-casync.ts';
import { randomBytes } from '../property/blobs.ts';
import { randomFrom } from '../property/random.ts';

/** One piece of work in one place. */
export interface RemoteWork {
  /** Before every run that is to be interrupted. */
  readonly reset: () => Promise<void>;
  /** The command line, in the folder. */
  readonly args: readonly string[];
  /** Complaints about what an interrupted run has left. The server is there again. */
  readonly afterInterruption: () => Promise<readonly string[]>;
  /** Complaints about a complete run that came after that. */
  readonly afterSuccess: () => Promise<readonly string[]>;
}

const BLOB_SIZE = 10_000_000;
const AT_A_TIME = 16;
// gzip and SHA-256, so that chunks can be verified here.
const OPTIONS = ['--digest=sha256', '--compression=gzip'];

const random = randomFrom(31);
const BLOB = Buffer.concat([random.bytes(BLOB_SIZE / 2), randomBytes(random, BLOB_SIZE / 2)]);
const OTHER_BLOB = random.bytes(300_000);

/** Puts what all work needs into the folder. */
export async function prepareFolder(folder: string): Promise<void> {
  fs.writeFileSync(join(folder, 'blob'), BLOB);
  fs.writeFileSync(join(folder, 'other'), OTHER_BLOB);
  for (const [index, input] of [
    ['expected.caibx', 'blob'],
    ['other.caibx', 'other'],
  ]) {
    const args = [...OPTIONS, '--store=expected.castr', 'make', index, input];
    await succeed(runCasync(args, { cwd: folder }));
  }
}

export function makeWork(folder: string, place: RemotePlace, overOldIndex: boolean): RemoteWork {
  const expected = fs.readFileSync(join(folder, 'expected.caibx'));
  const other = fs.readFileSync(join(folder, 'other.caibx'));
  const [index, store] = ['work/x.caibx', 'work/s.castr'];
  const args = [
    ...OPTIONS,
    `--store=${place.locator(store)}`,
    'make',
    place.locator(index),
    'blob',
  ];
  let chunksBefore: ReadonlySet<string> = new Set();
  let requestCount = 0;
  return {
    reset: async () => {
      // A lease is removed by who has it.
      const names = (await place.names()).filter((name) => /^work\/(?!.*\/leases\/)/.test(name));
      await inTurns(names, (name) => place.remove(name));
      if (overOldIndex) await place.write(index, other);
      // Over HTTP and in buckets nobody need make folders first; elsewhere somebody must.
      await place.write('work/file', Buffer.of(1));
    },
    args,
    afterInterruption: async () => {
      const names = await place.names();
      const chunks = names.filter((name) => name.endsWith('.cacnk'));
      const complaints = await damagedChunks(chunks, place.read);
      chunksBefore = new Set(chunks);
      requestCount = place.requested('PUT')?.length ?? 0;
      if (!names.includes(index)) return overOldIndex ? [...complaints, 'lost'] : complaints;
      const found = Buffer.from(await place.read(index));
      if (overOldIndex && found.equals(other)) return complaints;
      return [...complaints, ...incomplete(found, expected, store, chunksBefore)];
    },
    afterSuccess: async () => {
      const chunks = (await place.names()).filter((name) => name.endsWith('.cacnk'));
      const found = Buffer.from(await place.read(index));
      const again = (place.requested('PUT') ?? [])
        .slice(requestCount)
        .filter((name) => chunksBefore.has(name));
      return [
        ...(await damagedChunks(chunks, place.read)),
        ...incomplete(found, expected, store, new Set(chunks)),
        ...(again.length === 0 ? [] : [`${again.length} chunks were uploaded that were there`]),
      ];
    },
  };
}

function incomplete(
  found: Buffer,
  expected: Buffer,
  store: string,
  chunks: ReadonlySet<string>,
): readonly string[] {
  if (!found.equals(expected)) return [`the index is another one, of ${found.length} bytes`];
  const index = decodeIndex(expected);
  const ids = Array.from({ length: index.count }, (_, i) => index.id(i));
  const missing = ids.filter((id) => !chunks.has(`${store}/${id.slice(0, 4)}/${id}.cacnk`));
  return missing.length === 0 ? [] : [`the index is there, but ${missing.length} chunks are not`];
}

/** The store must be there already, see {@link prepareExtract}. */
export function extractWork(folder: string, place: RemotePlace, overOldFile: boolean): RemoteWork {
  const [output, cache] = [join(folder, 'output'), join(folder, 'cache.castr')];
  const store = `--store=${place.locator('given/s.castr')}`;
  const index = place.locator('given/x.caibx');
  let cached: ReadonlySet<string> = new Set();
  let requestCount = 0;
  return {
    reset: async () => {
      for (const path of [output, cache]) fs.rmSync(path, { recursive: true, force: true });
      if (overOldFile) fs.writeFileSync(output, OTHER_BLOB);
    },
    args: [store, '--cache-store=cache.castr', 'extract', index, 'output'],
    afterInterruption: async () => {
      const chunks = chunksBelow(cache);
      cached = new Set(chunks);
      requestCount = place.requested('GET')?.length ?? 0;
      const complaints = await damagedChunks(chunks, async (name) =>
        fs.readFileSync(join(cache, name)),
      );
      const content = fs.existsSync(output) ? fs.readFileSync(output) : undefined;
      const old = overOldFile ? OTHER_BLOB : undefined;
      const isOld = old === undefined ? content === undefined : content?.equals(old) === true;
      if (isOld || content?.equals(BLOB) === true) return complaints;
      return [...complaints, `the output is something else, of ${content?.length} bytes`];
    },
    afterSuccess: async () => {
      const isRight = fs.readFileSync(output).equals(BLOB);
      const again = (place.requested('GET') ?? [])
        .slice(requestCount)
        .filter((name) => cached.has(name.replace(/^.*\.castr\//, '')));
      return [
        ...(isRight ? [] : ['the output is something else']),
        ...(again.length === 0 ? [] : [`${again.length} chunks were fetched that were there`]),
      ];
    },
  };
}

/** Puts into the place what {@link extractWork} extracts. */
export async function prepareExtract(folder: string, place: RemotePlace): Promise<void> {
  await place.write('given/x.caibx', fs.readFileSync(join(folder, 'expected.caibx')));
  await inTurns(chunksBelow(join(folder, 'expected.castr')), (name) =>
    place.write(`given/s.castr/${name}`, fs.readFileSync(join(folder, 'expected.castr', name))),
  );
}

function chunksBelow(store: string): readonly string[] {
  if (!fs.existsSync(store)) return [];
  const names = fs.readdirSync(store, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /^[0-9a-f]{4}\/[0-9a-f]{64}\.cacnk$/.test(name));
}

/** Complaints about chunks that can be seen but are not what their name says. */
async function damagedChunks(
  names: readonly string[],
  read: (name: string) => Promise<Uint8Array>,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  await inTurns(names, async (name) => {
    const id = hashOf(await read(name));
    if (!name.endsWith(`/${id}.cacnk`)) complaints.push(`${name} is damaged: ${id}`);
  });
  return complaints;
}

function hashOf(stored: Uint8Array): string {
  try {
    return createHash('sha256').update(gunzipSync(stored)).digest('hex');
  } catch (error) {
    return String(error);
  }
}

async function inTurns<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const turns = Array.from({ length: AT_A_TIME }, async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
  });
  await Promise.all(turns);
}
