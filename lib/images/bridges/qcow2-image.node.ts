/** An image as a file of QEMU, alone or on a backing file (spec/bridges.md, "qcow2"). */
import { isZero } from '../../extract/sparse.node.ts';
import { nextData } from '../../os/holes.node.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import { progressOf } from '../../progress.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import { type BlockPortion, BlockScan, type KindRun } from '../source/scan-blocks.node.ts';
import type { BridgeWork } from './bridge-work.ts';
import type { Qcow2Writer } from './qcow2-writer.node.ts';

const READ_LENGTH = 1024 * 1024;

export interface BackingFile {
  readonly descriptor: number;
  readonly size: number;
  readonly label: string;
}

export interface Qcow2Counts {
  /** Clusters that are in the file, and how many of the others are said to be zeros. */
  readonly dataClusters: number;
  readonly zeroClusters: number;
}

/** Puts all clusters of an image that the backing file does not have, or that are no zeros. */
export async function writeQcow2Image(
  image: ImageSource,
  writer: Qcow2Writer,
  clusterSize: number,
  backing: BackingFile | undefined,
  { threadCount, signal, onProgress }: BridgeWork,
): Promise<Qcow2Counts> {
  const scan = new BlockScan({
    blockSize: clusterSize,
    digest: 'sha256',
    threadCount,
    ...(signal ? { signal } : {}),
  });
  const clusters = new ClusterWriter(writer, clusterSize, backing);
  try {
    for await (const portion of scan.scan(image)) {
      for (const run of portion.runs()) await clusters.put(portion, run);
      onProgress?.(progressOf('export', portion.start + portion.length, image.size));
      portion.release();
    }
  } finally {
    await scan.close();
  }
  return clusters.counts;
}

class ClusterWriter {
  readonly #writer: Qcow2Writer;
  readonly #clusterSize: number;
  readonly #backing: BackingFile | undefined;
  readonly #old: Uint8Array;
  readonly #atOnce: number;
  #dataClusters = 0;
  #zeroClusters = 0;

  constructor(writer: Qcow2Writer, clusterSize: number, backing: BackingFile | undefined) {
    this.#writer = writer;
    this.#clusterSize = clusterSize;
    this.#backing = backing;
    this.#atOnce = Math.max(1, Math.floor(READ_LENGTH / clusterSize));
    this.#old = new Uint8Array(backing === undefined ? 0 : this.#atOnce * clusterSize);
  }

  get counts(): Qcow2Counts {
    return { dataClusters: this.#dataClusters, zeroClusters: this.#zeroClusters };
  }

  async put(portion: BlockPortion, run: KindRun): Promise<void> {
    const end = run.first + run.count;
    for (let first = run.first; first < end; first += this.#atOnce) {
      const count = Math.min(this.#atOnce, end - first);
      if (run.kind !== 'zeros') await this.#putData(portion, first, count);
      else if (this.#backing !== undefined) await this.#putZeros(this.#backing, first, count);
    }
  }

  async #putData(portion: BlockPortion, first: number, count: number): Promise<void> {
    if (this.#backing !== undefined) this.#read(this.#backing, first);
    for (let i = 0; i < count; i++) {
      const bytes = portion.bytesOf({ first: first + i, count: 1 });
      if (this.#backing !== undefined && this.#isEqual(i, bytes)) continue;
      await this.#writer.put(first + i, bytes);
      this.#dataClusters += 1;
    }
  }

  async #putZeros(backing: BackingFile, first: number, count: number): Promise<void> {
    const start = first * this.#clusterSize;
    const data = nextData(backing.descriptor, start) ?? backing.size;
    if (data >= Math.min(backing.size, start + count * this.#clusterSize)) return;
    this.#read(backing, first);
    for (let i = 0; i < count; i++) {
      if (isZero(this.#oldCluster(i))) continue;
      await this.#writer.putZeros(first + i);
      this.#zeroClusters += 1;
    }
  }

  /** What lies behind the image in its last cluster is zeros in the file. */
  #isEqual(index: number, bytes: Uint8Array): boolean {
    const old = Buffer.from(this.#oldCluster(index).buffer, index * this.#clusterSize);
    return (
      old.compare(bytes, 0, bytes.length, 0, bytes.length) === 0 &&
      isZero(this.#oldCluster(index).subarray(bytes.length))
    );
  }

  #oldCluster(index: number): Uint8Array {
    return this.#old.subarray(index * this.#clusterSize, (index + 1) * this.#clusterSize);
  }

  /** Behind its end a backing file is zeros. */
  #read({ descriptor, size, label }: BackingFile, first: number): void {
    const start = first * this.#clusterSize;
    const wanted = this.#old.subarray(0, Math.max(0, Math.min(this.#old.length, size - start)));
    try {
      this.#old.fill(0, readFully(descriptor, wanted, start));
    } catch (error) {
      throw systemFailure('read', error, label);
    }
  }
}
