/**
 * A real S3 server for tests: the RADOS gateway of Ceph, with all its data in memory. It takes seconds
 * to start, so test files share one; each makes buckets of its own. It runs in a process that ends
 * everything soon after the last test process has gone, however that went.
 */
import { spawn } from 'node:child_process';
import { createHash, createHmac, type Hash, type Hmac, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { SignatureV4 } from '@smithy/signature-v4';
import type { ExecutionContext } from 'ava';
import type { LocationSettings } from '../../store/location-settings.ts';
import { requirement } from './requirements.ts';

export interface Gateway {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface GatewayAnswer {
  readonly status: number;
  readonly text: string;
  readonly bytes: Uint8Array;
}

export const GATEWAY_COMMANDS = [
  'ceph',
  'ceph-mon',
  'ceph-osd',
  'monmaptool',
  'radosgw',
  'radosgw-admin',
  'setpriv',
];
const KEEPER = join(import.meta.dirname, 'radosgw-keeper.mjs');
/** Longer than all attempts of the keeper take. */
const START_MS = 200_000;
const POLL_MS = 50;
/** In the kernel's own name space: goes away with the process that listens. */
const SOCKET = `casync-radosgw-${createHash('sha256')
  .update(`${import.meta.dirname} ${process.getuid?.()} ${process.env.CASYNC_TEST_GATEWAY ?? ''}`)
  .digest('hex')
  .slice(0, 16)}`;

/** Whether the gateway can be started; the test has been told otherwise. */
export function hasGateway(t: ExecutionContext): boolean {
  return requirement(t, { commands: GATEWAY_COMMANDS });
}

let shared: Promise<Gateway> | undefined;
let control: Socket | undefined;

/** The gateway, started if it does not run. Stays at least until this process ends. */
export function gateway(): Promise<Gateway> {
  shared ??= findGateway();
  return shared;
}

async function findGateway(): Promise<Gateway> {
  const began = performance.now();
  let socket = await connected();
  if (socket === undefined) {
    const keeper = spawn(process.execPath, [KEEPER, SOCKET], { detached: true, stdio: 'ignore' });
    keeper.unref();
  }
  while (socket === undefined) {
    if (performance.now() - began > START_MS) throw new Error('no gateway');
    await new Promise((done) => setTimeout(done, POLL_MS));
    socket = await connected();
  }
  const told = JSON.parse(await firstLine(socket)) as Gateway | { readonly failure: string };
  if ('failure' in told) throw new Error(`the gateway did not start: ${told.failure}`);
  control = socket;
  return told;
}

/**
 * Ends the gateway as a crash does, or starts it again with what it has stored. Only for who has one
 * of his own, by another value of `CASYNC_TEST_GATEWAY`.
 */
export async function tellGateway(word: 'kill' | 'start'): Promise<void> {
  await gateway();
  if (control === undefined) throw new Error('no gateway');
  control.write(`${word}\n`);
  control.ref();
  await firstLine(control);
}

function connected(): Promise<Socket | undefined> {
  return new Promise((done) => {
    const socket = connect(`\0${SOCKET}`);
    socket.once('connect', () => done(socket));
    socket.once('error', () => done(undefined));
  });
}

/** The connection stays open, but keeps nobody from ending. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((done, fail) => {
    let text = '';
    const onClose = (): void => fail(new Error('the gateway has ended'));
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
      if (!text.includes('\n')) return;
      socket.unref();
      socket.removeAllListeners('data').off('close', onClose);
      done(text);
    });
    socket.once('close', onClose);
  });
}

class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: unknown) {
    const isKeyed = typeof secret === 'string' || secret instanceof Uint8Array;
    this.#hash = isKeyed ? createHmac('sha256', secret) : createHash('sha256');
  }

  update(data: Uint8Array): void {
    this.#hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

/** A request to the gateway that has nothing to do with our own code but the signer. */
export async function askGateway(
  method: string,
  path: string,
  query: Readonly<Record<string, string>> = {},
  body: string | Uint8Array<ArrayBuffer> = '',
): Promise<GatewayAnswer> {
  const { endpoint, accessKeyId, secretAccessKey } = await gateway();
  const url = new URL(path, endpoint);
  const signer = new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256,
    uriEscapePath: false,
  });
  const { headers } = await signer.sign({
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: { ...query },
    headers: { host: url.host },
    body,
  });
  url.search = new URLSearchParams(query).toString();
  const answer = await fetch(url, { method, headers, ...(body === '' ? {} : { body }) });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return { status: answer.status, text: new TextDecoder().decode(bytes), bytes };
}

/** Makes a bucket and tells its name. */
export async function makeBucket(): Promise<string> {
  const name = `test-${randomBytes(8).toString('hex')}`;
  const { status, text } = await askGateway('PUT', `/${name}`);
  if (status !== 200) throw new Error(`no bucket: ${status} ${text}`);
  return name;
}

/** A place in the gateway, for example `bucket/prefix`, as a locator. */
export async function gatewayUrl(place: string): Promise<string> {
  const { host } = new URL((await gateway()).endpoint);
  return `s3+http://${host}/${place}`;
}

/** What our own code needs to know of the gateway. */
export async function gatewaySettings(
  more: Partial<LocationSettings> = {},
): Promise<LocationSettings> {
  const { accessKeyId, secretAccessKey } = await gateway();
  return { environment: {}, region: 'us-east-1', accessKeyId, secretAccessKey, ...more };
}
