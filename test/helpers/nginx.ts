/**
 * A real nginx over a folder, on a free port of 127.0.0.1: as a static server, a WebDAV store, with
 * a password, TLS, or added latency. It ends with the process of the test in any case.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findCommand, type Requirements } from './requirements.ts';
import { freePort, type ServerProcess, startServer } from './server-process.ts';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';

export interface NginxOptions {
  /** The folder that is served. */
  readonly folder: string;
  /** Whether PUT, DELETE and MKCOL are allowed. */
  readonly isWritable?: boolean;
  /** Whether PUT makes missing folders; the default. Else a client must MKCOL. */
  readonly makesFolders?: boolean;
  /** Basic authentication, for everything. */
  readonly login?: { readonly user: string; readonly password: string };
  readonly tls?: { readonly certificates: TestCertificates; readonly wantsClient?: boolean };
  /** Added to every GET and HEAD; needs the package libnginx-mod-http-echo. */
  readonly latencyMs?: number;
  /** Further lines of the `server` block. */
  readonly configuration?: readonly string[];
}

export interface Nginx {
  /** `http://127.0.0.1:PORT` or `https://localhost:PORT`, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Lines `METHOD PATH STATUS` of all requests so far, in the order in which they ended. */
  requests(): readonly string[];
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** Starts it again at the same address, after `kill`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const MODULES = '/usr/lib/nginx/modules';

export const NGINX_NEEDS: Requirements = {
  commands: ['nginx', 'openssl', 'setpriv'],
  conditions: {
    'the nginx module echo': existsSync(join(MODULES, 'ngx_http_echo_module.so')),
    'the nginx module dav-ext': existsSync(join(MODULES, 'ngx_http_dav_ext_module.so')),
  },
};

const START_ATTEMPTS = 5;

/** The caller calls `stop` in the end. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const state = makeTemporaryFolder();
  for (const name of ['body', 'proxy', 'fastcgi', 'scgi', 'uwsgi']) mkdirSync(join(state, name));
  const { port, ...started } = await startOnFreePort(state, options);
  let { server } = started;
  return {
    url: options.tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    port,
    requests: () =>
      readFileSync(join(state, 'access.log'), 'utf8')
        .split('\n')
        .filter((line) => line !== ''),
    kill: () => server.stop(),
    restart: async () => {
      server = await startServer(nginxCommand(state), () => accepts(port));
    },
    stop: async () => {
      await server.stop();
      removeTree(state);
    },
  };
}

async function startOnFreePort(
  state: string,
  options: NginxOptions,
): Promise<{ port: number; server: ServerProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    writeFileSync(configurationFile(state), configuration(state, port, options));
    try {
      const server = await startServer(nginxCommand(state), () => accepts(port));
      return { port, server };
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('Address already in use');
      if (!isTaken || attempt === START_ATTEMPTS) throw error;
    }
  }
}

function configurationFile(state: string): string {
  return join(state, 'nginx.conf');
}

function nginxCommand(state: string): readonly string[] {
  const program = findCommand('nginx') ?? 'nginx';
  return [program, '-p', state, '-c', configurationFile(state), '-e', 'stderr'];
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** One process without a master: nothing is left when it is killed. */
function configuration(state: string, port: number, options: NginxOptions): string {
  return `
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 8192;
pid ${state}/nginx.pid; error_log stderr error;
load_module ${MODULES}/ngx_http_echo_module.so;
load_module ${MODULES}/ngx_http_dav_ext_module.so;
events { worker_connections 2048; }
http {
  log_format short '$request_method $request_uri $status';
  access_log ${state}/access.log short;
  default_type application/octet-stream;
  types { }
  keepalive_requests 1000000; sendfile on; tcp_nodelay on;
  client_max_body_size 0;
  client_body_temp_path ${state}/body; proxy_temp_path ${state}/proxy;
  fastcgi_temp_path ${state}/fastcgi; scgi_temp_path ${state}/scgi;
  uwsgi_temp_path ${state}/uwsgi;
  server {
    listen 127.0.0.1:${port}${options.tls ? ' ssl' : ''} backlog=2048;
    ${[...tlsLines(options), ...loginLines(state, options), ...locationLines(options)].join('\n')}
    ${(options.configuration ?? []).join('\n')}
  }
}
`;
}

function tlsLines({ tls }: NginxOptions): readonly string[] {
  if (tls === undefined) return [];
  const { certificates, wantsClient = false } = tls;
  return [
    `ssl_certificate ${certificates.serverCertificate};`,
    `ssl_certificate_key ${certificates.serverKey};`,
    ...(wantsClient
      ? [`ssl_client_certificate ${certificates.authority};`, 'ssl_verify_client on;']
      : []),
  ];
}

function loginLines(state: string, { login }: NginxOptions): readonly string[] {
  if (login === undefined) return [];
  const file = join(state, 'passwords');
  writeFileSync(file, `${login.user}:{PLAIN}${login.password}\n`);
  return ['auth_basic "store";', `auth_basic_user_file ${file};`];
}

function locationLines(options: NginxOptions): readonly string[] {
  const { folder, isWritable = false, makesFolders = true, latencyMs = 0 } = options;
  const files = [
    `root ${folder};`,
    ...(isWritable
      ? [
          'dav_methods PUT DELETE MKCOL; dav_ext_methods PROPFIND OPTIONS;',
          `create_full_put_path ${makesFolders ? 'on' : 'off'};`,
        ]
      : []),
  ].join(' ');
  if (latencyMs === 0) return [`location / { ${files} }`];
  const pause = `echo_sleep ${latencyMs / 1000}; echo_exec @files;`;
  return [`location / { ${pause} }`, `location @files { ${files} }`];
}

export interface TestCertificates {
  /** Paths of PEM files. */
  readonly authority: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
}

/**
 * A certificate authority of its own in `folder`, with a server and a client that it vouches for.
 * @param names of the server, as openssl writes them
 */
export function makeCertificates(
  folder: string,
  names = 'DNS:localhost,IP:127.0.0.1,IP:::1',
): TestCertificates {
  const openssl = (...words: readonly string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: 'ignore' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const signer = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'authority.key',
    '-out',
    'authority.pem',
    '-days',
    '2',
    '-subj',
    '/CN=casync test authority',
  );
  for (const name of ['server', 'client']) {
    const extensions = join(folder, `${name}.ext`);
    writeFileSync(extensions, `subjectAltName=${names}\n`);
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-days',
      '2',
      '-extfile',
      extensions,
      '-out',
      `${name}.pem`,
    );
  }
  return {
    authority: join(folder, 'authority.pem'),
    serverCertificate: join(folder, 'server.pem'),
    serverKey: join(folder, 'server.key'),
    clientCertificate: join(folder, 'client.pem'),
    clientKey: join(folder, 'client.key'),
  };
}
