/** Where an archive or index goes that is made: a file here or elsewhere, or a stream. */
import { redacted, suffixKind } from '../../store/location.ts';
import { refuseSameFile } from '../images/refuse-output.node.ts';
import type { ByteSink } from '../make/byte-sink.ts';
import { openFileSink, openStreamSink } from '../make/file-sink.node.ts';
import { openRemoteFile } from '../stores/remote-file.node.ts';
import type { PlaceOptions } from './options.ts';
import { localPath, remotePlace, settingsOf } from './stores.node.ts';
import type { WorkOptions } from './work-options.ts';

export interface OutputOptions extends PlaceOptions, WorkOptions {
  /** Path, URL or ssh locator; or a descriptor open for writing. */
  readonly output: string | number;
}

/**
 * A result never takes the place of what it is made from.
 * @param inputs paths and descriptors count, all else does not
 * @throws PipelineError `UNSAFE_TARGET` if the output is the same file as one of them
 */
export function refuseInputAsOutput(
  output: string | number | undefined,
  inputs: readonly unknown[],
): void {
  if (typeof output !== 'string' || remotePlace(output) !== undefined) return;
  const needed = inputs.map((input) => {
    if (typeof input !== 'string') return typeof input === 'number' ? input : undefined;
    return remotePlace(input) === undefined ? localPath(input) : undefined;
  });
  refuseSameFile(localPath(output), needed);
}

const OUTPUT_MODE = 0o666;

/** @param inputMode of what it is made from, if that is a file: nobody else may read it then either */
export async function openOutput(
  options: OutputOptions,
  inputMode: number = OUTPUT_MODE,
): Promise<ByteSink> {
  const { output } = options;
  if (typeof output === 'number') return openStreamSink(output);
  if (remotePlace(output) !== undefined) return openRemoteSink(output, options);
  return openFileSink(localPath(output), { mode: OUTPUT_MODE & inputMode });
}

async function openRemoteSink(
  locator: string,
  options: PlaceOptions & WorkOptions,
): Promise<ByteSink> {
  const place = remotePlace(locator);
  if (place === undefined) throw new TypeError('a place elsewhere is needed');
  const { file } = openRemoteFile(place, {
    settings: settingsOf(locator, options),
    kind: suffixKind(locator) === 'archive' ? 'archive' : 'index',
  });
  const writer = await file.openWriter(options.signal ? { signal: options.signal } : {});
  return {
    path: redacted(locator),
    write: (bytes) => writer.write(bytes),
    async commit() {
      await writer.commit();
      await file.close();
    },
    async discard() {
      await writer.discard();
      await file.close();
    },
  };
}
