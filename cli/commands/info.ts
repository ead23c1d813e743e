/** `info INPUT` (spec/command-line.md): sizes and chunks of an index, archive or store. */
import {
  type ArchiveInfo,
  type FeatureInfo,
  type IndexInfo,
  type InfoResult,
  info as infoOf,
  type StoreInfo,
} from '../../lib/api/info.node.ts';
import type { ChunkTotals } from '../../lib/maintain/index-survey.node.ts';
import type { Context } from '../context.ts';
import { jsonLine } from '../json-text.ts';
import { localPath, placeOf, refuse, STANDARD_STREAM } from '../kinds.ts';
import { sizeText } from '../size-text.ts';
import { storeOptions } from '../stores.ts';
import { synchronize } from '../synchronize.ts';
import { workOptions } from '../work.ts';

/** A label and what stands behind it. */
type Line = readonly [label: string, text: string];

const STDIN = 0;
const KINDS: Readonly<Record<InfoResult['kind'], string>> = {
  'archive-index': 'index of an archive',
  'blob-index': 'index of a blob',
  index: 'index',
  archive: 'archive',
  store: 'store',
};

/** For people, and exactly. */
function bytesText(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${sizeText(bytes)} (${bytes} bytes)`;
}

function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function featureText({ digest, features }: FeatureInfo): readonly Line[] {
  return [
    ['Digest', digest],
    ['Features', features.length === 0 ? 'none' : features.join(' ')],
  ];
}

function totalsText({ chunkCount, bytes, storedBytes, missingCount }: ChunkTotals): string {
  const stored = storedBytes === undefined ? '' : `, compressed ${bytesText(storedBytes)}`;
  const missing = missingCount ? `, ${countText(missingCount, 'chunk')} missing` : '';
  return `${countText(chunkCount, 'chunk')}, ${bytesText(bytes)}${stored}${missing}`;
}

function indexLines(index: IndexInfo): readonly Line[] {
  const { chunkSizes, totalBytes, chunkCount, distinct, update } = index;
  const { min, avg, max } = chunkSizes;
  const average = chunkCount === 0 ? 0 : Math.round(totalBytes / chunkCount);
  const ratio = distinct.bytes === 0 ? 1 : totalBytes / distinct.bytes;
  const { smallestChunk, largestChunk, stores } = index;
  return [
    ...featureText(index),
    ['Chunk sizes', `min ${min}, average ${avg}, max ${max}`],
    ['Size', bytesText(totalBytes)],
    ['Chunks', `${chunkCount}`],
    ['Effective sizes', `min ${smallestChunk}, average ${average}, max ${largestChunk}`],
    ['Stores', stores.length === 0 ? 'none at hand' : stores.join(' ')],
    ['Distinct', totalsText(distinct)],
    ['Deduplication', `${ratio.toFixed(2)} : 1`],
    ...(update ? [['Update', totalsText(update)] as const] : []),
  ];
}

function archiveLines(archive: ArchiveInfo): readonly Line[] {
  const { totalBytes, entryCounts, contentBytes } = archive;
  const counts = Object.entries(entryCounts).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...featureText(archive),
    ...(totalBytes === undefined ? [] : [['Size', bytesText(totalBytes)] as const]),
    ['Entries', counts.map(([type, count]) => `${type} ${count}`).join(', ')],
    ['Content', bytesText(contentBytes)],
  ];
}

function packText({ packCount, packBytes, chunkCount }: NonNullable<StoreInfo['packs']>): string {
  return `${packCount}, ${countText(chunkCount, 'chunk')}, ${bytesText(packBytes)}`;
}

function storeLines(store: StoreInfo): readonly Line[] {
  const { chunkCount, storedBytes, folderCount, compressions, sampledCount, packs } = store;
  const kinds = Object.entries(compressions).map(([name, count]) => `${name} ${count}`);
  const sample = sampledCount === chunkCount ? '' : ` (of ${sampledCount} looked at)`;
  return [
    ['Chunks', `${chunkCount}`],
    ['Size', bytesText(storedBytes)],
    ['Folders', `${folderCount}`],
    ['Compression', `${kinds.join(', ') || 'none'}${sample}`],
    ...(packs ? [['Packs', packText(packs)] as const] : []),
    ['Unfinished files', `${store.temporaryCount}`],
    ['Foreign files', `${store.foreignCount}`],
  ];
}

function linesOf(result: InfoResult): readonly Line[] {
  if (result.kind === 'store') return storeLines(result);
  return result.kind === 'archive' ? archiveLines(result) : indexLines(result);
}

/** Labels end in the same column. */
function textOf(lines: readonly Line[]): string {
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, text]) => `${label.padStart(width)}: ${text}\n`).join('');
}

export async function info(words: readonly string[], context: Context): Promise<void> {
  const { options } = context;
  const [word] = words;
  if (word === undefined) throw refuse('Archive, index or store expected.');
  const result = await synchronize(() =>
    infoOf({
      ...storeOptions(word, context),
      input: word === STANDARD_STREAM ? STDIN : placeOf(word),
      ...(options.what ? { kind: options.what } : {}),
      seeds: options.seeds.map((seed) => localPath(seed)),
      chunker: options.chunker,
      ...workOptions(context),
    }),
  );
  const text = textOf([['Kind', KINDS[result.kind]], ...linesOf(result)]);
  context.stdout.write(options.json ? jsonLine(result) : text);
}
