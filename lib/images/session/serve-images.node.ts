/** The far end of a session, as far as images are concerned (spec/formats/session.md, "Opening"). */
import { IMAGE_KIND } from '../../../formats/session-images.ts';
import { decodePull, decodePush } from '../../../formats/session-open.ts';
import { defaultThreadCount } from '../../work/job-pool.node.ts';
import { unattended } from '../../work/unattended.ts';
import type { ImageUpdateOptions } from '../destination/image-update.ts';
import type { SessionConnection, SessionMessage } from './connection.ts';
import { farPath, placeOf } from './far-path.node.ts';
import { receiveFile, sendFile } from './image-ends.node.ts';
import type { SessionService } from './serve-session.node.ts';

/** @param options.signal ends the work */
export function imageServices({
  signal,
}: {
  readonly signal?: AbortSignal | undefined;
}): readonly (readonly [number, SessionService])[] {
  const threadCount = defaultThreadCount();
  const push = async (connection: SessionConnection, { content }: SessionMessage) => {
    const asked = decodePush(content);
    const { name } = asked;
    const path = placeOf(farPath(asked.path), name === undefined ? undefined : baseName(name));
    const update = { ...updateOptions(asked), threadCount, signal };
    await receiveFile(connection, {
      path,
      verify: asked.verify,
      update: { ...update, onWarning: (text) => void unattended(connection.warn(text)) },
    });
  };
  const pull = async (connection: SessionConnection, { content }: SessionMessage) => {
    const { path, skipsUnreadable, snapshot } = decodePull(content);
    await sendFile(connection, {
      input: farPath(path),
      snapshot,
      skipsUnreadable,
      threadCount,
      signal,
      onWarning: (text) => void unattended(connection.warn(text)),
    });
  };
  return [
    [IMAGE_KIND.push, push],
    [IMAGE_KIND.pull, pull],
  ];
}

function updateOptions(
  asked: ReturnType<typeof decodePush>,
): Omit<ImageUpdateOptions, 'size' | 'signal'> {
  const { map, sparse, sizePolicy, blockSize, digest, batch, fsync } = asked;
  return {
    ...(map === undefined ? {} : { map: mapWord(map) }),
    ...(sparse === undefined ? {} : { sparse }),
    ...{ sizePolicy, blockSize, digest, batch, fsync },
    check: asked.isChecked,
    isDryRun: asked.isDryRun,
    discard: asked.discards,
    forceDevice: asked.forcesDevice,
    noCache: asked.noCache,
  };
}

function mapWord(bytes: Uint8Array): string {
  const word = new TextDecoder().decode(bytes);
  return word === 'none' || word === 'auto' ? word : farPath(bytes);
}

function baseName(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
