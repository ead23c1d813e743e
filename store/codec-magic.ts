/** How stored chunks are told apart (spec/formats/castr.md, "Reading a chunk"). */
import type { CodecName } from './transforms.ts';

const MAGICS: readonly (readonly [CodecName, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** The algorithm that the first bytes of a stored chunk say, if any. */
export function detectCodec(stored: Uint8Array): CodecName | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => stored[i] === byte))?.[0];
}
