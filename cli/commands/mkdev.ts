/** `mkdev [INPUT] [NODE]` (spec/nbd.md, "Kernel devices"): a blob as a block device, until a signal comes. */
import { isCasError } from '../../formats/errors.ts';
import { mkdev as attach, type MkdevResult } from '../../lib/api/mkdev.node.ts';
import { notify } from '../../lib/os/notify.node.ts';
import type { Context } from '../context.ts';
import { failureText } from '../failure-text.ts';
import { kindOfName, openSeekable, refuse, STANDARD_STREAM } from '../kinds.ts';
import type { Kind } from '../options.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { threadOption } from '../work.ts';

type DeviceKind = 'blob' | 'blob-index';

/** @throws CasError `USAGE` */
function kindOf(word: string, what: Kind | undefined): DeviceKind {
  if (what === 'blob' || what === 'blob-index') return what;
  if (what === undefined) return kindOfName(word) === 'blob-index' ? 'blob-index' : 'blob';
  throw refuse('"mkdev" operation may only be combined with --what=blob and --what=blob-index.');
}

/** A device that is there, until it is wanted no more or gone. */
async function untilEnded(device: MkdevResult, signal: AbortSignal): Promise<void> {
  const close = (): void => {
    // What goes wrong is thrown by the promise that is waited for.
    device.close().catch(() => {});
  };
  if (signal.aborted) close();
  else signal.addEventListener('abort', close, { once: true });
  await device.ended;
}

export async function mkdev(words: readonly string[], context: Context): Promise<void> {
  const { options, stdout, signal } = context;
  const [word = STANDARD_STREAM, node] = words;
  const kind = kindOf(word, options.what);
  const { input, label } = openSeekable(word);
  try {
    const device = await attach({
      input,
      label,
      kind,
      ...storeOptions(word, context),
      ...seedOptions(context),
      ...(node === undefined ? {} : { node }),
      ...(options.readCache === undefined ? {} : { cacheSize: options.readCache }),
      ...(options.cow === undefined ? {} : { cow: options.cow }),
      signal,
      ...threadOption(context),
      onFailure: (error) => context.warn(failureText(error)),
    });
    stdout.write(`Attached: ${device.node}\n`);
    stdout.flush();
    notify(`READY=1\nDEVICE=${device.device}`);
    await untilEnded(device, signal);
  } catch (error) {
    // A signal is the normal end, also of a device that was not there yet.
    if (!signal.aborted || !isCasError(error)) throw error;
  }
}
