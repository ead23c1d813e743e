/** `pull BASE ARCHIVE INDEX STORE...` (spec/remote.md): gives them to a client on standard input and output. */
import type { PlaceOptions } from '../../lib/api/options.ts';
import { type PullOptions, pullServices, servePull } from '../../lib/serve/protocol/pull.node.ts';
import { servedFile } from '../../lib/serve/protocol/served-file.node.ts';
import {
  closeAll,
  describeServedStores,
  openServedStore,
} from '../../lib/serve/protocol/served-stores.node.ts';
import { MessageStream, openStandardStreams } from '../../store/peer/message-stream.node.ts';
import type { Context } from '../context.ts';
import { type PeerPlaces, peerPlaces, processRemote } from '../peer-words.ts';
import { placeOptions } from '../places.ts';
import { suffixOption } from '../stores.ts';

export async function pull(words: readonly string[], context: Context): Promise<void> {
  const places = peerPlaces(words, 'Pull from base or archive not yet supported.');
  await serveOnStandardStreams(places, context, placeOptions(context));
}

/** Gives what is at the places to whoever is at the other end of standard input and output. */
export async function serveOnStandardStreams(
  { archive, index, stores }: PeerPlaces,
  context: Context,
  { settingsFor, abortNumber }: PlaceOptions & Pick<PullOptions, 'abortNumber'>,
): Promise<void> {
  const places = settingsFor ? { settingsFor } : {};
  await processRemote(async () => {
    const descriptions = describeServedStores(stores, { ...places, ...suffixOption(context) });
    const opened = await Promise.all(descriptions.map(openServedStore));
    const options = {
      ...(archive !== undefined && { archive: servedFile(archive, places) }),
      ...(index !== undefined && { index: servedFile(index, places) }),
      ...(abortNumber && { abortNumber }),
      stores: opened,
      warn: context.warn,
      signal: context.signal,
    };
    const { input, output } = openStandardStreams();
    const settings = { flags: pullServices(options), label: 'the client' };
    try {
      await servePull(new MessageStream(input, output, settings), options);
    } finally {
      await closeAll(opened);
    }
  });
}
