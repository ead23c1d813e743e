/** `map` of the library: looking after the map of a destination (spec/api.md, "map"). */
import type { BlockDigestName } from '../../formats/block-digest.ts';
import type { BlockTable } from '../../formats/block-table.ts';
import { PipelineError } from '../errors.ts';
import { blockSizeFor } from '../images/block-size.ts';
import { bindMap } from '../images/destination/bind-map.node.ts';
import { checkMap, type MapDifference } from '../images/destination/check-map.node.ts';
import { openDestination } from '../images/destination/destination.node.ts';
import { mapPathOf } from '../images/destination/map-place.node.ts';
import { MapFiles } from '../images/destination/map-storage.node.ts';
import type { OpenedDestination } from '../images/destination/opened-destination.ts';
import { readBoundMap } from '../images/destination/read-bound-map.node.ts';
import { type ShownMap, showMap } from '../images/destination/show-map.node.ts';
import { createUpdater, unknownStart } from '../images/destination/update-image.node.ts';
import { progressOf } from '../progress.ts';
import { defaultThreadCount } from '../work/job-pool.node.ts';
import type { WorkOptions } from './work-options.ts';

export type MapAction = 'show' | 'check' | 'rebuild' | 'bind' | 'forget';

export interface MapOptions extends Pick<WorkOptions, 'signal' | 'onProgress' | 'threadCount'> {
  readonly action: MapAction;
  /** The destination: path of a file or block device. */
  readonly destination: string;
  /** `auto` (default) for the usual place, or the path of the map. */
  readonly map?: string;
  /** `rebuild`: bytes of a block; by default what the map has that is there, else what fits. */
  readonly blockSize?: number;
  /** `rebuild`: by default what the map has that is there, else sha256. */
  readonly digest?: BlockDigestName;
  /** `bind`: read the destination first, and refuse if it is something else. */
  readonly check?: boolean;
  /** `bind`, `rebuild`: a device that is mounted or held by somebody will do. */
  readonly forceDevice?: boolean;
  /** `check`: told of bytes that are not what the map says, in order. */
  readonly onDifference?: (difference: MapDifference) => void;
}

export interface MapResult {
  readonly action: MapAction;
  readonly mapPath: string;
  /** What there is afterwards; undefined if there is no map. */
  readonly map?: ShownMap;
  /** `check`: whether the destination is what the map says. */
  readonly isGood?: boolean;
  readonly differentBlocks?: number;
  /** Bytes of the destination that were read. */
  readonly readBytes: number;
}

/**
 * Shows, checks or replaces the map of a destination, and never writes to the destination itself.
 * @throws CasError `INDEX_MISSING` where there is no map, `UNSAFE_TARGET` if it is about something else,
 * `VERIFY_FAILED` if it is damaged or `bind` finds another content, `USAGE`, `ABORTED`
 */
export async function map(options: MapOptions): Promise<MapResult> {
  const { action, destination: path, forceDevice = false } = options;
  const writes = action === 'rebuild' || action === 'bind';
  const destination = openDestination(path, {
    size: undefined,
    sizePolicy: 'larger-ok',
    isDryRun: !writes,
    forceDevice,
  });
  const mapPath = mapPathOf(options.map ?? 'auto', destination);
  if (mapPath === undefined) {
    destination.close();
    throw new PipelineError('USAGE', { subject: path, reason: 'a map has a path' });
  }
  const work: MapWork = { files: new MapFiles(mapPath), destination, options };
  try {
    return await ACTIONS[action](work);
  } finally {
    work.files.close();
    destination.close();
  }
}

interface MapWork {
  readonly files: MapFiles;
  readonly destination: OpenedDestination;
  readonly options: MapOptions;
}

const ACTIONS: Readonly<Record<MapAction, (work: MapWork) => Promise<MapResult>>> = {
  show: async (work) => shown(work, { readBytes: 0 }),
  check,
  rebuild,
  bind,
  forget,
};

