/** Where a finished archive or index goes: a file that appears when complete, or a stream. */
import type { Awaitable } from '../../store/transforms.ts';

export interface ByteSink {
  /** Path or locator of the file that appears; undefined for a stream. */
  readonly path?: string;
  /** Takes the next bytes; they may be reused when it returns. */
  write(bytes: Uint8Array): Awaitable<void>;
  /** Makes what was written the result. Nothing replaces an older result before. */
  commit(): Promise<void>;
  /** Gives up; an older result stays. Does nothing after `commit`. */
  discard(): Promise<void>;
}
