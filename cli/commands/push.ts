/** `push BASE ARCHIVE INDEX STORE...` (spec/remote.md): takes them from a client on standard input and output. */
import { openOutput } from '../../lib/api/output.node.ts';
import { pushServices, servePush } from '../../lib/serve/protocol/push.node.ts';
import { describeServedStores } from '../../lib/serve/protocol/served-stores.node.ts';
import { isUnnamedIndex, NO_SINK } from '../../lib/serve/protocol/unnamed-index.ts';
import { MessageStream, openStandardStreams } from '../../store/peer/message-stream.node.ts';
import type { Context } from '../context.ts';
import { peerPlaces, processRemote } from '../peer-words.ts';
import { placeOptions } from '../places.ts';
import { suffixOption } from '../stores.ts';

export async function push(words: readonly string[], context: Context): Promise<void> {
  const { archive, index, stores } = peerPlaces(words, 'Push to base not yet supported.');
  const { signal } = context;
  const places = placeOptions(context);
  const sink = (output: string) => async () =>
    isUnnamedIndex(output, stores[0]) ? NO_SINK : openOutput({ ...places, output, signal });
  await processRemote(async () => {
    const options = {
      ...(archive !== undefined && { archive: sink(archive) }),
      ...(index !== undefined && { index: sink(index) }),
      stores: describeServedStores(stores, {
        ...places,
        ...suffixOption(context),
        sync: context.options.sync,
      }),
      onWait: (reason: string) => context.inform(`Waiting for the store: ${reason}`),
      signal,
    };
    const { input, output } = openStandardStreams();
    const settings = { flags: pushServices(options), label: 'the sender' };
    await servePush(new MessageStream(input, output, settings), options);
  });
}
