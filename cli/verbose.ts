/** The lines of `-v` (spec/command-line.md, "Verbose"). */
import type { ChunkSizes } from '../formats/chunk-sizes.ts';
import { escapeBytes } from '../formats/escape.ts';
import { digestOfFlags, FEATURE, featureNames } from '../formats/feature-flags.ts';
import type { EntryEvents, EntrySink } from '../lib/api/entries.ts';
import type { ExtractResult } from '../lib/api/extract.node.ts';
import type { MakeResult } from '../lib/api/make.node.ts';
import type { ChunkCount, CloneStatistics } from '../lib/statistics.ts';
import type { Context } from './context.ts';
import { durationText } from './duration-text.ts';
import { sizeText } from './size-text.ts';

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Of ASCII, and those behind it. */
const HAS_CONTROLS = /\p{Cc}/u;

/** The two words before the path of an entry, when it is begun and done. */
export interface EntryVerbs {
  readonly begin: string;
  readonly end: string;
}

function yesNo(flags: bigint, bit: bigint): string {
  return (flags & bit) === 0n ? 'no' : 'yes';
}

function featureList(flags: bigint): string {
  return featureNames(flags).join(' ') || 'none';
}

/** A part of a whole as a percentage that is cut to a whole number. */
function percent(part: number, whole: number): string {
  return `${whole === 0 ? 0 : Math.floor((100 * part) / whole)}%`;
}

/** The chunk sizes of the options; shown also where an index has its own. */
export function informOfChunkSizes(context: Context): void {
  const { min, avg, max }: ChunkSizes = context.options.chunkSizes;
  context.inform(`Selected chunk sizes: min=${min}..avg=${avg}..max=${max}`);
}

/** A path as it is, unless a terminal would take it for something else. */
function pathText(path: Uint8Array): string {
  if (path.length === 0) return './';
  try {
    const text = UTF8.decode(path);
    return HAS_CONTROLS.test(text) ? escapeBytes(path) : text;
  } catch {
    return escapeBytes(path);
  }
}

/** Tells of entries, where that is wanted: it makes the work slower. */
export function entryLines(context: Context, verbs: EntryVerbs): { readonly onEntry?: EntrySink } {
  if (!context.options.verbose) return {};
  return {
    onEntry: (path, stage) => context.inform(`${verbs[stage]} ${pathText(path)}`),
  };
}

/** The five lines on how a tree or blob is, or was, made. */
export function featureLines(context: Context): Required<Pick<EntryEvents, 'onFeatures'>> {
  return {
    onFeatures(flags) {
      const lines = [
        `Using feature flags: ${featureList(flags)}`,
        `Excluding files and directories with chattr(1) -d flag: ${yesNo(flags, FEATURE.excludeNodump)}`,
        `Excluding submounts: ${yesNo(flags, FEATURE.excludeSubmounts)}`,
        `Excluding files and directories listed in .caexclude: ${yesNo(flags, FEATURE.excludeFile)}`,
        `Digest algorithm: ${digestOfFlags(flags)}`,
      ];
      for (const line of lines) context.inform(line);
    },
  };
}

/** What `make` has done. */
export function informOfMade(context: Context, result: MakeResult): void {
  const { featureFlags, inapplicableFeatures, statistics } = result;
  const { archiveBytes, chunkCount, reusedChunkCount = 0, averageChunkBytes, cache } = statistics;
  const lines = [
    `Selected feature flags: ${featureList(featureFlags)}`,
    `Selected feature flags not actually applicable to backing file systems: ${featureList(inapplicableFeatures)}`,
    `Archive size: ${sizeText(archiveBytes)}`,
  ];
  if (chunkCount !== undefined) {
    lines.push(
      `Number of chunks: ${chunkCount}`,
      `Reused (non-cached) chunks: ${reusedChunkCount} (${percent(reusedChunkCount, chunkCount)})`,
    );
  }
  if (averageChunkBytes !== undefined) {
    lines.push(`Effective average chunk size: ${sizeText(averageChunkBytes)}`);
  }
  if (cache !== undefined) {
    const { hitCount, missCount, invalidatedCount, addedCount } = cache;
    lines.push(
      `Cache hits: ${hitCount}, misses: ${missCount}, invalidated: ${invalidatedCount}, added: ${addedCount}`,
    );
  }
  for (const line of lines) context.inform(line);
}

/** What `extract` has done. */
export function informOfExtracted(context: Context, { kind, statistics }: ExtractResult): void {
  const { localStore, localSeed, remoteStore, seedingMs, totalMs } = statistics;
  const lines = [
    `Zero bytes written as sparse files: ${sizeText(statistics.holeBytes)}`,
    `Bytes cloned through reflinks: ${sizeText(statistics.reflinkBytes)}`,
  ];
  if (context.options.hardlink) {
    lines.push(`Bytes cloned through hardlinks: ${sizeText(statistics.hardlinkBytes)}`);
  }
  const sources: readonly (readonly [name: string, count: ChunkCount])[] = [
    ['local store', localStore],
    ['local seed', localSeed],
    ['remote store', remoteStore],
  ];
  const chunkCount = sources.reduce((sum, [, count]) => sum + count.chunkCount, 0);
  const byteCount = sources.reduce((sum, [, count]) => sum + count.byteCount, 0);
  for (const [name, count] of sources) {
    const chunks = `${count.chunkCount} (${percent(count.chunkCount, chunkCount)})`;
    const bytes = `${sizeText(count.byteCount)} (${percent(count.byteCount, byteCount)})`;
    lines.push(
      `Chunk requests fulfilled from ${name}: ${chunks}`,
      `Bytes used from ${name}: ${bytes}`,
    );
  }
  lines.push(`Time spent seeding: ${durationText(seedingMs)} (${percent(seedingMs, totalMs)})`);
  if (kind === 'blob-index') {
    const decodingMs = totalMs - seedingMs;
    lines.push(
      `Time spent decoding: ${durationText(decodingMs)} (${percent(decodingMs, totalMs)})`,
    );
  }
  lines.push(`Total extract time: ${durationText(totalMs)}`);
  for (const line of lines) context.inform(line);
}

/** What `clone` has done. */
export function informOfCloned(context: Context, statistics: CloneStatistics): void {
  const { byteCount, keptBytes, holeBytes, reflinkBytes, totalMs } = statistics;
  const lines = [
    `Bytes in files: ${sizeText(byteCount)}`,
    `Bytes left as they were: ${sizeText(keptBytes)} (${percent(keptBytes, byteCount)})`,
    `Zero bytes written as sparse files: ${sizeText(holeBytes)}`,
    `Bytes cloned through reflinks: ${sizeText(reflinkBytes)}`,
    `Total clone time: ${durationText(totalMs)}`,
  ];
  for (const line of lines) context.inform(line);
}
