/** Bytes, files here and files elsewhere against the contract of blobs that are read anywhere. */
import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openBlob } from '../../../lib/api/open-blob.node.ts';
import type { BlobReader } from '../../../lib/read/blob-reader.ts';
import { openBytesBlob } from '../../../lib/read/bytes-blob.ts';
import { openFileBlob } from '../../../lib/read/file-blob.node.ts';
import { blobReaderSuite } from '../../conformance/blob-reader.ts';
import { startHeldServer } from '../../helpers/held-server.ts';
import { NGINX_NEEDS, startNginx } from '../../helpers/nginx.ts';
import { missingRequirements, requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const PAGE = 4096;
const SETTINGS = { environment: {}, attemptCount: 1 };

/** Writes only what is not zero. */
function writeSparse(descriptor: number, bytes: Uint8Array): void {
  ftruncateSync(descriptor, bytes.length);
  for (let offset = 0; offset < bytes.length; offset += PAGE) {
    const page = bytes.subarray(offset, offset + PAGE);
    if (page.some((byte) => byte !== 0)) writeSync(descriptor, page, 0, page.length, offset);
  }
}

function sparseFile(t: ExecutionContext, bytes: Uint8Array): number {
  const descriptor = openSync(join(temporaryFolder(t), 'blob'), 'w+');
  t.teardown(() => closeSync(descriptor));
  writeSparse(descriptor, bytes);
  return descriptor;
}

async function openUrl(t: ExecutionContext, input: string): Promise<BlobReader> {
  const { reader } = await openBlob({
    input,
    kind: 'blob',
    settingsFor: () => SETTINGS,
  });
  t.teardown(() => reader.close());
  return reader;
}

blobReaderSuite('bytes', (_, bytes) => ({ reader: openBytesBlob(bytes, 'bytes') }));

blobReaderSuite(
  'a file',
  (t, bytes) => {
    const descriptor = sparseFile(t, bytes);
    return {
      reader: openFileBlob(descriptor, 'blob'),
      fail: () => ftruncateSync(descriptor, 1_000_000),
      mend: () => writeSparse(descriptor, bytes),
    };
  },
  ['fails'],
);

blobReaderSuite(
  'a file on another machine',
  async (t, bytes) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'blob'), bytes);
    const server = await startHeldServer(t, folder);
    return { ...server, reader: await openUrl(t, `${server.url}/blob`) };
  },
  ['fails', 'waits'],
);

if (missingRequirements(NGINX_NEEDS).length > 0) {
  test('a file on nginx is read as all blobs are', (t) => void requirement(t, NGINX_NEEDS));
} else {
  blobReaderSuite(
    'a file on nginx',
    async (t, bytes) => {
      const folder = temporaryFolder(t);
      writeFileSync(join(folder, 'blob'), bytes);
      const nginx = await startNginx({ folder });
      t.teardown(() => nginx.stop());
      const reader = await openUrl(t, `${nginx.url}/blob`);
      return { reader, fail: () => nginx.kill(), mend: () => nginx.restart() };
    },
    ['fails'],
  );
}
