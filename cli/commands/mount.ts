/** `mount [INPUT] MOUNTPOINT` (spec/mount.md, "The command"): a file system, until a signal comes. */
import { CasError, isCasError } from '../../formats/errors.ts';
import { type MountResult, mount as mountInput } from '../../lib/api/mount.node.ts';
import { ESTABLISH, MAKE_FOLDER } from '../../lib/os/mount.node.ts';
import { notify } from '../../lib/os/notify.node.ts';
import { redacted } from '../../store/location.ts';
import type { Context } from '../context.ts';
import { EXIT_FAILED } from '../exit-codes.ts';
import { failureText } from '../failure-text.ts';
import {
  inputOf,
  kindOfName,
  type OpenedInput,
  openInput,
  refuse,
  refuseEmpty,
  STANDARD_STREAM,
} from '../kinds.ts';
import type { Kind } from '../options.ts';
import { seedOptions } from '../seeds.ts';
import { storeOptions } from '../stores.ts';
import { synchronizerFailure } from '../synchronize.ts';
import { uidShiftOf } from '../trees.ts';
import { threadOption } from '../work.ts';

type MountKind = 'archive' | 'archive-index' | 'blob-index';

/** @throws CasError `USAGE` */
function kindOf(word: string, what: Kind | undefined): MountKind {
  const kind = what ?? kindOfName(word) ?? 'archive';
  if (kind === 'archive' || kind === 'archive-index' || kind === 'blob-index') return kind;
  throw refuse(
    '"mount" operation may only be combined with --what=archive and --what=archive-index.',
  );
}

/** What can be read at any place, or is small. @throws CasError `USAGE` */
function openMountInput(word: string, kind: MountKind): OpenedInput {
  refuseEmpty(word, 'class of locator');
  const input = openInput(word, (label) =>
    kind === 'archive' ? `Failed to set sync input: ${label}` : `Failed to open ${label}`,
  );
  const { type, label } = input;
  if (type === 'directory') throw refuse(`Failed to run synchronizer: ${label}: Is a directory`);
  if (kind === 'archive' && type !== 'file' && type !== 'device' && type !== 'remote') {
    throw refuse(`${label}: Seekable archive required.`);
  }
  return input;
}

/** Failures with the words of the original in front. */
function mountFailure(error: unknown): unknown {
  if (!isCasError(error)) return error;
  const { code, step, subject = '', reason } = error;
  const parts = { reason, cause: error };
  if (step === ESTABLISH) {
    return new CasError(code, { subject: `Failed to establish FUSE mount: ${subject}`, ...parts });
  }
  if (step === MAKE_FOLDER) {
    return new CasError(code, { subject: `Failed to create mount directory ${subject}`, ...parts });
  }
  return synchronizerFailure(error);
}

function announce(mountPoint: string, mounted: MountResult, { stdout, warn }: Context): void {
  const hidden = mounted.hiddenFeatures.join(' ');
  if (hidden !== '') {
    warn(`The following feature flags are not exposed in the mounted file system: ${hidden}`);
  }
  try {
    stdout.write(`Mounted: ${mountPoint}\n`);
    stdout.flush();
  } catch (error) {
    // The mount matters, not this line.
    if (!isCasError(error) || error.code !== 'READER_GONE') throw error;
  }
}

async function untilEnded({ ended }: MountResult, context: Context): Promise<void> {
  try {
    await ended;
  } catch (error) {
    if (!isCasError(error)) throw error;
    context.warn(error.message);
    context.setExitCode(EXIT_FAILED);
  }
}

export async function mount(words: readonly string[], context: Context): Promise<void> {
  const { options, signal } = context;
  const mountPoint = words.at(-1);
  if (mountPoint === undefined) {
    throw refuse('An archive path/URL expected, followed by a mount path.');
  }
  const word = words.length > 1 ? (words[0] ?? STANDARD_STREAM) : STANDARD_STREAM;
  const kind = kindOf(word, options.what);
  const input = openMountInput(word, kind);
  let mounted: MountResult;
  try {
    mounted = await mountInput({
      ...inputOf(input),
      ...storeOptions(word, context),
      ...seedOptions(context),
      ...uidShiftOf(context),
      ...(options.readCache === undefined ? {} : { cacheSize: options.readCache }),
      kind,
      mountPoint,
      source: word === STANDARD_STREAM ? '' : redacted(word),
      makeMountPoint: options.mkdir,
      signal,
      ...threadOption(context),
      onFailure: (error) => context.warn(failureText(error)),
    });
  } catch (error) {
    // A signal is the normal end, also of a mount that was not there yet.
    if (signal.aborted && isCasError(error)) return;
    throw mountFailure(error);
  }
  try {
    announce(mountPoint, mounted, context);
    notify('READY=1');
  } catch (error) {
    await mounted.unmount();
    throw error;
  }
  await untilEnded(mounted, context);
}
