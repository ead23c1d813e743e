import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectBackend } from '../../../store/backend.ts';
import { openSftpBackend } from '../../../store/backends/sftp.node.ts';
import type { LocationSettings } from '../../../store/location-settings.ts';
import { backendSuite } from '../../conformance/backend.ts';
import { missingRequirements } from '../../helpers/requirements.ts';
import { SSH_NEEDS, type SshServer, startSshServer } from '../../helpers/sshd.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

let server: SshServer;
const isMissing = missingRequirements(SSH_NEEDS).length > 0;

test.before(async () => {
  if (!isMissing) server = await startSshServer();
});
test.after.always(() => server?.stop());

function settings(more: Partial<LocationSettings> = {}): LocationSettings {
  return { environment: process.env, sshProgram: server.sshProgram, ...more };
}

async function open(t: ExecutionContext, folder: string): Promise<ObjectBackend> {
  const backend = await openSftpBackend(`sftp://host${folder}`, settings());
  t.teardown(() => backend.close());
  return backend;
}

backendSuite('sftp', (t) => open(t, join(temporaryFolder(t), 'store')));
