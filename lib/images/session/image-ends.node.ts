/**
 * Files and block devices at the two ends of a session: how they are opened, watched and looked after.
 * Used for pushes and pulls, on both machines (spec/images.md, "Other machines").
 */
import type { BlockRun } from '../../../formats/block-table.ts';
import type { Input } from '../../api/options.ts';
import type { ImageUpdate, ImageUpdateOptions } from '../destination/image-update.ts';
import { openImageUpdate } from '../destination/update-image.node.ts';
import { BlockRunList } from '../run-list.ts';
import { sourceOf } from '../source/open-image.node.ts';
import { BlockScan } from '../source/scan-blocks.node.ts';
import type { SnapshotPolicy } from '../source/source-snapshot.node.ts';
import { openWatched } from '../source/watched-image.node.ts';
import { verifyUpdate } from '../verify-written.node.ts';
import type { SessionConnection } from './connection.ts';
import { type ReceivedImage, receiveImage } from './image-receiver.node.ts';
import { sendImage } from './image-sender.node.ts';
import type { SendImageOptions, SentImage } from './sent-image.node.ts';

export interface SendFileOptions
  extends Pick<
    SendImageOptions,
    'held' | 'onProgress' | 'signal' | 'skipsUnreadable' | 'threadCount'
  > {
  readonly input: Input;
  /** Name in messages. */
  readonly label?: string;
  readonly snapshot?: SnapshotPolicy | undefined;
  readonly onWarning: (text: string) => void;
  /** Called once the source is there, before anything is sent about it. */
  readonly begin?: () => Promise<void>;
}

/** Sends what is in a file, device or stream. @throws what opening and `sendImage` throw */
export async function sendFile(
  connection: SessionConnection,
  options: SendFileOptions,
): Promise<SentImage> {
  const { input, label, snapshot, signal, onWarning, begin } = options;
  const { image, sourceChange } = await openWatched(input, {
    snapshot,
    onWarning,
    ...(label === undefined ? {} : { label }),
    ...(signal === undefined ? {} : { signal }),
  });
  try {
    const source = await sourceOf(image);
    const isPlain = image.kind !== 'stream' && source.size === image.size;
    await begin?.();
    return await sendImage(connection, {
      ...options,
      source,
      // Of a compressed file, the bytes of the image lie elsewhere.
      descriptor: isPlain ? image.descriptor : undefined,
      sourceChange,
    });
  } finally {
    image.close();
  }
}

export type Verification = 'none' | 'written' | 'full';

export interface ReceiveFileOptions {
  /** Path of the destination. */
  readonly path: string;
  /** All but the size. */
  readonly update: Omit<ImageUpdateOptions, 'size'>;
  readonly verify?: Verification | undefined;
  readonly onProgress?: (doneBytes: number, totalBytes: number | undefined) => void;
}

export interface ReceivedFile extends ReceivedImage {
  readonly wasMapClean: boolean;
  readonly mapPath: string | undefined;
  readonly blockSize: number;
  readonly digest: ImageUpdate['digest'];
}

/** Brings a file or device to what the other side sends. @throws what `receiveImage` throws */
export async function receiveFile(
  connection: SessionConnection,
  { path, update: updateOptions, verify = 'none', onProgress }: ReceiveFileOptions,
): Promise<ReceivedFile> {
  const updates: ImageUpdate[] = [];
  let written = new BlockRunList();
  const isVerified = verify !== 'none' && updateOptions.isDryRun !== true;
  const received = await receiveImage(connection, {
    async open(size) {
      const update = await openImageUpdate(path, { ...updateOptions, size });
      updates.push(update);
      written = new BlockRunList();
      return update;
    },
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(isVerified ? { onWritten: (run: BlockRun) => written.add(run) } : {}),
    async onFinished() {
      const update = updates.at(-1);
      if (!isVerified || update === undefined) return;
      const runs = verify === 'written' ? { runs: written } : {};
      await verifyFile(update, runs, updateOptions.threadCount ?? 0);
    },
  });
  const [first] = updates;
  const { blockSize, digest, mapPath, isMapClean } = first as ImageUpdate;
  return { ...received, blockSize, digest, mapPath, wasMapClean: isMapClean };
}

async function verifyFile(
  update: ImageUpdate,
  runs: { readonly runs?: Iterable<BlockRun> },
  threadCount: number,
): Promise<void> {
  const { blockSize, digest } = update;
  const scan = new BlockScan({ blockSize, digest, threadCount });
  try {
    await verifyUpdate(update, scan, runs);
  } finally {
    await scan.close();
  }
}
