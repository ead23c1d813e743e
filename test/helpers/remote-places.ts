/**
 * Places on other machines as tests of whole commands need them: one shape for every kind of server,
 * with a way to look at what is stored, and to end the server and start it again. Used by
 * test/cli/remote.test.ts and test/fault/remote-*.ts.
 */
import {
  chmodSync,
  type Dirent,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts';
import { NGINX_NEEDS, startNginx } from './nginx.ts';
import { askGateway, GATEWAY_COMMANDS, gateway, makeBucket, tellGateway } from './radosgw.ts';
import type { Requirements } from './requirements.ts';
import { CASYNC } from './run-casync.ts';
import { freePort, startServer } from './server-process.ts';
import { SSH_NEEDS, startSshServer } from './sshd.ts';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';
import { FTP_NEEDS, startFtpServer } from './vsftpd.ts';

export interface RemotePlace {
  /** What a command is given to name something in the place. */
  locator(name: string): string;
  /** What the command needs besides. */
  readonly environment: Readonly<Record<string, string>>;
  /** Names of all files and objects that can be seen, sorted. */
  names(): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array>;
  write(name: string, bytes: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
  /** Names with which there was a request of this method so far; undefined where no server tells. */
  requested(method: 'GET' | 'PUT'): readonly string[] | undefined;
  /** Ends the server as a crash does. */
  kill(): Promise<void>;
  /** Starts it again, at the same address with the same content. */
  restart(): Promise<void>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

export interface PlaceKind {
  readonly name: string;
  readonly needs: Requirements;
  /** Whether commands can write there. */
  readonly canWrite: boolean;
  /** Whether archives can be there, beside indexes. */
  readonly hasArchives: boolean;
  /** Whether there is a server that can be ended and started again. */
  readonly canBeKilled: boolean;
  readonly start: () => Promise<RemotePlace>;
}

type Content = Pick<RemotePlace, 'names' | 'read' | 'write' | 'remove'>;

/** Temporary names of servers and of ours: nobody takes them for what they will be. */
const UNFINISHED = /(?:^|\/)\.[^/]*$|\.tmp[^/]*$/;
const TOKEN = 'canary-token-of-tests';

/** Whose folder vanishes meanwhile has none: a server may still be at work. */
function* filesBelow(folder: string, name: string): Generator<string> {
  let entries: readonly Dirent[] = [];
  try {
    entries = readdirSync(join(folder, name), { withFileTypes: true });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  for (const entry of entries) {
    const path = join(name, entry.name);
    if (entry.isDirectory()) yield* filesBelow(folder, path);
    else if (entry.isFile()) yield path;
  }
}

function folderContent(folder: string): Content {
  return {
    names: async () => [...filesBelow(folder, '')].filter((name) => !UNFINISHED.test(name)).sort(),
    read: async (name) => readFileSync(join(folder, name)),
    write: async (name, bytes) => {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      chmodSync(dirname(join(folder, name)), 0o777);
      writeFileSync(join(folder, name), bytes);
    },
    remove: async (name) => rmSync(join(folder, name), { force: true }),
  };
}

/** Folder for servers: others may enter it. */
function publicFolder(): string {
  const folder = makeTemporaryFolder();
  chmodSync(folder, 0o755);
  return folder;
}

async function startNginxPlace(): Promise<RemotePlace> {
  const folder = publicFolder();
  const server = await startNginx({ folder, isWritable: true });
  return {
    ...folderContent(folder),
    locator: (name) => `${server.url}/${name}`,
    environment: {},
    requested: (method) =>
      server
        .requests()
        .filter((line) => line.startsWith(`${method} `))
        .map((line) => line.split(' ')[1].slice(1)),
    kill: server.kill,
    restart: server.restart,
    stop: async () => {
      await server.stop();
      removeTree(folder);
    },
  };
}

/** Behind a proxy that sees the requests: the access log is written some time later. */
async function startServePlace(): Promise<RemotePlace> {
  const [folder, own] = [publicFolder(), makeTemporaryFolder()];
  const [token, config] = ['token', 'casync.toml'].map((name) => join(own, name));
  writeFileSync(token, `${TOKEN}\n`, { mode: 0o600 });
  writeFileSync(config, `[[location]]\nmatch = "**"\ntoken = "${TOKEN}"\n`, { mode: 0o600 });
  const port = await freePort();
  const options = [`--listen=127.0.0.1:${port}`, `--token-file=${token}`];
  const command = [process.execPath, CASYNC, 'serve', '--writable', ...options, folder];
  const url = `http://127.0.0.1:${port}`;
  const start = () => startServer(command, () => answers(`${url}/healthz`));
  let server = await start();
  const proxy = await startFaultyProxy(url);
  return {
    ...folderContent(folder),
    locator: (name) => `${proxy.url}/${name}`,
    environment: { CASYNC_CONFIG: config },
    requested: (method) => requestedThrough(proxy, '/', method),
    kill: () => server.stop(),
    restart: async () => {
      server = await start();
    },
    stop: async () => {
      await proxy.stop();
      await server.stop();
      removeTree(folder);
      removeTree(own);
    },
  };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

/** @param locatorOf from a path on the server, which begins with a slash */
async function startSshPlace(locatorOf: (path: string) => string): Promise<RemotePlace> {
  const folder = publicFolder();
  const server = await startSshServer();
  return {
    ...folderContent(folder),
    locator: (name) => locatorOf(`${folder}/${name}`),
    environment: {
      CASYNC_SSH_PATH: server.sshProgram,
      CASYNC_REMOTE_PATH: writeScript(
        server.folder,
        'casync',
        `"${process.execPath}" "${CASYNC}" "$@"`,
      ),
    },
    requested: () => undefined,
    kill: server.kill,
    restart: server.restart,
    stop: async () => {
      await server.stop();
      removeTree(folder);
    },
  };
}

/** The other side is a process of this machine. */
async function startFakeSshPlace(): Promise<RemotePlace> {
  const [folder, own] = [publicFolder(), makeTemporaryFolder()];
  return {
    ...folderContent(folder),
    locator: (name) => `some.host:${folder}/${name}`,
    environment: {
      // Host and words, as ssh takes them: the shell of the other side gets the words.
      CASYNC_SSH_PATH: writeScript(own, 'ssh', 'sh -c "$*"', 'shift'),
      CASYNC_REMOTE_PATH: writeScript(own, 'casync', `"${process.execPath}" "${CASYNC}" "$@"`),
    },
    requested: () => undefined,
    kill: async () => {},
    restart: async () => {},
    stop: async () => {
      removeTree(folder);
      removeTree(own);
    },
  };
}

function writeScript(folder: string, name: string, command: string, before = ':'): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${before}\nexec ${command}\n`, { mode: 0o755 });
  return path;
}

async function startFtpPlace(): Promise<RemotePlace> {
  const server = await startFtpServer();
  return {
    ...folderContent(server.folder),
    locator: (name) => `ftp://127.0.0.1:${server.port}/files/${name}`,
    environment: {},
    requested: () => undefined,
    kill: () => server.process.stop(),
    restart: async () => {
      throw new Error('an FTP server that was killed stays away');
    },
    stop: server.stop,
  };
}

/** Behind a proxy that sees the uploads. To be killed, the gateway must not be shared. */
async function startS3Place(): Promise<RemotePlace> {
  const { endpoint, accessKeyId, secretAccessKey } = await gateway();
  const bucket = await makeBucket();
  const proxy = await startFaultyProxy(endpoint);
  return {
    ...bucketContent(bucket),
    locator: (name) => `s3+http://127.0.0.1:${proxy.port}/${bucket}/${name}`,
    environment: {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: 'us-east-1',
    },
    requested: (method) => requestedThrough(proxy, `/${bucket}/`, method),
    kill: () => tellGateway('kill'),
    restart: () => tellGateway('start'),
    stop: () => proxy.stop(),
  };
}

function requestedThrough(
  { requests }: FaultyProxy,
  before: string,
  wanted: string,
): readonly string[] {
  return requests
    .filter(({ method }) => method === wanted)
    .map(({ target }) => target.slice(before.length));
}

function bucketContent(bucket: string): Content {
  const ask = async (
    method: string,
    name: string,
    query: Readonly<Record<string, string>> = {},
    body?: Uint8Array,
  ) => {
    const answer = await askGateway(
      method,
      `/${bucket}/${name}`,
      query,
      body && Uint8Array.from(body),
    );
    if (answer.status >= 300) throw new Error(`${method} ${name}: ${answer.status} ${answer.text}`);
    return answer;
  };
  return {
    names: async () => {
      const names: string[] = [];
      for (let after = ''; ; after = names.at(-1) ?? '') {
        const query = { 'list-type': '2', ...(after === '' ? {} : { 'start-after': after }) };
        const { text } = await ask('GET', '', query);
        names.push(...[...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, name]) => name));
        if (!text.includes('<IsTruncated>true')) return names.sort();
      }
    },
    read: async (name) => (await ask('GET', name)).bytes,
    write: async (name, bytes) => void (await ask('PUT', name, {}, bytes)),
    remove: async (name) => void (await ask('DELETE', name)),
  };
}

export const NGINX_PLACE: PlaceKind = {
  name: 'nginx',
  needs: NGINX_NEEDS,
  canWrite: true,
  hasArchives: true,
  canBeKilled: true,
  start: startNginxPlace,
};

export const SERVE_PLACE: PlaceKind = {
  name: 'casync serve',
  needs: { commands: ['setpriv'] },
  canWrite: true,
  hasArchives: false,
  canBeKilled: true,
  start: startServePlace,
};

export const S3_PLACE: PlaceKind = {
  name: 's3',
  needs: { commands: GATEWAY_COMMANDS },
  canWrite: true,
  hasArchives: true,
  canBeKilled: true,
  start: startS3Place,
};

export const SSH_PLACE: PlaceKind = {
  name: 'sshd',
  needs: SSH_NEEDS,
  canWrite: true,
  hasArchives: true,
  canBeKilled: true,
  start: () => startSshPlace((path) => `some.host:${path}`),
};

export const SFTP_PLACE: PlaceKind = {
  name: 'sftp',
  needs: SSH_NEEDS,
  canWrite: true,
  hasArchives: true,
  canBeKilled: true,
  start: () => startSshPlace((path) => `sftp://some.host${path}`),
};

/** All kinds, those that start fast first. */
export const PLACE_KINDS: readonly PlaceKind[] = [
  NGINX_PLACE,
  SERVE_PLACE,
  SFTP_PLACE,
  {
    name: 'ssh without sshd',
    needs: {},
    canWrite: true,
    hasArchives: true,
    canBeKilled: false,
    start: startFakeSshPlace,
  },
  SSH_PLACE,
  {
    name: 'ftp',
    needs: FTP_NEEDS,
    canWrite: true,
    hasArchives: true,
    canBeKilled: false,
    start: startFtpPlace,
  },
  S3_PLACE,
];
