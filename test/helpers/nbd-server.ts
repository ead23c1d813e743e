/** The NBD server in this process, over an export of the test, ended with the test. */
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { BlockExport } from '../../lib/serve/nbd/block-export.ts';
import { DEFAULT_NBD_LIMITS, type NbdServerLimits } from '../../lib/serve/nbd/limits.ts';
import { type NbdServer, openNbdServer } from '../../lib/serve/nbd/server.node.ts';
import { NbdClient } from './nbd-client.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface TestServer extends NbdServer {
  readonly path: string;
  readonly failures: unknown[];
  /** A client that is through with the negotiation. */
  client(options?: { readonly isStructured?: boolean }): Promise<NbdClient>;
  /** One that has only connected. */
  connect(): NbdClient;
}

export async function testServer(
  t: ExecutionContext<unknown>,
  blockExport: BlockExport,
  limits: Partial<NbdServerLimits> = {},
): Promise<TestServer> {
  const path = join(temporaryFolder(t), 'socket');
  const failures: unknown[] = [];
  const server = await openNbdServer({
    blockExport,
    described: {
      name: Buffer.alloc(0),
      description: Buffer.from('a test'),
      size: blockExport.size,
      isWritable: blockExport.writer !== undefined,
    },
    listeners: [{ path }],
    limits: { ...DEFAULT_NBD_LIMITS, closeTimeoutMs: 500, ...limits },
    onFailure: (error) => failures.push(error),
  });
  const clients: NbdClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.destroy();
    await server.close();
  });
  return {
    ...server,
    path,
    failures,
    connect() {
      const client = new NbdClient({ path });
      clients.push(client);
      return client;
    },
    async client(options) {
      const client = await NbdClient.open({ path }, options);
      clients.push(client);
      return client;
    },
  };
}
