/**
 * Images of QEMU (qcow2, version 3): what is needed to write one whose clusters lie one behind the other.
 * Written by lib/images/bridges/qcow2-writer.node.ts. Implements spec/bridges.md, "qcow2".
 */
import { writeSizeBe, writeU16Be, writeU32Be } from './big-endian.ts';
import { LimitExceeded } from './errors.ts';

/** Bytes of a cluster: powers of two from here to there. */
export const QCOW2_SMALLEST_CLUSTER = 4096;
export const QCOW2_LARGEST_CLUSTER = 2 * 1024 * 1024;
/** Bytes of the name of a backing file, at most. */
const LONGEST_NAME = 1023;
/** Sizes of images are whole sectors. */
export const QCOW2_SECTOR = 512;

const MAGIC = 0x514649fb;
const VERSION = 3;
const HEADER_LENGTH = 104;
/** Reference counts of 2^4 bits. */
const REFCOUNT_ORDER = 4;
const REFCOUNT_LENGTH = 2;
const ENTRY_LENGTH = 8;
const MOST_L1_ENTRIES = (32 * 1024 * 1024) / ENTRY_LENGTH;
const BACKING_FORMAT = 0xe2792aca;
const RAW = Uint8Array.from('raw', (letter) => letter.charCodeAt(0));
/** In the high half of an entry: the cluster is referred to once. */
const COPIED = 0x8000_0000;
/** In the low half: reads as zeros, whatever the backing file has. */
const ZERO_CLUSTER = 1;

export interface Qcow2Layout {
  readonly clusterSize: number;
  /** Entries of a table of the second level: clusters that it describes. */
  readonly tableEntries: number;
  /** Entries of the table of the first level. */
  readonly l1Entries: number;
}

/** @param size bytes of the image @param clusterSize a power of two @throws LimitExceeded */
export function qcow2Layout(size: number, clusterSize: number): Qcow2Layout {
  const tableEntries = clusterSize / ENTRY_LENGTH;
  const l1Entries = Math.ceil(size / (clusterSize * tableEntries));
  if (l1Entries > MOST_L1_ENTRIES) {
    const reason = `too large for clusters of ${clusterSize} bytes; give a larger --block-size`;
    throw new LimitExceeded({ step: 'qcow2', reason });
  }
  return { clusterSize, tableEntries, l1Entries };
}

/** Refers to a cluster of the file. @param offset of it, a multiple of the cluster size */
export function writeQcow2Entry(table: Uint8Array, index: number, offset: number): void {
  writeSizeBe(table, index * ENTRY_LENGTH, offset);
  table[index * ENTRY_LENGTH] |= COPIED >>> 24;
}

/** Says that a cluster is zeros. */
export function writeQcow2Zeros(table: Uint8Array, index: number): void {
  writeSizeBe(table, index * ENTRY_LENGTH, ZERO_CLUSTER);
}

/** A table of the first level, in whole clusters. @param offsets of the tables below; 0 for none */
export function encodeQcow2L1(offsets: Float64Array, clusterSize: number): Uint8Array {
  const length = Math.ceil((offsets.length * ENTRY_LENGTH) / clusterSize);
  const table = new Uint8Array(length * clusterSize);
  offsets.forEach((offset, i) => {
    if (offset !== 0) writeQcow2Entry(table, i, offset);
  });
  return table;
}

export interface Qcow2Refcounts {
  /** Clusters of the file, those of the counts included. */
  readonly clusterCount: number;
  /** Clusters that hold counts, and those of the table of them, which lie behind. */
  readonly blockCount: number;
  readonly tableClusters: number;
}

/** How much room the counts take that follow on so many clusters, all of them in use. */
export function qcow2Refcounts(usedClusters: number, clusterSize: number): Qcow2Refcounts {
  let [blockCount, tableClusters] = [0, 0];
  for (;;) {
    const clusterCount = usedClusters + blockCount + tableClusters;
    const blocks = Math.ceil(clusterCount / (clusterSize / REFCOUNT_LENGTH));
    const table = Math.ceil((blocks * ENTRY_LENGTH) / clusterSize);
    if (blocks === blockCount && table === tableClusters) {
      return { clusterCount, blockCount, tableClusters };
    }
    [blockCount, tableClusters] = [blocks, table];
  }
}

/** A cluster of counts. @param used how many of the clusters that it is for are in use */
export function encodeQcow2Counts(used: number, clusterSize: number): Uint8Array {
  const block = new Uint8Array(clusterSize);
  const count = Math.min(used, clusterSize / REFCOUNT_LENGTH);
  for (let i = 0; i < count; i++) writeU16Be(block, i * REFCOUNT_LENGTH, 1);
  return block;
}

/** Clusters that a cluster of counts is for. */
export function qcow2CountsIn(clusterSize: number): number {
  return clusterSize / REFCOUNT_LENGTH;
}

/** @param first offset of the first cluster of counts; the others follow */
export function encodeQcow2CountTable(
  first: number,
  { blockCount, tableClusters }: Qcow2Refcounts,
  clusterSize: number,
): Uint8Array {
  const table = new Uint8Array(tableClusters * clusterSize);
  for (let i = 0; i < blockCount; i++) {
    writeSizeBe(table, i * ENTRY_LENGTH, first + i * clusterSize);
  }
  return table;
}

export interface Qcow2Header {
  /** Bytes of the image, whole sectors. */
  readonly size: number;
  readonly clusterSize: number;
  readonly l1Offset: number;
  readonly l1Entries: number;
  readonly countTableOffset: number;
  readonly countTableClusters: number;
  /** Name of the backing file, which is a raw image. */
  readonly backing?: Uint8Array;
}

/** The first cluster, as far as it is not zeros. @throws LimitExceeded */
export function encodeQcow2Header(header: Qcow2Header): Uint8Array {
  const { backing } = header;
  const formatLength = backing === undefined ? 0 : 16;
  const nameOffset = HEADER_LENGTH + formatLength + 8;
  const bytes = new Uint8Array(nameOffset + (backing?.length ?? 0));
  writeU32Be(bytes, 0, MAGIC);
  writeU32Be(bytes, 4, VERSION);
  writeU32Be(bytes, 20, Math.log2(header.clusterSize));
  writeSizeBe(bytes, 24, header.size);
  writeU32Be(bytes, 36, header.l1Entries);
  writeSizeBe(bytes, 40, header.l1Offset);
  writeSizeBe(bytes, 48, header.countTableOffset);
  writeU32Be(bytes, 56, header.countTableClusters);
  writeU32Be(bytes, 96, REFCOUNT_ORDER);
  writeU32Be(bytes, 100, HEADER_LENGTH);
  if (backing === undefined) return bytes;
  if (backing.length > LONGEST_NAME) {
    const reason = `the name of the backing file has more than ${LONGEST_NAME} bytes`;
    throw new LimitExceeded({ step: 'qcow2', reason });
  }
  writeSizeBe(bytes, 8, nameOffset);
  writeU32Be(bytes, 16, backing.length);
  writeU32Be(bytes, HEADER_LENGTH, BACKING_FORMAT);
  writeU32Be(bytes, HEADER_LENGTH + 4, RAW.length);
  bytes.set(RAW, HEADER_LENGTH + 8);
  bytes.set(backing, nameOffset);
  return bytes;
}

/** Whether these are the first bytes of an image of QEMU, of any version. */
export function isQcow2(head: Uint8Array): boolean {
  return head.length >= 4 && [0x51, 0x46, 0x49, 0xfb].every((byte, i) => head[i] === byte);
}
