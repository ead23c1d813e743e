import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { notify } from '../../../lib/os/notify.node.ts';
import { requirement } from '../../helpers/requirements.ts';
import { temporaryFolder } from '../../helpers/temporary-folder.ts';

const LISTENER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace('@', chr(0), 1))
print('ready', flush=True)
s.settimeout(20)
print(s.recv(4096).decode(), end='', flush=True)
`;

for (const kind of ['path', 'abstract name'] as const) {
  test.serial(`the text arrives as one datagram: ${kind}`, async (t) => {
    if (!requirement(t, { commands: ['python3'] })) return;
    const path = join(temporaryFolder(t), 'socket');
    const address = kind === 'path' ? path : `@${path}`;
    const listener = spawn('python3', ['-c', LISTENER, address], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    listener.stdout.on('data', (bytes: Buffer) => {
      output += bytes;
    });
    await once(listener.stdout, 'data');
    process.env.NOTIFY_SOCKET = address;
    notify('READY=1\nDEVICE=/dev/nbd0');
    await once(listener, 'close');
    t.is(output, 'ready\nREADY=1\nDEVICE=/dev/nbd0');
  });
}

test.serial('nobody listening is no failure', (t) => {
  for (const address of [
    undefined,
    '',
    '@',
    'relative',
    '/nonexistent/socket',
    `/${'x'.repeat(200)}`,
  ]) {
    if (address === undefined) delete process.env.NOTIFY_SOCKET;
    else process.env.NOTIFY_SOCKET = address;
    t.notThrows(() => notify('READY=1'));
  }
});
