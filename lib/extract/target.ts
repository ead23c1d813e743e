/**
 * Where the bytes of a blob go. Implemented for new files, block devices and streams; filled by
 * assemble.node.ts. Every implementation passes test/conformance/target.ts (spec/promises.md, 3 and 6).
 */
import type { Awaitable } from '../../store/transforms.ts';

/**
 * An output of a length that was fixed when it was opened. Its owner writes every byte exactly once,
 * front to back, and then either commits or discards it.
 */
export interface BlockTarget {
  /** For messages. */
  readonly label: string;
  /**
   * Puts `bytes` at `offset`; they may be reused when this is done.
   * @throws CasError `TARGET_FULL` | `DENIED` | `IO`
   */
  write(bytes: Uint8Array, offset: number): Awaitable<void>;
  /** Makes `length` bytes at `offset` read as zero. @throws CasError as `write` */
  zero(offset: number, length: number): Awaitable<void>;
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
}
