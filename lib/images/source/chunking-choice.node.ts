/**
 * How an image is cut: blocks of one size where content stays at its place, content-defined chunks
 * where it moves (spec/images.md, "Chunking"). Disk images and files of databases are written in place;
 * archives, text and the like are written anew.
 */
import { readFully } from '../../os/read.node.ts';
import type { OpenedImage } from './open-image.node.ts';

export type Chunking = 'fixed' | 'cdc';

export interface ChosenChunking {
  readonly chunking: Chunking;
  /** Why, in words. */
  readonly reason: string;
}

interface Signature {
  readonly offset: number;
  readonly text: string;
  readonly name: string;
}

/** What begins like this is written in place. The first that fits counts. */
const IN_PLACE: readonly Signature[] = [
  { offset: 512, text: 'EFI PART', name: 'a GPT disk image' },
  { offset: 1080, text: '\x53\xef', name: 'an ext file system' },
  { offset: 0, text: 'XFSB', name: 'an XFS file system' },
  { offset: 0x10040, text: '_BHRfS_M', name: 'a btrfs file system' },
  { offset: 1024, text: '\x10\x20\xf5\xf2', name: 'an F2FS file system' },
  { offset: 3, text: 'NTFS    ', name: 'an NTFS file system' },
  { offset: 0, text: 'LUKS\xba\xbe', name: 'an encrypted disk image' },
  { offset: 512, text: 'LABELONE', name: 'an LVM volume' },
  { offset: 4086, text: 'SWAPSPACE2', name: 'swap space' },
  { offset: 0, text: 'QFI\xfb', name: 'a qcow2 image' },
  { offset: 0, text: 'KDMV', name: 'a VMDK image' },
  { offset: 0, text: 'vhdxfile', name: 'a VHDX image' },
  { offset: 0x40, text: '\x7f\x10\xda\xbe', name: 'a VDI image' },
  { offset: 0, text: 'SQLite format 3\0', name: 'an SQLite database' },
];

/** What begins like this is written anew, whatever its size. */
const ANEW: readonly Signature[] = [
  { offset: 257, text: 'ustar', name: 'a tar archive' },
  { offset: 0, text: '\x1f\x8b', name: 'gzip data' },
  { offset: 0, text: '\x28\xb5\x2f\xfd', name: 'zstd data' },
  { offset: 0, text: '\xfd7zXZ\0', name: 'xz data' },
  { offset: 0, text: 'PK\x03\x04', name: 'a zip archive' },
  { offset: 0, text: '7z\xbc\xaf\x27\x1c', name: 'a 7z archive' },
  { offset: 0, text: 'hsqs', name: 'a squashfs image' },
  { offset: 32769, text: 'CD001', name: 'an ISO 9660 image' },
];

/** Only these: the mark itself is in many other files. */
const BOOT_SECTOR: Signature = { offset: 510, text: '\x55\xaa', name: 'a disk image' };
const HEAD_LENGTH = 0x10048;
const MIB = 1024 * 1024;
/** A file that has whole MiB, and at least so many, is an image in all likelihood. */
const LARGE = 4 * MIB;

/** Looks at the begin of a file or device; of a stream nothing is known. @throws PipelineError */
export function chooseChunking({ kind, size = 0, descriptor }: OpenedImage): ChosenChunking {
  if (kind === 'device') return { chunking: 'fixed', reason: 'a block device' };
  if (descriptor === undefined) return { chunking: 'cdc', reason: 'a stream' };
  const head = new Uint8Array(Math.min(size, HEAD_LENGTH));
  const length = readFully(descriptor, head, 0);
  return chooseByHead(head.subarray(0, length), size);
}

/** @param head the first bytes of a file, 64 KiB and some. @param size bytes of the file */
function chooseByHead(head: Uint8Array, size: number): ChosenChunking {
  const anew = ANEW.find((signature) => matches(head, signature));
  if (anew !== undefined) return { chunking: 'cdc', reason: anew.name };
  const inPlace = IN_PLACE.find((signature) => matches(head, signature));
  if (inPlace !== undefined) return { chunking: 'fixed', reason: inPlace.name };
  const isSectors = size % 512 === 0;
  if (isSectors && matches(head, BOOT_SECTOR)) {
    return { chunking: 'fixed', reason: BOOT_SECTOR.name };
  }
  if (size >= LARGE && size % MIB === 0) {
    return { chunking: 'fixed', reason: 'a large file of whole MiB' };
  }
  return { chunking: 'cdc', reason: 'an ordinary file' };
}

function matches(head: Uint8Array, { offset, text }: Signature): boolean {
  if (head.length < offset + text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (head[offset + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
