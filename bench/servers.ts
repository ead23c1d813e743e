/**
 * The servers of the rows about remote stores, started when they are first wanted and ended with the
 * run: nginx over the folder of the contestants, the same with 20 ms before each answer, and the RADOS
 * gateway of Ceph. Used by the turns; the servers themselves are those of the tests.
 */
import { findInPath } from './contestants.ts';

export type ServerName = 'http' | 'http-20ms' | 's3';

export interface ServedStore {
  /** Locator of the store. */
  readonly locator: string;
  /** What the contestants must know to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** Removes what was stored. */
  readonly clear: () => Promise<void>;
}

export interface Servers {
  /**
   * A store behind the server: the folder `path`, which may not be there yet, or an empty bucket.
   */
  open(name: ServerName, path: string): Promise<ServedStore>;
  stop(): Promise<void>;
}

export const LATENCY_MS = 20;
const NEEDED: Readonly<Record<ServerName, readonly string[]>> = {
  http: ['nginx', 'setpriv'],
  'http-20ms': ['nginx', 'setpriv'],
  s3: ['radosgw', 'radosgw-admin', 'ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'setpriv'],
};

/** Whether everything is installed that the server needs. */
export function canServe(name: ServerName): boolean {
  return NEEDED[name].every((program) => findInPath(program) !== undefined);
}

/** @param folder that HTTP servers give away; made later */
export function createServers(folder: string): Servers {
  const stops: (() => Promise<void>)[] = [];
  const urls = new Map<ServerName, Promise<string>>();
  const startHttp = async (latencyMs: number): Promise<string> => {
    const { startNginx } = await import('../test/helpers/nginx.ts');
    const { url, stop } = await startNginx({ folder, isWritable: true, latencyMs });
    stops.push(stop);
    return url;
  };
  const httpUrl = (name: 'http' | 'http-20ms'): Promise<string> => {
    const started = urls.get(name) ?? startHttp(name === 'http' ? 0 : LATENCY_MS);
    urls.set(name, started);
    return started;
  };
  return {
    async open(name, path) {
      if (name === 's3') return openBucket();
      const url = await httpUrl(name);
      return { locator: url + path.slice(folder.length), env: {}, clear: async () => {} };
    },
    async stop() {
      for (const stop of stops.splice(0)) await stop();
    },
  };
}

/** Ends by itself some seconds after this process. */
async function openBucket(): Promise<ServedStore> {
  const { gateway, gatewaySettings, gatewayUrl, makeBucket } = await import(
    '../test/helpers/radosgw.ts'
  );
  const { accessKeyId, secretAccessKey } = await gateway();
  const locator = await gatewayUrl(`${await makeBucket()}/store.castr`);
  return {
    locator,
    env: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: 'us-east-1',
      S3_ACCESS_KEY: accessKeyId,
      S3_SECRET_KEY: secretAccessKey,
      S3_REGION: 'us-east-1',
    },
    async clear() {
      const { openS3Backend } = await import('../store/backends/s3.node.ts');
      const backend = await openS3Backend(locator, await gatewaySettings());
      try {
        const keys: string[] = [];
        for await (const { key } of backend.list('')) keys.push(key);
        await backend.removeMany?.(keys);
      } finally {
        await backend.close();
      }
    },
  };
}
