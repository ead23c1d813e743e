/** HTTPS: certificates of the server and of clients, and their exchange while it runs. */

import { once } from 'node:events';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { isCasError } from '../../../../formats/errors.ts';
import { collect, connectTo, exchange } from '../../../helpers/http-exchange.ts';
import { makeCertificates } from '../../../helpers/nginx.ts';
import { requirement } from '../../../helpers/requirements.ts';
import { folderToServe, startServer } from '../../../helpers/served-folder.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

function certificatesIn(t: ExecutionContext): { folder: string; certificate: string; key: string } {
  const folder = temporaryFolder(t);
  makeCertificates(folder);
  return { folder, certificate: join(folder, 'server.pem'), key: join(folder, 'server.key') };
}

test('chunks and indexes over HTTPS', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder, index } = await folderToServe(t);
  const { folder: certificates, certificate, key } = certificatesIn(t);
  const { address } = await startServer(t, folder, { tls: { certificate, key } });
  t.regex(address, /^https:/);
  const ca = fs.readFileSync(join(certificates, 'authority.pem'));
  const reply = await exchange(address, { path: '/x.caibx', tls: { ca } });
  t.deepEqual(reply.body, Buffer.from(index));
  const error: NodeJS.ErrnoException = await t.throwsAsync(exchange(address, { path: '/x.caibx' }));
  t.regex(error.code ?? '', /CERT|SIGNATURE/);
});

test('with authorities for clients, who has no certificate of theirs gets nothing', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { folder: own, certificate, key } = certificatesIn(t);
  const { folder: others } = certificatesIn(t);
  const clientAuthorities = join(own, 'authority.pem');
  const tls = { certificate, key, clientAuthorities };
  const { address } = await startServer(t, folder, { tls });
  const ca = fs.readFileSync(clientAuthorities);
  const identity = (place: string) => ({
    cert: fs.readFileSync(join(place, 'client.pem')),
    key: fs.readFileSync(join(place, 'client.key')),
  });
  const get = (more: object) => exchange(address, { path: '/x.caibx', tls: { ca, ...more } });
  t.is((await get(identity(own))).status, 200);
  await t.throwsAsync(get({}));
  await t.throwsAsync(get(identity(others)));
});

test('plain HTTP on an HTTPS port, and old versions of TLS, are refused', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { certificate, key } = certificatesIn(t);
  const { address } = await startServer(t, folder, { tls: { certificate, key } });
  const socket = connectTo(address);
  socket.write('GET /x.caibx HTTP/1.1\r\nHost: h\r\n\r\n');
  t.notRegex(await collect(socket), /200/);
  const settings = {
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    rejectUnauthorized: false,
  } as const;
  const ciphers = 'DEFAULT@SECLEVEL=0';
  const old = connect({ port: Number(new URL(address).port), ...settings, ciphers });
  const [error] = await once(old, 'error');
  t.regex(String(error), /alert|protocol|version/i);
});

test('a handshake that does not come is not waited for', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { certificate, key } = certificatesIn(t);
  const limits = { headersTimeoutMs: 200 };
  const { address } = await startServer(t, folder, { tls: { certificate, key }, limits });
  t.is(await collect(connectTo(address)), '');
});

test('new certificates are read on demand; while they are wrong the old ones stay', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { certificate, key } = certificatesIn(t);
  const { folder: newer } = certificatesIn(t);
  const server = await startServer(t, folder, { tls: { certificate, key } });
  const seen = async (): Promise<string> => {
    const port = Number(new URL(server.address).port);
    const socket: TLSSocket = connect({ port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 }: PeerCertificate = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const first = await seen();
  fs.copyFileSync(join(newer, 'server.pem'), certificate);
  t.throws(() => server.reload());
  t.is(await seen(), first);
  fs.copyFileSync(join(newer, 'server.key'), key);
  server.reload();
  t.not(await seen(), first);
});

test('what is no certificate is refused at the start', async (t) => {
  if (!requirement(t, { commands: ['openssl'] })) return;
  const { folder } = await folderToServe(t);
  const { folder: own, certificate, key } = certificatesIn(t);
  const wrong = join(own, 'wrong');
  fs.writeFileSync(wrong, 'nothing');
  for (const tls of [
    { certificate: wrong, key },
    { certificate, key: wrong },
    { certificate, key, clientAuthorities: wrong },
    { certificate, key: join(own, 'client.key') },
    { certificate: join(own, 'missing'), key },
  ]) {
    t.true(isCasError(await t.throwsAsync(startServer(t, folder, { tls }))));
  }
});
