/** Blobs behind an index against the contract of blobs that are read anywhere. */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeIndex } from '../../../formats/index-codec.ts';
import { openBlob } from '../../../lib/api/open-blob.node.ts';
import { blobReaderSuite } from '../../conformance/blob-reader.ts';
import { startHeldServer } from '../../helpers/held-server.ts';
import { storeBlob, storeIn } from '../../helpers/stored-blob.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const SETTINGS = { environment: {}, attemptCount: 1 };

blobReaderSuite(
  'chunks on another machine',
  async (t, bytes) => {
    const folder = temporaryFolder(t);
    const index = await storeBlob(bytes, storeIn(folder, 'default.castr'));
    writeFileSync(join(folder, 'x.caibx'), encodeIndex(index));
    const server = await startHeldServer(t, folder);
    const input = `${server.url}/x.caibx`;
    const { reader } = await openBlob({ input, kind: 'blob-index', settingsFor: () => SETTINGS });
    return { ...server, reader };
  },
  ['fails', 'waits'],
);

blobReaderSuite(
  'chunks here',
  async (t, bytes) => {
    const folder = temporaryFolder(t);
    const index = await storeBlob(bytes, storeIn(folder, 'default.castr'));
    const path = join(folder, 'x.caibx');
    writeFileSync(path, encodeIndex(index));
    const { reader } = await openBlob({ input: path, kind: 'blob-index' });
    const [store, away] = ['default.castr', 'away.castr'].map((name) => join(folder, name));
    return { reader, fail: () => renameSync(store, away), mend: () => renameSync(away, store) };
  },
  ['fails'],
);
