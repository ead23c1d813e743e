/** A real vsftpd for tests, with a folder of its own. Needs root. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Requirements } from './requirements.ts';
import { freePort, type ServerProcess, startServer } from './server-process.ts';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';

export const FTP_NEEDS: Requirements = { root: true, commands: ['vsftpd', 'setpriv'] };

export interface FtpServer {
  readonly port: number;
  /** What clients see as `/files`. Everybody may write there, which cannot be in the root. */
  readonly folder: string;
  readonly process: ServerProcess;
  /** PEM file of the server's certificate, if it wants TLS. */
  readonly certificate: string | undefined;
  /** Cuts all connections; new ones are accepted. */
  dropConnections(): void;
  stop(): Promise<void>;
}

export interface FtpServerOptions {
  /** Only `anonymous` with this password may log in. Without it, any password will do. */
  readonly password?: string;
  /** Nothing without TLS. Needs `openssl`. */
  readonly tls?: boolean;
  /** Further lines of vsftpd.conf. */
  readonly configuration?: readonly string[];
}

/** The caller calls `stop` in the end. The server ends with this process in any case. */
export async function startFtpServer(options: FtpServerOptions = {}): Promise<FtpServer> {
  const own = makeTemporaryFolder();
  chmodSync(own, 0o755);
  const folder = join(own, 'root', 'files');
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o777);
  mkdirSync('/var/run/vsftpd/empty', { recursive: true });
  const certificate = options.tls ? makeCertificate(own) : undefined;
  const { port, server } = await startOnFreePort(own, options);
  return {
    port,
    folder,
    certificate,
    process: server,
    dropConnections: () => server.killChildren(),
    stop: async () => {
      await server.stop();
      removeTree(own);
    },
  };
}

async function startOnFreePort(
  own: string,
  options: FtpServerOptions,
): Promise<{ readonly port: number; readonly server: ServerProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const file = join(own, 'vsftpd.conf');
    writeFileSync(file, `${configuration(own, port, options).join('\n')}\n`);
    try {
      return { port, server: await startServer(['vsftpd', file], () => answers(port)) };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

function configuration(
  own: string,
  port: number,
  { password, tls, configuration: more = [] }: FtpServerOptions,
): readonly string[] {
  const passwords = join(own, 'passwords');
  if (password !== undefined) writeFileSync(passwords, `${password}\n`);
  return [
    'listen=YES',
    'listen_address=127.0.0.1',
    `listen_port=${port}`,
    'background=NO',
    'seccomp_sandbox=NO',
    'isolate=NO',
    'isolate_network=NO',
    'anonymous_enable=YES',
    'local_enable=NO',
    // Some user whose home is there; what he sees is the next line.
    'ftp_username=daemon',
    `anon_root=${join(own, 'root')}`,
    'write_enable=YES',
    'anon_upload_enable=YES',
    'anon_mkdir_write_enable=YES',
    'anon_other_write_enable=YES',
    'anon_world_readable_only=NO',
    'anon_umask=022',
    'connect_from_port_20=NO',
    'xferlog_enable=NO',
    'max_clients=0',
    'max_per_ip=0',
    'delay_failed_login=0',
    ...(password === undefined
      ? []
      : ['secure_email_list_enable=YES', `email_password_file=${passwords}`]),
    ...(tls
      ? [
          'ssl_enable=YES',
          'allow_anon_ssl=YES',
          'force_anon_logins_ssl=YES',
          'force_anon_data_ssl=YES',
          'require_ssl_reuse=NO',
          `rsa_cert_file=${join(own, 'certificate.pem')}`,
          `rsa_private_key_file=${join(own, 'key.pem')}`,
        ]
      : []),
    ...more,
  ];
}

function makeCertificate(own: string): string {
  const path = join(own, 'certificate.pem');
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
      ...['-keyout', join(own, 'key.pem'), '-out', path],
    ],
    { stdio: 'ignore' },
  );
  return path;
}

/** Whether somebody greets there. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => socket.end('QUIT\r\n'));
    socket.once('data', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