function shown(
  { files, destination, options }: MapWork,
  result: Omit<MapResult, 'action' | 'mapPath'>,
): MapResult {
  files.close();
  const found = showMap(files, destination);
  const { action } = options;
  if (found === undefined && action !== 'forget') throw missing(files.mapPath);
  return { action, mapPath: files.mapPath, ...result, ...(found && { map: found }) };
}

function missing(subject: string): PipelineError {
  return new PipelineError('INDEX_MISSING', { subject, step: 'open map', reason: 'there is none' });
}

async function check(work: MapWork): Promise<MapResult> {
  const found = readBoundMap(work.files);
  if (found === undefined) throw missing(work.files.mapPath);
  checkThere(work.destination);
  const result = await checked(work, found.table, found.digest);
  const { differentBlocks, unknownBlocks, readBytes } = result;
  return shown(work, { isGood: differentBlocks + unknownBlocks === 0, differentBlocks, readBytes });
}

function checkThere({ descriptor, label }: OpenedDestination): void {
  if (descriptor !== undefined) return;
  const reason = 'No such file or directory';
  throw new PipelineError('IO', { subject: label, step: 'open', reason });
}

function checked({ destination, options }: MapWork, table: BlockTable, digest: BlockDigestName) {
  const { signal, onProgress, threadCount = defaultThreadCount(), onDifference } = options;
  return checkMap(table, destination, {
    ...{ blockSize: table.blockSize, digest, threadCount, signal },
    onDifference: onDifference ?? (() => undefined),
    onRead: (bytes) => onProgress?.(progressOf('map', bytes, table.size)),
  });
}

async function rebuild(work: MapWork): Promise<MapResult> {
  const { files, destination, options } = work;
  checkThere(destination);
  const old = headerOf(files, destination);
  const { size } = destination;
  const blockSize = options.blockSize ?? old?.blockSize ?? blockSizeFor(size);
  const { signal, onProgress, threadCount = defaultThreadCount() } = options;
  const start = unknownStart(blockSize, size);
  const digestName = options.digest ?? old?.digest ?? 'sha256';
  const storage = new MapFiles(files.mapPath);
  const updater = createUpdater(
    { destination, files: storage, start, digestName },
    {
      ...{ threadCount, signal },
      onRead: (bytes) => onProgress?.(progressOf('map', bytes, size)),
    },
  );
  try {
    await updater.readDestination();
    await updater.finish(size);
  } finally {
    await updater.abandon();
  }
  const again = openDestination(options.destination, {
    ...{ size: undefined, sizePolicy: 'larger-ok', isDryRun: true },
  });
  try {
    return shown({ ...work, destination: again }, { readBytes: updater.readBytes });
  } finally {
    again.close();
  }
}

/** What the old map was like, if that can be told. */
function headerOf(files: MapFiles, destination: OpenedDestination): ShownMap | undefined {
  try {
    return showMap(files, destination);
  } catch (error) {
    if (error instanceof PipelineError) return undefined;
    throw error;
  }
}

async function bind(work: MapWork): Promise<MapResult> {
  const { files, destination, options } = work;
  checkThere(destination);
  const found = readBoundMap(files);
  if (found === undefined) throw missing(files.mapPath);
  let readBytes = 0;
  if (options.check) {
    const result = await checked(work, found.table, found.digest);
    if (result.differentBlocks > 0) throw different(destination.label, result.differentBlocks);
    readBytes = result.readBytes;
  }
  await bindMap(files, destination, found);
  return shown(work, { readBytes });
}

function different(subject: string, count: number): PipelineError {
  const reason = `${count} blocks are not what the map says`;
  return new PipelineError('VERIFY_FAILED', { subject, step: 'bind', reason });
}

async function forget(work: MapWork): Promise<MapResult> {
  const { files, options } = work;
  if (!files.remove()) throw missing(files.mapPath);
  return { action: options.action, mapPath: files.mapPath, readBytes: 0 };
}
