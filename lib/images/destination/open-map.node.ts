/**
 * What the map of a destination is worth: it is recognised, its journal carried out, and compared with
 * the traces of the destination (spec/images.md, "When a map is believed").
 */
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import { BlockTable } from '../../../formats/block-table.ts';
import { equalBytes } from '../../../formats/bytes.ts';
import { isCasError } from '../../../formats/errors.ts';
import { rootOfTable } from '../../../formats/image-root.ts';
import type { JournalBytes } from '../../../formats/map-journal.ts';
import {
  type DecodedMapHeader,
  LONGEST_MAP_HEADER,
  type MapBinding,
  type MapCondition,
  type MapHeader,
} from '../../../formats/map-state.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { PipelineError } from '../../errors.ts';
import { ZeroDigests } from '../zero-digests.ts';
import { fits } from './binding.node.ts';
import type { MapFile } from './map-file.node.ts';
import { decodeHeader, SHA256 } from './map-header.node.ts';
import { type RecoveredJournal, recoverJournal } from './map-recovery.ts';
import type { MapStart } from './map-writer.ts';
import type { OpenedDestination } from './opened-destination.ts';
import { isComplete } from './unknown-runs.ts';

const WAYS_OUT = 'see casync map bind, rebuild or forget, or take --map=none';

/** What a map is refused with. */
export function refusal(subject: string, reason: string): PipelineError {
  const text = `${reason}; ${WAYS_OUT}`;
  return new PipelineError('UNSAFE_TARGET', { subject, step: 'open map', reason: text });
}

/** The files of a map, for reading. */
export interface MapReader {
  readonly mapPath: string;
  readonly statePath: string;
  /** @returns undefined if there is none */
  openState(options: { readonly isReadOnly: boolean }): JournalBytes | undefined;
  hasMap(): boolean;
  /** @returns undefined if there is none */
  readMap(): MapFile | undefined;
}

export interface MapState {
  readonly header: DecodedMapHeader;
  readonly file: JournalBytes;
}

/** @returns undefined if there is no state @throws PipelineError if it is damaged */
export function readMapState(files: MapReader, isReadOnly: boolean): MapState | undefined {
  const file = files.openState({ isReadOnly });
  if (file === undefined) return undefined;
  try {
    const bytes = file.read(0, Math.min(file.length, LONGEST_MAP_HEADER));
    return { header: decodeHeader(bytes), file };
  } catch (error) {
    throw damaged(files.statePath, error);
  }
}

function damaged(subject: string, error: unknown): unknown {
  if (!isCasError(error) || error.code !== 'FORMAT') return error;
  const reason = `damaged: ${error.reason}; ${WAYS_OUT}`;
  return new PipelineError('VERIFY_FAILED', { subject, step: 'read map', reason, cause: error });
}

export interface OpenMapOptions {
  readonly blockSize: number | undefined;
  readonly digest: BlockDigestName | undefined;
  readonly check: boolean;
  readonly isReadOnly: boolean;
  /** What the destination says it is. */
  readonly binding: MapBinding;
  /** Of the machine's run. */
  readonly bootId: bigint | undefined;
  readonly onWarning: (text: string) => void;
}

/** What a map says, and why it may not be believed. */
export interface OpenedMap {
  readonly header: MapHeader;
  readonly start: MapStart;
  readonly journal: RecoveredJournal;
}

/**
 * @returns undefined if there is no map
 * @throws PipelineError `UNSAFE_TARGET` if it belongs to something else, `VERIFY_FAILED` if damaged
 */
export function openMap(
  files: MapReader,
  destination: OpenedDestination,
  options: OpenMapOptions,
): OpenedMap | undefined {
  const state = readMapState(files, options.isReadOnly);
  if (state === undefined) {
    if (!files.hasMap()) return undefined;
    throw refusal(files.mapPath, 'this index is not known to be a map of the destination');
  }
  const { header } = state;
  checkAsked(files.mapPath, header, options);
  const place = placeOf(files.mapPath, { header, destination, binding: options.binding });
  const { table, journal, root } = recovered(files, state, options);
  const start = { table, root, journalEnd: journal.end, recordNumber: journal.number };
  const reason = reasonToRead({ header, place, journal, destination, bootId: options.bootId });
  if (reason === undefined && !options.check) {
    const { destinationSize } = destination.traces();
    // A file that was grown or cut before the run ended.
    if (table.size > destinationSize) table.resize(destinationSize);
    return { header, journal, start: { ...start, kind: kindOf(journal, root) } };
  }
  if (reason !== undefined) options.onWarning(`${destination.label}: ${reason}; reading it`);
  const { imageSize = Number.POSITIVE_INFINITY } = destination;
  const size = Math.min(destination.traces().destinationSize, imageSize);
  // Its memory is used again: there need not be two of them.
  table.forget({ first: 0, count: table.count });
  table.resize(size);
  return { header, journal, start: { ...start, root: undefined, kind: 'void' } };
}

function kindOf(journal: RecoveredJournal, root: Uint8Array | undefined): MapStart['kind'] {
  if (journal.finish !== undefined || journal.isLost) return 'void';
  if (journal.number > 0) return 'cut off';
  return root === undefined ? 'void' : 'good';
}

