/** `serve-nbd INPUT` (spec/nbd.md, "The server"): a blob as a network block device until a signal comes. */
import { serveNbd as serveBlob } from '../../lib/api/serve-nbd.node.ts';
import { notify } from '../../lib/os/notify.node.ts';
import { activatedDescriptors } from '../../lib/serve/nbd/activation.ts';
import type { Context } from '../context.ts';
import { failureText } from '../failure-text.ts';
import { jsonLine } from '../json-text.ts';
import { kindOfName, openSeekable, refuse } from '../kinds.ts';
import type { Kind } from '../options.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { untilAborted } from '../until-aborted.ts';
import { threadOption } from '../work.ts';

/** @throws CasError `USAGE` */
function kindOf(word: string, what: Kind | undefined): Exclude<Kind, 'directory'> {
  const kind = what ?? kindOfName(word) ?? 'blob';
  if (kind !== 'directory') return kind;
  throw refuse('"serve-nbd" serves blobs, archives and what is behind indexes, no directories.');
}

export async function serveNbd(words: readonly string[], context: Context): Promise<void> {
  const { options, environment, stdout, signal } = context;
  const [word] = words;
  if (word === undefined) throw refuse('Expected something to serve.');
  const kind = kindOf(word, options.what);
  const { input, label } = openSeekable(word);
  const { socket, listen, exportName, cow, readCache: cacheSize } = options;
  const descriptors = activatedDescriptors(environment, process.pid);
  if (descriptors.length > 0 && (socket !== undefined || listen !== undefined)) {
    throw refuse('The service manager says where to listen; --socket= and --listen= are too much.');
  }
  const server = await serveBlob({
    ...{ input, label, kind, descriptors },
    ...storeOptions(word, context),
    ...seedOptions(context),
    ...(socket === undefined ? {} : { socket }),
    ...(listen === undefined ? {} : { listen }),
    ...(exportName === undefined ? {} : { exportName }),
    ...(cow === undefined ? {} : { cow }),
    ...(cacheSize === undefined ? {} : { cacheSize }),
    signal,
    ...threadOption(context),
    onFailure: (error) => context.warn(failureText(error)),
  });
  try {
    for (const address of server.addresses) {
      stdout.write(options.json ? jsonLine({ address }) : `Listening on ${address}\n`);
    }
    stdout.flush();
    notify('READY=1');
    await untilAborted(signal);
    notify('STOPPING=1');
  } finally {
    await server.close();
  }
}
