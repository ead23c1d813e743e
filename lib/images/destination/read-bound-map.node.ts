/** The digests that a map holds, whatever it is bound to: for who checks or binds it. */
import { bootId } from '../../os/boot.node.ts';
import type { MapFile } from './map-file.node.ts';
import type { MapFiles } from './map-storage.node.ts';
import { readMapState, recovered } from './open-map.node.ts';

export interface BoundMap extends MapFile {
  /** Whether an update was cut off: the map file alone does not say everything. */
  readonly hasJournal: boolean;
}

/**
 * The map file, with the journal of its state carried out if it has one.
 * @returns undefined if there is no map
 * @throws PipelineError `VERIFY_FAILED` if it is damaged
 */
export function readBoundMap(files: MapFiles): BoundMap | undefined {
  const state = readMapState(files, true);
  if (state === undefined) {
    const map = files.readMap();
    return map && { ...map, hasJournal: false };
  }
  const asked = { bootId: bootId(), onWarning: () => undefined };
  const { table, journal } = recovered(files, state, asked);
  const { digest } = state.header;
  return { table, digest, hasJournal: journal.number > 0 || state.header.isUnknown };
}