/** @throws PipelineError `UNSAFE_TARGET` */
function checkAsked(subject: string, header: MapHeader, asked: OpenMapOptions): void {
  if (asked.digest !== undefined && asked.digest !== header.digest) {
    throw refusal(subject, `the map has ${header.digest}, not ${asked.digest}`);
  }
  if (asked.blockSize !== undefined && asked.blockSize !== header.blockSize) {
    const sizes = `${header.blockSize} bytes, not ${asked.blockSize}`;
    throw refusal(subject, `the map has blocks of ${sizes}`);
  }
}

interface Place {
  readonly header: MapHeader;
  readonly destination: OpenedDestination;
  readonly binding: MapBinding;
}

/** @throws PipelineError `UNSAFE_TARGET` */
function placeOf(subject: string, { header, destination, binding }: Place): 'same' | 'moved' {
  if (destination.descriptor === undefined) {
    throw refusal(subject, `the destination ${destination.label} is not there, but its map is`);
  }
  const place = fits(header.binding, binding);
  if (place !== 'other') return place;
  throw refusal(subject, `the map belongs to another destination than ${destination.label}`);
}

export interface ReasonsToRead {
  readonly header: MapHeader;
  readonly place: 'same' | 'moved';
  readonly journal: RecoveredJournal;
  readonly destination: OpenedDestination;
  readonly bootId: bigint | undefined;
}

/** Why the destination must be read although it has a map; undefined if the map is believed. */
export function reasonToRead(reasons: ReasonsToRead): string | undefined {
  const { header, place, journal, destination, bootId } = reasons;
  if (place === 'moved') return 'copied or moved since its map was made';
  if (destination.kind === 'device' && header.condition.destinationSize !== destination.size) {
    return 'its size has changed since its map was made';
  }
  // While it is being written everything changes, and only the journal says what was done.
  if (journal.number > 0 && journal.finish === undefined) return undefined;
  if (header.isUnsynced && !isThisBoot(header.condition, bootId)) {
    return 'its last update was not waited for, and the machine was restarted';
  }
  if (hasTraces(journal.finish ?? header.condition, destination, bootId)) {
    return 'changed since its map was made';
  }
  return undefined;
}

function isThisBoot(recorded: MapCondition, bootId: bigint | undefined): boolean {
  return recorded.bootId !== 0n && recorded.bootId === bootId;
}

/** Whether somebody else has written. */
function hasTraces(
  condition: MapCondition,
  destination: OpenedDestination,
  bootId: bigint | undefined,
): boolean {
  const { destinationSize, mtimeNs, writeCount } = destination.traces();
  if (condition.destinationSize !== destinationSize || condition.mtimeNs !== mtimeNs) return true;
  const isCounted = isThisBoot(condition, bootId) && condition.writeCount !== undefined;
  return isCounted && condition.writeCount !== writeCount;
}

interface Recovered {
  readonly table: BlockTable;
  readonly journal: RecoveredJournal;
  /** Of the table, if nothing in it is unknown. */
  readonly root: Uint8Array | undefined;
}

/** What map file and journal amount to. */
export function recovered(
  files: MapReader,
  state: MapState,
  asked: Pick<OpenMapOptions, 'bootId' | 'onWarning'>,
): Recovered {
  const { header, file } = state;
  const digest = createBlockDigest(header.digest);
  const zeros = new ZeroDigests(digest, header.blockSize);
  const options = { offset: header.length, sha256: SHA256, zeros, bootId: asked.bootId };
  const isLost = header.isUnsynced && !isThisBoot(header.condition, asked.bootId);
  const isUnknown = header.isUnknown || isLost;
  try {
    const map = mapOf(files, header, isLost);
    if (map === undefined && !isUnknown) {
      asked.onWarning(`${files.mapPath}: the map file is gone; reading the destination`);
    }
    const isBase = !isUnknown && sameRoot(map?.root, header.condition.root);
    const unknown = () => new BlockTable(header.blockSize, header.condition.imageSize);
    const table = isBase && map !== undefined ? map.table : unknown();
    const journal = recoverJournal(table, file, options);
    const root = isComplete(table) ? rootOfTable(digest, table) : undefined;
    const wanted = journal.finish?.root;
    if (!isBase && map !== undefined && sameRoot(map.root, wanted)) return { ...map, journal };
    // What a run has read again before it ended is not in its journal, and must be read once more.
    const isWrong = isBase
      ? wanted !== undefined && root !== undefined && !sameRoot(root, wanted)
      : !isUnknown && !journal.isLost && map !== undefined;
    if (isWrong) throw refusal(files.mapPath, 'map and state do not belong together');
    return { table, journal, root };
  } catch (error) {
    throw damaged(files.statePath, error);
  }
}

/** The map file, if there is one and it can be the one that the state speaks of. */
function mapOf(files: MapReader, header: MapHeader, isLost: boolean) {
  if (isLost) return undefined;
  const map = files.readMap();
  if (map === undefined) return undefined;
  const isRight = map.digest === header.digest && map.table.blockSize === header.blockSize;
  if (!isRight) {
    if (header.isUnknown) return undefined;
    throw refusal(files.mapPath, 'map and state do not belong together');
  }
  const { table } = map;
  const root = isComplete(table) ? rootOfTable(createBlockDigest(map.digest), table) : undefined;
  return { table, root };
}

function sameRoot(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && equalBytes(a, b);
}
