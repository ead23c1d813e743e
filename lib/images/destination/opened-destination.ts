/** A destination that is open: what the update of an image does with it. Made by destination.node.ts. */
import type { DestinationFacts } from './image-update.ts';

/** What can be seen of a destination from outside, to find out whether somebody else has written. */
export interface DestinationTraces {
  readonly destinationSize: number;
  readonly mtimeNs: bigint | undefined;
  readonly writeCount: bigint | undefined;
}

export interface OpenedDestination extends DestinationFacts {
  /** For messages. */
  readonly label: string;
  /** Bytes of the image that it takes; undefined for a stream. */
  readonly imageSize: number | undefined;
  /** Whether what lies behind the image stays. */
  readonly keepsRest: boolean;
  /** Open for reading, and for writing unless nothing is to be written; undefined while there is no file. */
  readonly descriptor: number | undefined;
  /** Makes the file, if it is not there. @returns the descriptor */
  create(): number;
  /** @throws PipelineError `TARGET_FULL` | `IO` */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Makes zeros, as a hole where possible. @returns whether no zeros were written */
  zero(offset: number, length: number): Promise<boolean>;
  /** Fills all of `into`; behind the end of the file there are zeros. */
  read(into: Uint8Array, offset: number): void;
  /** Of a file; a device keeps its size. */
  resize(size: number): void;
  /** Resolves when all that was written is on disk. */
  sync(): Promise<void>;
  traces(): DestinationTraces;
  close(): void;
}
