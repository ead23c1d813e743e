/** An image that goes into a store: what `put --name` and `sync --store` have in common (spec/images.md). */
import type { InputOptions } from '../lib/api/options.ts';
import type { SyncStoreOptions } from '../lib/api/sync-store.node.ts';
import type { Context } from './context.ts';
import { BLAKE2B } from './image-options.ts';
import { localPath, refuse, STANDARD_STREAM } from './kinds.ts';
import { workOptions } from './work.ts';

const STDIN = 0;

/** @param word the source @throws CasError `USAGE` for options that would not be heeded */
export function storedImageOptions(
  word: string,
  context: Context,
): Omit<SyncStoreOptions, 'index' | 'store'> {
  refuseUnfit(context);
  const { blockSize, digest, ifSourceChanged } = context.options;
  return {
    ...sourceOf(word),
    ...workOptions(context),
    blockSize,
    digest,
    onSourceChange: ifSourceChanged === 'warn' ? 'warn' : 'fail',
    onWarning: context.warn,
    onWait: (reason) => context.inform(`Waiting for the store: ${reason}`),
  };
}

function sourceOf(word: string): Pick<InputOptions, 'input' | 'label'> {
  if (word === STANDARD_STREAM) return { input: STDIN, label: 'standard input' };
  return { input: localPath(word), label: word };
}

/** Nobody shall believe that something was heeded that was not. */
function refuseUnfit({ options }: Context): void {
  const { dryRun, check, undo, keep, verify, sizePolicy, onReadError, ifSourceChanged } = options;
  const unfit = [
    [dryRun, 'dry-run'],
    [check, 'check'],
    [undo !== undefined, 'undo'],
    [keep !== undefined, 'keep'],
    [verify !== 'none', 'verify'],
    [sizePolicy !== undefined, 'size'],
    [onReadError !== 'fail', 'on-read-error'],
    [typeof ifSourceChanged === 'object', 'if-source-changed=retry'],
  ] as const;
  const [, name] = unfit.find(([isGiven]) => isGiven) ?? [];
  if (name !== undefined) throw refuse(`--${name} does not apply to a store as destination.`);
  if (options.mapDigest === BLAKE2B) throw refuse('Stores name chunks by sha256 or sha512-256.');
  if (options.chunking !== undefined && options.chunking !== 'fixed') {
    throw refuse('Images are cut into blocks of one size there.');
  }
}
