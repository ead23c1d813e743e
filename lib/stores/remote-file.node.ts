/** Opens indexes and archives on other machines, when they are first asked for something. */
import { isCasError } from '../../formats/errors.ts';
import type { LocationSettings } from '../../store/location-settings.ts';
import { openFileAt } from '../../store/open-location.node.ts';
import type { RemoteFile } from '../../store/remote-file.ts';
import { PipelineError } from '../errors.ts';
import { placeLabel } from './remote-store.node.ts';
import type { RemotePlace } from './store-description.ts';

function openAt(place: RemotePlace, settings: LocationSettings): Promise<RemoteFile> {
  if (place.kind === 'url') return openFileAt(place, settings);
  const reason = 'Remote locations are not available in this version.';
  throw new PipelineError('UNSUPPORTED', { subject: placeLabel(place), reason });
}

/** Errors come from the first use; what is not there is an `INDEX_MISSING`, as it is on this machine. */
export function openRemoteFile(place: RemotePlace, settings: LocationSettings): RemoteFile {
  let opening: Promise<RemoteFile> | undefined;
  const opened = async (): Promise<RemoteFile> => {
    opening ??= openAt(place, settings);
    return opening;
  };
  return {
    label: placeLabel(place),
    stat: async (options) => (await opened()).stat(options).catch(rethrow),
    async *read(options) {
      try {
        yield* (await opened()).read(options);
      } catch (error) {
        rethrow(error);
      }
    },
    readRange: async (range, options) => (await opened()).readRange(range, options).catch(rethrow),
    openWriter: async (options) => (await opened()).openWriter(options),
    async close() {
      const file = await opening?.catch(() => undefined);
      opening = undefined;
      await file?.close().catch(() => {});
    },
  };
}

function rethrow(error: unknown): never {
  if (!isCasError(error) || error.code !== 'OBJECT_MISSING') throw error;
  const { subject, step, reason } = error;
  throw new PipelineError('INDEX_MISSING', { subject, step, reason, cause: error });
}
