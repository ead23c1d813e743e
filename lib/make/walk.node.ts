/**
 * A folder as archive events, in archive order and stable against concurrent change: directories are
 * held open and entered by descriptor, so renames during the walk lead nowhere else. What is left out
 * and what is recorded: spec/formats/catar.md. Used by everything that reads a folder as a tree.
 */
import type { CatarEvent } from '../../formats/catar-events.ts';
import { FolderReader, type WalkOptions } from './folder-reader.node.ts';

/**
 * Walks the folder `root`. The events are made on demand; stopping early closes everything.
 * @param root path, or descriptor of an open directory, which stays open.
 * @throws PipelineError with the path of the entry that cannot be read or recorded; `SOURCE_CHANGED`
 * if a file became shorter while it was read, so that no true archive can be written
 */
export function* walkTree(root: number | Uint8Array, options: WalkOptions): Generator<CatarEvent> {
  const reader = new FolderReader(options);
  try {
    const folder = reader.openRoot(root);
    yield folder.event;
    yield* reader.walk(folder);
  } finally {
    reader.close();
  }
}
