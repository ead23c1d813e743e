/** A signal ends commands that wait for a server which does not answer, and nothing half-made is left. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { noise } from '../helpers/golden.ts';
import { CASYNC, runCasync } from '../helpers/run-casync.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Silence {
  /** Of a server that takes connections and says nothing. */
  readonly address: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Resolves when a command waits for it. */
  readonly asked: () => Promise<void>;
}

async function silence(t: ExecutionContext, folder: string): Promise<Silence> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const mark = join(folder, 'asked');
  const ssh = join(folder, 'silent-ssh');
  writeFileSync(ssh, `#!/bin/sh\n: > '${mark}'\nexec sleep 60\n`);
  chmodSync(ssh, 0o755);
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    environment: {
      CASYNC_SSH_PATH: ssh,
      AWS_ACCESS_KEY_ID: 'nobody',
      AWS_SECRET_ACCESS_KEY: 'nothing',
    },
    async asked() {
      while (sockets.size === 0 && !existsSync(mark)) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** AT stands for the address. */
const COMMANDS = [
  'extract http://AT/x.caibx out.img',
  'extract --store=http://AT/s.castr x.caibx out.img',
  'make --store=http://AT/s.castr out.caibx x.img',
  'make http://AT/out.caibx x.img',
  'list http://AT/x.catar',
  'make --store=s3+http://AT/bucket/s out.caibx x.img',
  'gc --store=s3+http://AT/bucket/s x.caibx',
  'extract --store=ftp://AT/s x.caibx out.img',
  'verify --store=http://AT/s x.caibx',
  'copy --store=http://AT/s --to=other.castr x.caibx',
  'extract host:x.caibx out.img',
  'extract --store=host:s x.caibx out.img',
  'make --store=host:s out.caibx x.img',
  'extract --store=sftp://host/s x.caibx out.img',
];

for (const line of COMMANDS) {
  test(`${line}: ends with 130, and leaves nothing`, async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'x.img'), noise(300_000));
    t.is((await runCasync(['make', 'x.caibx', 'x.img'], { cwd: folder })).status, 0);
    const { address, environment, asked } = await silence(t, folder);
    const words = line.replace('AT', address).split(' ');
    const child: ChildProcess = spawn(CASYNC, words, {
      cwd: folder,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr?.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    const ended = once(child, 'close');
    await Promise.race([asked(), ended]);
    child.kill('SIGTERM');
    const [status] = await ended;
    t.is(status, 130, errors);
    t.is(errors, 'Got exit signal, quitting.\n');
    const left = readdirSync(folder).filter(
      (name) => name.includes('out') || name.startsWith('.#'),
    );
    t.deepEqual(left, []);
  });
}
