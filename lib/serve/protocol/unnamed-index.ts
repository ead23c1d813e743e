/**
 * How clients store chunks that belong to no index: they push one under the name of a folder of chunks,
 * where no index can ever be (spec/remote.md, "ssh and helpers"). Used by `casync push`.
 */
import type { ByteSink } from '../../make/byte-sink.ts';

/** Whether the word for an index is that of the store, or of a folder of chunks in it. */
export function isUnnamedIndex(index: string, store: string | undefined): boolean {
  if (store === undefined) return false;
  const folder = store.replace(/(?<=.)\/+$/, '');
  if (!index.startsWith(folder)) return false;
  return /^(?:\/[0-9a-f]{4})?$/.test(index.slice(folder.length));
}

/** Keeps nothing. */
export const NO_SINK: ByteSink = {
  write: () => {},
  commit: async () => {},
  discard: async () => {},
};
