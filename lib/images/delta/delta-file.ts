/** An open delta, as those see it who use its records. Implemented by delta-reader.node.ts. */
import type { BlockDigest } from '../../../formats/block-digest.ts';
import type { DeltaEnd, DeltaHead, DeltaHeader } from '../../../formats/delta.ts';
import type { PiecePart } from '../../../formats/delta-pieces.ts';

/** A record that holds what it should. */
export interface DeltaRecord extends DeltaHead {
  /** Valid until the next record is taken. */
  readonly body: Uint8Array;
  /** Of the body in the file. */
  readonly at: number;
}

/** What is stored of the data of a record. */
export interface StoredData {
  readonly dataLength: number;
  readonly isCompressed: boolean;
  readonly stored: Uint8Array;
}

/** A piece of a result with its data, plain. */
export interface PieceContent {
  readonly length: number;
  readonly digest: Uint8Array;
  readonly parts: readonly PiecePart[];
  /** Of the parts that are not copied, one behind the other. */
  readonly data: Uint8Array;
}

export interface DeltaFile {
  /** For messages. */
  readonly label: string;
  readonly header: DeltaHeader;
  readonly end: DeltaEnd;
  readonly digest: BlockDigest;
  /**
   * All records but the last, in order. Whoever takes them to the end knows that all are there.
   * @throws FormatError about the file
   */
  records(): Generator<DeltaRecord>;
  /** The body of a record whose checksum was checked before. @param at offset of the body */
  bodyAt(at: number, length: number): Uint8Array;
  /** The plain bytes of a record. @throws FormatError about the file */
  dataOf(data: StoredData, at: number): Promise<Uint8Array>;
}
