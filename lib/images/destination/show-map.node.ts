/** What the map of a destination says, for people (spec/images.md, "`map`"). */
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import { BlockTable } from '../../../formats/block-table.ts';
import { hexOf } from '../../../formats/bytes.ts';
import type { MapBinding } from '../../../formats/map-state.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { bootId } from '../../os/boot.node.ts';
import { ZeroDigests } from '../zero-digests.ts';
import { bindingOf, fits } from './binding.node.ts';
import { SHA256 } from './map-header.node.ts';
import { recoverJournal } from './map-recovery.ts';
import type { MapFiles } from './map-storage.node.ts';
import { type MapState, readMapState, reasonToRead } from './open-map.node.ts';
import type { OpenedDestination } from './opened-destination.ts';

/**
 * `clean`: the destination need not be read. `interrupted`: an update was cut off, and what it was about
 * to write is read again. `stale`: the destination is read. `foreign`: refused.
 */
export type MapCondition = 'clean' | 'interrupted' | 'stale' | 'foreign';

export interface ShownMap {
  readonly mapPath: string;
  readonly condition: MapCondition;
  /** Why it is not clean. */
  readonly reason?: string;
  readonly digest: BlockDigestName;
  readonly blockSize: number;
  /** Bytes that the map describes. */
  readonly size: number;
  /** 64 hex digits; undefined while nothing but the journal knows. */
  readonly root?: string;
  /** What it belongs to. */
  readonly binding: string;
  /** Records of the journal, and blocks of which it is not known whether they were written. */
  readonly journalRecords: number;
  readonly openBlocks: number;
}

/** @returns undefined if there is no map @throws PipelineError if it is damaged */
export function showMap(files: MapFiles, destination: OpenedDestination): ShownMap | undefined {
  const state = readMapState(files, true);
  if (state === undefined) return undefined;
  const { header } = state;
  const journal = journalOf(state);
  const { finish } = journal;
  const place = placeOf(header.binding, destination);
  const condition = finish ?? header.condition;
  const isPending = journal.number > 0 && finish === undefined;
  const shown = {
    mapPath: files.mapPath,
    digest: header.digest,
    blockSize: header.blockSize,
    size: condition.imageSize,
    ...(header.isUnknown && finish === undefined ? {} : { root: hexOf(condition.root) }),
    binding: textOf(header.binding),
    journalRecords: journal.number,
    openBlocks: journal.openBlockCount,
  };
  if (place === 'missing') {
    return { ...shown, condition: 'foreign', reason: 'the destination is not there' };
  }
  if (place === 'other') {
    return { ...shown, condition: 'foreign', reason: 'it belongs to another destination' };
  }
  const looking = { header, place, journal, destination, check: false, bootId: bootId() };
  const reason = reasonToRead(looking);
  if (reason !== undefined) return { ...shown, condition: 'stale', reason };
  if (!isPending) return { ...shown, condition: 'clean' };
  return { ...shown, condition: 'interrupted', reason: 'an update was cut off' };
}

function placeOf(recorded: MapBinding, destination: OpenedDestination) {
  if (destination.descriptor === undefined) return 'missing';
  return fits(recorded, bindingOf(destination));
}

/** Which blocks the journal knows does not depend on the map file. */
function journalOf({ header, file }: MapState) {
  const table = new BlockTable(header.blockSize, header.condition.imageSize);
  const zeros = new ZeroDigests(createBlockDigest(header.digest), header.blockSize);
  const options = { offset: header.length, sha256: SHA256, zeros, bootId: bootId() };
  return recoverJournal(table, file, options);
}

function textOf({ kind, tag, inode, identity }: MapBinding): string {
  if (kind === 'device') return `device ${identity}`;
  const words = [`file ${identity}`, `inode ${inode}`];
  return tag === undefined ? words.join(', ') : [...words, `tag ${hexOf(tag)}`].join(', ');
}
