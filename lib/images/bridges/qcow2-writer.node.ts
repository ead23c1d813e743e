/**
 * Writes an image as a file of QEMU (spec/bridges.md, "qcow2"): all of it, or only the clusters that
 * differ from a backing file. Clusters are written in order; nothing but the tables that lead to them,
 * one for 512 MiB and one for all, is kept in memory.
 */

import { about } from '../../../formats/errors.ts';
import {
  encodeQcow2Counts,
  encodeQcow2CountTable,
  encodeQcow2Header,
  encodeQcow2L1,
  QCOW2_SECTOR,
  type Qcow2Layout,
  qcow2CountsIn,
  qcow2Layout,
  qcow2Refcounts,
  writeQcow2Entry,
  writeQcow2Zeros,
} from '../../../formats/qcow2.ts';
import { type DurableFile, openDurableFile } from '../../../store/backends/durable-write.node.ts';
import { writeFully } from '../../os/write.node.ts';

const OUTPUT_MODE = 0o666;

export interface Qcow2WriterOptions {
  /** Bytes of the image. */
  readonly size: number;
  readonly clusterSize: number;
  /** Name of the backing file as it is to stand in the image. */
  readonly backing?: Uint8Array;
  /** Permission bits of the source: nobody else may read the copy either. */
  readonly mode?: number;
}

export class Qcow2Writer {
  readonly #path: string;
  readonly #options: Qcow2WriterOptions;
  readonly #layout: Qcow2Layout;
  readonly #file: DurableFile;
  /** Offsets of the tables of the second level. */
  readonly #l1: Float64Array;
  /** The one that is being filled. */
  readonly #l2: Uint8Array;
  #l2Index = -1;
  /** Cluster 0 is the header. */
  #clusterCount = 1;

  constructor(path: string, options: Qcow2WriterOptions) {
    const { size, clusterSize, mode = OUTPUT_MODE } = options;
    this.#path = path;
    this.#options = options;
    this.#layout = qcow2Layout(size, clusterSize);
    this.#l1 = new Float64Array(this.#layout.l1Entries);
    this.#l2 = new Uint8Array(clusterSize);
    this.#file = openDurableFile(path, { mode: OUTPUT_MODE & mode });
  }

  /** Bytes of the file so far. */
  get writtenBytes(): number {
    return this.#clusterCount * this.#layout.clusterSize;
  }

  /**
   * In ascending order.
   * @param cluster its number in the image @param bytes fewer than a cluster at the end of the image
   */
  async put(cluster: number, bytes: Uint8Array): Promise<void> {
    await this.#openTable(cluster);
    const offset = await this.#append(bytes);
    writeQcow2Entry(this.#l2, cluster % this.#layout.tableEntries, offset);
  }

  /** A cluster of zeros in front of a backing file that has something there. */
  async putZeros(cluster: number): Promise<void> {
    await this.#openTable(cluster);
    writeQcow2Zeros(this.#l2, cluster % this.#layout.tableEntries);
  }

  /** All clusters have come. The file appears. @returns its length in bytes */
  async finish(): Promise<number> {
    const { clusterSize, l1Entries } = this.#layout;
    const { size, backing } = this.#options;
    await this.#closeTable();
    const l1 = encodeQcow2L1(this.#l1, clusterSize);
    const l1Offset = l1.length === 0 ? 0 : await this.#append(l1);
    const counts = qcow2Refcounts(this.#clusterCount, clusterSize);
    const countsOffset = this.#clusterCount * clusterSize;
    for (let i = 0; i < counts.blockCount; i++) {
      const used = counts.clusterCount - i * qcow2CountsIn(clusterSize);
      await this.#append(encodeQcow2Counts(used, clusterSize));
    }
    const countTable = encodeQcow2CountTable(countsOffset, counts, clusterSize);
    const countTableOffset = await this.#append(countTable);
    const header = encodeQcow2Header({
      size: Math.ceil(size / QCOW2_SECTOR) * QCOW2_SECTOR,
      clusterSize,
      l1Offset,
      l1Entries,
      countTableOffset,
      countTableClusters: counts.tableClusters,
      ...(backing ? { backing } : {}),
    });
    await this.#write(header, 0);
    await this.#file.commit({ sync: true });
    return this.writtenBytes;
  }

  discard(): void {
    this.#file.discard();
  }

  async #openTable(cluster: number): Promise<void> {
    const index = Math.floor(cluster / this.#layout.tableEntries);
    if (index === this.#l2Index) return;
    await this.#closeTable();
    this.#l2Index = index;
  }

  async #closeTable(): Promise<void> {
    if (this.#l2Index < 0) return;
    this.#l1[this.#l2Index] = await this.#append(this.#l2);
    this.#l2.fill(0);
    this.#l2Index = -1;
  }

  /** @returns its offset */
  async #append(bytes: Uint8Array): Promise<number> {
    const { clusterSize } = this.#layout;
    const offset = this.#clusterCount * clusterSize;
    const count = Math.max(1, Math.ceil(bytes.length / clusterSize));
    await this.#write(bytes, offset);
    // The last cluster must be there as a whole.
    const rest = count * clusterSize - bytes.length;
    if (rest > 0) await this.#write(new Uint8Array(rest), offset + bytes.length);
    this.#clusterCount += count;
    return offset;
  }

  async #write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      await writeFully(this.#file.descriptor, bytes, offset);
    } catch (error) {
      throw about(this.#path, error);
    }
  }
}
