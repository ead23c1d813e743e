/** Whether the index of a pack is what it was when it was written. Used by gc and the check of stores. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { equalBytes, hexOf } from '../../formats/bytes.ts';
import { FormatError } from '../../formats/errors.ts';
import { checkPackIndex, PACK_HEADER_LENGTH } from '../../formats/pack.ts';
import type { OpenedPack } from '../../store/pack-folder.node.ts';

/** @throws FormatError | StorageError */
export function checkPack(pack: OpenedPack): void {
  const { layout } = pack.reader;
  const { indexOffset, indexLength, checksum } = layout;
  const hash = createHash('sha256').update(pack.bytes(0, PACK_HEADER_LENGTH));
  const index = pack.bytes(indexOffset, indexLength);
  const isSame = equalBytes(new Uint8Array(hash.update(index).digest()), checksum);
  const isNamed = basename(pack.path) === `${hexOf(checksum)}.capack`;
  if (!isSame || !isNamed) {
    throw new FormatError('pack', 'INDEX', indexOffset, 'the checksum differs');
  }
  checkPackIndex(index, layout);
}
