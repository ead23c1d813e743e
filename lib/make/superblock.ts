/**
 * How much of a block device its file system claims, so that an image of a device does not carry
 * the unused rest (spec/formats/chunker.md, "Sources").
 */
import { readSize, readU32 } from '../../formats/bytes.ts';

/** Bytes of the device that must be looked at; shorter devices are not examined. */
export const SUPERBLOCK_HEAD_LENGTH = 1082;

const SQUASHFS_MAGIC = 0x73717368;
const EXT_MAGIC = 0xef53;
const FAT_SIGNATURE = 0xaa55;
const ANDROID_MAGIC = 'ANDROID!';
const ANDROID_HEADER_LENGTH = 608;
/** Offsets of the sizes of kernel, initial ramdisk, second stage and device tree. */
const ANDROID_PART_OFFSETS = [8, 16, 24, 40];

function readU16(bytes: Uint8Array, offset: number): number {
  return bytes[offset] | (bytes[offset + 1] << 8);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

function squashfsSize(head: Uint8Array): number | undefined {
  return readU32(head, 0) === SQUASHFS_MAGIC ? roundUp(readSize(head, 40), 4096) : undefined;
}

function androidSize(head: Uint8Array): number | undefined {
  if (String.fromCharCode(...head.subarray(0, 8)) !== ANDROID_MAGIC) return undefined;
  const pageSize = readU32(head, 36);
  if (!isPowerOfTwo(pageSize)) return undefined;
  const parts = ANDROID_PART_OFFSETS.map((offset) => readU32(head, offset));
  return [ANDROID_HEADER_LENGTH, ...parts].reduce((sum, part) => sum + roundUp(part, pageSize), 0);
}

function fatSize(head: Uint8Array): number | undefined {
  if (readU16(head, 510) !== FAT_SIGNATURE) return undefined;
  const sectorSize = readU16(head, 11);
  const sectors = readU16(head, 19) || readU32(head, 32);
  return isPowerOfTwo(sectorSize) && sectors > 0 ? sectors * sectorSize : undefined;
}

function extSize(head: Uint8Array): number | undefined {
  if (readU16(head, 1080) !== EXT_MAGIC) return undefined;
  const blockSizeExponent = 10 + readU32(head, 1048);
  return blockSizeExponent <= 16 ? readU32(head, 1028) * 2 ** blockSizeExponent : undefined;
}

/**
 * Size in bytes that a recognised superblock claims, undefined if none is recognised.
 * @param head the first {@link SUPERBLOCK_HEAD_LENGTH} bytes of the device
 */
export function superblockSize(head: Uint8Array): number | undefined {
  return squashfsSize(head) ?? androidSize(head) ?? fatSize(head) ?? extSize(head);
}
