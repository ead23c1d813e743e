/** The index of blocks of one size that is at a path. Used by sync with a store, diff and export. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { attempt } from '../../../store/backends/durable-write.node.ts';
import { type BlockIndex, readBlockIndex } from '../block-index-file.node.ts';

/** @returns undefined for an index whose chunks are not of one size. @throws StorageError | FormatError */
export function blockIndexAt(path: string): BlockIndex | undefined {
  const descriptor = attempt(path, 'open', () => openSync(path, 'r'));
  try {
    return readBlockIndex({ descriptor, label: path, size: fstatSync(descriptor).size });
  } finally {
    closeSync(descriptor);
  }
}
