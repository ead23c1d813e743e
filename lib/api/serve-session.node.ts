/** The far end of `syncRemote`, over the standard streams (spec/formats/session.md). */

import type { CasError } from '../../formats/errors.ts';
import { withStandardStreams } from '../images/session/open-session.node.ts';
import { imageServices } from '../images/session/serve-images.node.ts';
import { serveSession } from '../images/session/serve-session.node.ts';
import { treeServices } from '../images/trees/serve-trees.node.ts';
import type { PlaceOptions } from './options.ts';
import { settingsOf } from './stores.node.ts';

export interface ServeSessionOptions extends PlaceOptions {
  readonly signal?: AbortSignal;
  readonly onWarning: (text: string) => void;
}

/**
 * Does what the near end asks for until that has no more wishes.
 * @returns what went wrong, if the other side knows it; nobody here needs to be told of it again
 * @throws CasError what went wrong, if the other side cannot be told
 */
export async function serveOverStandardStreams(
  options: ServeSessionOptions,
): Promise<CasError | undefined> {
  const { signal, onWarning } = options;
  const settings = settingsOf('.', options);
  return withStandardStreams({ settings, signal, onWarning }, (connection) =>
    serveSession(connection, new Map([...imageServices({ signal }), ...treeServices({ signal })])),
  );
}
