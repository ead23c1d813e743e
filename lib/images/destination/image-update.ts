/**
 * The update of a destination: a file or block device that is brought to the content of an image in
 * place, with its map (spec/images.md, "Map"). Made by update-image.node.ts; for local work, sessions
 * and patches alike.
 */
import type { BlockDigestName } from '../../../formats/block-digest.ts';
import type { BlockRun } from '../../../formats/block-table.ts';
import type { BlockSink } from '../block-sink.ts';

/** What to do where the sizes of image and destination differ (spec/images.md, "Sizes"). */
export type SizePolicy = 'exact' | 'resize' | 'larger-ok' | 'common';

/** Whether zeros become holes: `auto` where it pays, which on devices is long runs only. */
export type SparsePolicy = 'auto' | 'always' | 'never';

/** When to wait for the disk: after every batch, at the end, or never. */
export type FsyncPolicy = 'batch' | 'end' | 'none';

export interface DestinationOptions {
  /** Bytes of the image; undefined for a stream, whose size is known at its end. */
  readonly size: number | undefined;
  /** Default: `resize` for files, `exact` for devices. */
  readonly sizePolicy?: SizePolicy | undefined;
  readonly sparse?: SparsePolicy;
  /** Whether zeros are told to a device as unused space, which must then read as zeros. */
  readonly discard?: boolean;
  /** Whether to write to a device that is mounted or held by somebody. */
  readonly forceDevice?: boolean;
  /** Whether what was written leaves the page cache. */
  readonly noCache?: boolean;
  /** Opens for reading only: every write fails. A missing file is taken for an empty one. */
  readonly isDryRun?: boolean;
}

export interface ImageUpdateOptions extends DestinationOptions {
  /** `auto` (default) for the usual place, `none`, or the path of the map. */
  readonly map?: string;
  /** Bytes of a block, if asked for; a map with another one is refused then. */
  readonly blockSize?: number | undefined;
  /** The digest, if asked for; a map with another one is refused then. Without a map: SHA-256. */
  readonly digest?: BlockDigestName | undefined;
  /** Whether the destination is to be read, whatever the map says. */
  readonly check?: boolean;
  /** Bytes written between two checkpoints; default 64 MiB. */
  readonly batch?: number | undefined;
  readonly fsync?: FsyncPolicy | undefined;
  /** Threads besides the caller's that help to read the destination; default 0. */
  readonly threadCount?: number;
  readonly signal?: AbortSignal | undefined;
  /** Gets what is about to be overwritten or cut off; the bytes are valid until it resolves. */
  readonly onUndo?: (run: BlockRun, bytes: Uint8Array) => Promise<void>;
  /** Gets one line for people, without the name of the program. */
  readonly onWarning?: (text: string) => void;
  /** While the destination is read: bytes so far. */
  readonly onRead?: (bytes: number) => void;
}

/** What there is before anything is written. */
export interface DestinationFacts {
  /** Behind all symbolic links. */
  readonly path: string;
  readonly kind: 'file' | 'device';
  /** Whether the file was not there. */
  readonly isNew: boolean;
  /** Bytes it has, 0 for a new file. */
  readonly size: number;
  /** Offsets and lengths of writes should be multiples of it. */
  readonly sectorSize: number;
}

export interface ImageUpdate extends BlockSink {
  readonly blockSize: number;
  readonly digest: BlockDigestName;
  readonly destination: DestinationFacts;
  /**
   * Bytes of the image that the destination takes: those of the source, fewer under `common`;
   * undefined for a stream. What lies behind is not to be sent or written.
   */
  readonly size: number | undefined;
  /** Where the map is; undefined without one. */
  readonly mapPath: string | undefined;
  /** Whether `known` comes from a map that holds, complete: the destination need not be read. */
  readonly isMapClean: boolean;
  /** Of `known` before the first write, if {@link isMapClean}. */
  readonly root: Uint8Array | undefined;
  /**
   * Reads blocks that nobody knows, as far as the destination has them, and fills `known`. Nothing
   * happens if all are known. Call it before the first comparison, unless {@link readings} is used.
   */
  readDestination(): Promise<void>;
  /**
   * The same bit by bit: yields what has become known, in ascending order. Blocks before the yielded
   * run may be written meanwhile.
   */
  readings(): AsyncGenerator<BlockRun>;
  /** Bytes that were read of the destination so far. */
  readonly readBytes: number;
}
