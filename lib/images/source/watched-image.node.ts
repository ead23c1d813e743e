/** A source that is frozen, or watched while it is read (spec/images.md, "A source that changes"). */
import type { Input } from '../../api/options.ts';
import { localPath } from '../../api/stores.node.ts';
import { type OpenedImage, type OpenImageOptions, openImage } from './open-image.node.ts';
import { freeze, type SnapshotPolicy } from './source-snapshot.node.ts';
import { rememberSource } from './source-state.node.ts';

export interface WatchedImage {
  /** Whoever has opened it closes it. */
  readonly image: OpenedImage;
  /** How the source has changed since; undefined if it has not, or need not be asked. */
  readonly sourceChange: () => string | undefined;
}

export interface WatchOptions extends OpenImageOptions {
  readonly snapshot?: SnapshotPolicy | undefined;
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** @throws PipelineError `IO`, `USAGE`; `UNSUPPORTED` if a frozen copy was asked for and there can be none */
export async function openWatched(input: Input, options: WatchOptions): Promise<WatchedImage> {
  const { snapshot = 'auto', onWarning } = options;
  const opened = openImage(input, options);
  try {
    const path = typeof input === 'string' ? localPath(input) : undefined;
    const { descriptor } = opened;
    const state = descriptor === undefined ? undefined : await rememberSource(descriptor);
    const image = freeze(opened, path, snapshot);
    if (state?.warning !== undefined) onWarning?.(`${opened.label}: ${state.warning}`);
    // Who asked for a frozen copy knows that the source goes on.
    const isWatched = image === opened || snapshot !== 'reflink';
    return { image, sourceChange: () => (isWatched ? state?.difference() : undefined) };
  } catch (error) {
    opened.close();
    throw error;
  }
}
