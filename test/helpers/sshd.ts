/**
 * A real sshd for tests, with keys of its own, and a program in the place of ssh that leads every host
 * name to it. Logins: whoever runs the test; where that is root, also `nobody` (SFTP only, for
 * that user has no shell).
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { findCommand, type Requirements } from './requirements.ts';
import { freePort, type ServerProcess, startServer } from './server-process.ts';
import { makeTemporaryFolder, removeTree } from './temporary-folder.ts';

export interface SshServer {
  readonly port: number;
  /** Who may log in: the user of this process. */
  readonly user: string;
  /** Program to run instead of `ssh`: takes any host name, asks nothing, trusts the server. */
  readonly sshProgram: string;
  /** `ssh_config` that the program uses, for other clients (`sftp -F`). */
  readonly clientConfig: string;
  /** Folder of the server's own files; tests may add theirs. Others may enter it. */
  readonly folder: string;
  readonly process: ServerProcess;
  /** Cuts all connections; new ones are accepted. */
  dropConnections(): void;
  /** Ends it as a crash does, with all connections. */
  kill(): Promise<void>;
  /** Starts it again at the same address, after `kill`. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface SshServerOptions {
  /** Set for the commands that are run there, whose home is an empty folder. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Further lines of sshd_config, before all others: the first one that says something counts. */
  readonly configuration?: readonly string[];
}

export const SSH_NEEDS: Requirements = {
  commands: ['sshd', 'ssh', 'ssh-keygen', 'setpriv'],
};

/** The caller calls `stop` in the end. The server ends with this process in any case. */
export async function startSshServer(options: SshServerOptions = {}): Promise<SshServer> {
  const folder = makeTemporaryFolder();
  chmodSync(folder, 0o755);
  for (const name of ['host-key', 'client-key']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  // Where sshd runs as root, it wants this folder, which is made when the machine starts.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const { port, ...started } = await startOnFreePort(folder, options);
  let { server } = started;
  return {
    port,
    user: userInfo().username,
    sshProgram: writeProgram(folder),
    clientConfig: writeClientConfig(folder, port),
    folder,
    get process() {
      return server;
    },
    dropConnections: () => server.killChildren(),
    kill: () => server.stop(),
    restart: async () => {
      server = await startSshd(join(folder, 'sshd_config'));
    },
    stop: async () => {
      await server.stop();
      removeTree(folder);
    },
  };
}

async function startOnFreePort(
  folder: string,
  options: SshServerOptions,
): Promise<{ readonly port: number; readonly server: ServerProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const file = writeServerConfig(folder, port, options);
    try {
      return { port, server: await startSshd(file) };
    } catch (error) {
      if (attempt === 5) throw error;
    }
  }
}

function startSshd(file: string): Promise<ServerProcess> {
  // It starts itself again for each connection, so it wants to know its full path.
  const command = [findCommand('sshd') ?? 'sshd', '-D', '-e', '-f', file];
  return startServer(command, (log) => log.includes('Server listening on'));
}

function writeServerConfig(folder: string, port: number, options: SshServerOptions): string {
  const { environment = {}, configuration = [] } = options;
  const path = join(folder, 'sshd_config');
  // What the user's own start-up files of shells do shall not matter: bash reads them here, too.
  const home = join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const variables = Object.entries({ HOME: home, ...environment });
  const lines = [
    ...configuration,
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(folder, 'host-key')}`,
    `AuthorizedKeysFile ${join(folder, 'client-key.pub')}`,
    `PidFile ${join(folder, 'sshd.pid')}`,
    'StrictModes no',
    'PermitRootLogin yes',
    'PasswordAuthentication no',
    'UsePAM no',
    'UseDNS no',
    'MaxStartups 1000',
    'MaxSessions 1000',
    'LogLevel INFO',
    'Subsystem sftp internal-sftp',
    `SetEnv ${variables.map(([name, value]) => `"${name}=${value}"`).join(' ')}`,
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

function writeClientConfig(folder: string, port: number): string {
  const path = join(folder, 'ssh_config');
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, `server ${readFileSync(join(folder, 'host-key.pub'), 'ascii')}`);
  const lines = [
    'Host *',
    'HostName 127.0.0.1',
    `Port ${port}`,
    'HostKeyAlias server',
    `UserKnownHostsFile ${knownHosts}`,
    'GlobalKnownHostsFile /dev/null',
    'StrictHostKeyChecking yes',
    `IdentityFile ${join(folder, 'client-key')}`,
    'IdentitiesOnly yes',
    'IdentityAgent none',
    'BatchMode yes',
    'LogLevel ERROR',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

function writeProgram(folder: string): string {
  const path = join(folder, 'ssh');
  writeFileSync(path, `#!/bin/sh\nexec ssh -F '${join(folder, 'ssh_config')}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
