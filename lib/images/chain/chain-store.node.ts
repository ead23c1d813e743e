/** The store of a chain: a folder on this machine (spec/images.md, "Version chains"). */
import { existsSync } from 'node:fs';
import type { DigestName } from '../../../formats/chunk-id.ts';
import { placeLabel } from '../../../store/location.ts';
import type { StoreOptions } from '../../api/options.ts';
import { describeStoreForWriting } from '../../api/stores.node.ts';
import { PipelineError } from '../../errors.ts';
import { isRemote, type LocalStoreDescription } from '../../stores/store-description.ts';

/** What every function about a chain takes. */
export interface ChainOptions
  extends Pick<StoreOptions, 'compression' | 'sync' | 'suffix' | 'settingsFor'> {
  /** Path of the store. */
  readonly store: string;
  /** Name of the chain: letters, digits, dots, dashes and underscores. */
  readonly name: string;
}

/** @throws PipelineError `UNSUPPORTED` for a store elsewhere */
export function describeChainStore(
  options: Omit<ChainOptions, 'name'>,
  digest: DigestName,
): LocalStoreDescription {
  const description = describeStoreForWriting(options, undefined, digest);
  if (!isRemote(description)) return description;
  throw new PipelineError('UNSUPPORTED', {
    subject: placeLabel(description.place),
    reason: 'version chains are kept in stores on this machine only',
  });
}

/** The same for reading: the store must be there. @throws PipelineError `STORE_MISSING` */
export function describeExistingStore(
  options: Omit<ChainOptions, 'name'>,
  digest: DigestName,
): LocalStoreDescription {
  const description = describeChainStore(options, digest);
  if (existsSync(description.folder)) return description;
  const reason = 'No such file or directory';
  throw new PipelineError('STORE_MISSING', { subject: description.folder, reason });
}
