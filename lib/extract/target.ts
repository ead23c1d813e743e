/**
 * Where the bytes of a blob go. Implemented for files, block devices and streams; filled by
 * assemble.node.ts. Every implementation passes test/conformance/target.ts (spec/promises.md, 3 and 6).
 */
import type { Awaitable } from '../../store/transforms.ts';

/** Blocks of a file that may be shared with the output. */
export interface BlockOrigin {
  /** Open for reading. */
  readonly descriptor: number;
  /** Offset of the same bytes there. */
  readonly offset: number;
}

/** What a target did with the bytes. */
export interface TargetCounts {
  /** Zero bytes that became holes. */
  readonly holeBytes: number;
  /** Bytes that share their blocks with other files. */
  readonly reflinkBytes: number;
  /** Bytes that were there already and were not written. */
  readonly keptBytes: number;
}

/** Of a target that does nothing of the kind. */
export const NO_COUNTS: TargetCounts = { holeBytes: 0, reflinkBytes: 0, keptBytes: 0 };

/** What an output holds already, under the same offsets. */
export interface HeldContent {
  /** Open for reading. */
  readonly descriptor: number;
  /** In bytes; what lies behind does not count. */
  readonly size: number;
}

/**
 * An output of a length that was fixed when it was opened. Its owner writes every byte exactly once,
 * to a stream front to back, and then either commits or discards it.
 */
export interface BlockTarget {
  /** For messages. */
  readonly label: string;
  /** What need not be written if it is right; undefined if every byte must be. */
  readonly held?: HeldContent;
  /** Takes bytes front to back only. */
  readonly isStream?: boolean;
  /** If more than this has to be written, a new file is better; undefined if there is no choice. */
  readonly mostChangedBytes?: number | undefined;
  readonly counts: TargetCounts;
  /**
   * Puts `bytes` at `offset`; they may be reused when this is done.
   * @param origin a file that is believed to hold the same bytes
   * @throws CasError `TARGET_FULL` | `DENIED` | `IO`
   */
  write(bytes: Uint8Array, offset: number, origin?: BlockOrigin): Awaitable<void>;
  /** Makes `length` bytes at `offset` read as zero. @throws CasError as `write` */
  zero(offset: number, length: number): Awaitable<void>;
  /** Says that `length` bytes of {@link held} at `offset` are right. */
  keep?(offset: number, length: number): void;
  /** Makes what was written the result. @throws CasError; `discard` must follow then */
  commit(): Promise<void>;
  /**
   * Gives up: a file is as it was before, a device or stream keeps what was written so far.
   * Never fails, and does nothing after `commit` succeeded.
   */
  discard(): Promise<void>;
}

export interface TargetOptions {
  /** Exact length of the result in bytes. */
  readonly size: number;
  /** Leave runs of zero bytes out of the file instead of writing them; default true. */
  readonly punchHoles?: boolean;
  /** `commit` waits until a file is on disk, also where it replaces nothing; default false. */
  readonly durable?: boolean;
  /** Share blocks with other files where the file system can; default true. */
  readonly reflink?: boolean;
}
