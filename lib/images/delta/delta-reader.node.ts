/**
 * Reads delta files (spec/formats/delta.md). Nothing of a record is given away before its checksum was
 * checked, which also proves that no record before it is missing.
 */
import { closeSync, fstatSync } from 'node:fs';
import { type BlockDigest, DIGEST_LENGTH } from '../../../formats/block-digest.ts';
import {
  DELTA_END_LENGTH,
  DELTA_FRAME_LENGTH,
  DELTA_HEAD_LENGTH,
  DELTA_HEADER_LENGTH,
  type DeltaEnd,
  type DeltaHead,
  type DeltaHeader,
  decodeDeltaEnd,
  decodeDeltaHead,
  decodeDeltaHeader,
  deltaFailure,
  headerChecksum,
  openDeltaRecord,
} from '../../../formats/delta.ts';
import { about, FormatError } from '../../../formats/errors.ts';
import type { Codec } from '../../../store/transforms.ts';
import { createCodecs } from '../../compress/codecs.node.ts';
import { createBlockDigest } from '../../digest/block-digest.node.ts';
import { readFully } from '../../os/read.node.ts';
import { systemFailure } from '../../os/system-error.node.ts';
import type { DeltaFile, DeltaRecord, StoredData } from './delta-file.ts';

export class DeltaReader implements DeltaFile {
  readonly label: string;
  readonly header: DeltaHeader;
  readonly end: DeltaEnd;
  readonly digest: BlockDigest;
  /** Bytes of the file. */
  readonly length: number;
  /** The checksum over all of it, which names this delta; known when it was read once. */
  readonly identity: Uint8Array;
  readonly #descriptor: number;
  readonly #headerChecksum: Uint8Array;
  readonly #codec: Codec = createCodecs().zstd;
  #framed = new Uint8Array(64 * 1024);

  /**
   * @param descriptor open for reading, of a file; belongs to the reader from now on, which closes it
   * @throws FormatError about the file; PipelineError
   */
  constructor(descriptor: number, label: string) {
    this.#descriptor = descriptor;
    this.label = label;
    try {
      this.length = fstatSync(descriptor).size;
      const header = this.#read(new Uint8Array(DELTA_HEADER_LENGTH), 0);
      this.header = decodeDeltaHeader(header, createBlockDigest);
      this.digest = createBlockDigest(this.header.digest);
      this.#headerChecksum = headerChecksum(header);
      if (this.length < DELTA_HEADER_LENGTH + DELTA_END_LENGTH) throw this.#ended(this.length);
      const last = this.#read(new Uint8Array(DELTA_END_LENGTH), this.#endOffset);
      if (!isEnd(last, this.#endOffset)) throw this.#ended(this.length);
      this.end = decodeDeltaEnd(last.subarray(DELTA_HEAD_LENGTH), this.#endOffset);
      this.identity = last.slice(-DIGEST_LENGTH);
    } catch (error) {
      closeSync(descriptor);
      throw about(label, error);
    }
  }

  *records(): Generator<DeltaRecord> {
    let previous = this.#headerChecksum;
    for (let offset = DELTA_HEADER_LENGTH; ; ) {
      const { head, body, checksum } = this.#recordAt(offset, previous);
      const end = offset + DELTA_FRAME_LENGTH + head.length;
      if (head.type === 'end') {
        if (end !== this.length) throw about(this.label, deltaFailure('end', end, 'not the last'));
        return;
      }
      if (end > this.#endOffset) throw about(this.label, this.#ended(end));
      previous = checksum.slice();
      yield { ...head, body, at: offset + DELTA_HEAD_LENGTH };
      offset = end;
    }
  }

  bodyAt(at: number, length: number): Uint8Array {
    return this.#read(new Uint8Array(length), at);
  }

  async dataOf({ dataLength, isCompressed, stored }: StoredData, at: number): Promise<Uint8Array> {
    if (!isCompressed) return stored;
    try {
      const plain = await this.#codec.decompress(stored, dataLength);
      if (plain.length === dataLength) return plain;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
    throw about(this.label, deltaFailure('data', at, 'cannot be decompressed'));
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  get #endOffset(): number {
    return this.length - DELTA_END_LENGTH;
  }

  #recordAt(offset: number, previous: Uint8Array) {
    const head = this.#headAt(offset);
    const length = DIGEST_LENGTH + DELTA_FRAME_LENGTH + head.length;
    if (offset + DELTA_FRAME_LENGTH + head.length > this.length) {
      throw about(this.label, this.#ended(this.length));
    }
    if (length > this.#framed.length) this.#framed = new Uint8Array(length);
    const framed = this.#framed.subarray(0, length);
    framed.set(previous);
    this.#read(framed.subarray(DIGEST_LENGTH), offset);
    try {
      return { head, ...openDeltaRecord(this.digest, framed, offset) };
    } catch (error) {
      throw about(this.label, error);
    }
  }

  #headAt(offset: number): DeltaHead {
    const bytes = this.#read(new Uint8Array(DELTA_HEAD_LENGTH), offset);
    try {
      return decodeDeltaHead(bytes, offset);
    } catch (error) {
      throw about(this.label, error);
    }
  }

  /** @returns as much as there is */
  #read(into: Uint8Array, offset: number): Uint8Array {
    let length: number;
    try {
      length = readFully(this.#descriptor, into, offset);
    } catch (error) {
      throw systemFailure('read', error, this.label);
    }
    return into.subarray(0, length);
  }

  #ended(offset: number): FormatError {
    return deltaFailure('file', offset, 'the delta is not complete');
  }
}

function isEnd(bytes: Uint8Array, offset: number): boolean {
  try {
    return decodeDeltaHead(bytes, offset).type === 'end';
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
