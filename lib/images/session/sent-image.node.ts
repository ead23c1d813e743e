/** An image that is sent: how, what came of it, and what the ways of comparing have of the sender. */
import type { BlockDigest } from '../../../formats/block-digest.ts';
import type { BlockRun, BlockTable } from '../../../formats/block-table.ts';
import type { DestinationMessage, DoneMessage } from '../../../formats/session-images.ts';
import type { ImageSource } from '../source/image-source.node.ts';
import type { BlockPortion } from '../source/scan-blocks.node.ts';
import type { SessionConnection } from './connection.ts';

/** Digests of a destination, from the last time. */
export interface HeldTable {
  readonly table: BlockTable;
  readonly digest: BlockDigest['name'];
}

export interface SendImageOptions {
  readonly source: ImageSource;
  /** Of a file or device that can be read again; undefined for what can be read once. */
  readonly descriptor: number | undefined;
  /** What is thought to be there; used if the other side confirms it. Is changed. */
  readonly held?: HeldTable | undefined;
  /** Whether blocks that cannot be read stay as they are there. */
  readonly skipsUnreadable?: boolean;
  readonly threadCount: number;
  readonly signal?: AbortSignal | undefined;
  /** How the source has changed since the work began. */
  readonly sourceChange?: () => string | undefined;
  readonly onProgress?: (doneBytes: number, totalBytes: number | undefined) => void;
  /** Bytes of the digests that are compared; for tests of collisions. */
  readonly digestLength?: number;
}

export interface SentImage {
  readonly done: DoneMessage;
  readonly size: number;
  /** What is there now; undefined if some of it could not be read. */
  readonly table: HeldTable | undefined;
  /** How it was found out what differs, for statistics. */
  readonly way: 'held' | 'all' | 'stream' | 'equal' | 'levels' | 'segments';
  readonly sentBlockBytes: number;
  /** Bytes that were read of the source; what was read twice counts twice. */
  readonly readBytes: number;
  readonly unreadableBytes: number;
  readonly sourceChange: string | undefined;
}

/** What the ways of comparing have of the sender. */
export interface ImageComparison {
  readonly connection: SessionConnection;
  readonly destination: DestinationMessage;
  readonly digest: BlockDigest;
  /** Of the source, as far as it was read. */
  readonly table: BlockTable;
  /** Bytes of the digests that are compared, if it is said. */
  readonly digestLength: number | undefined;
  /** Reads the source in order and fills the table. @param onPortion awaited for each portion */
  scan(onPortion: (portion: BlockPortion) => Promise<void> | void): Promise<void>;
  /** Sends blocks of a portion by what they are. */
  sendPortion(portion: BlockPortion, isWanted: (block: number) => boolean): Promise<void>;
  /** Reads blocks again and sends them. */
  sendAgain(run: BlockRun): Promise<void>;
}
