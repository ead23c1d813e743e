/**
 * A server under load: many connections of good requests, each answer checked by digest, beside others
 * that read slowly, send slowly or nothing at all. Used by `npm run test:load` and a short test.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { Pool } from 'undici';
import { encodeIndex } from '../../formats/index-codec.ts';
import { noise } from '../helpers/golden.ts';
import { exchange } from '../helpers/http-exchange.ts';
import { type ServeProcess, spawnServe } from '../helpers/serve-process.ts';
import { chunkPath } from '../helpers/served-folder.ts';
import { storeBlob, storeIn } from '../helpers/stored-blob.ts';
import { makeTemporaryFolder, removeTree } from '../helpers/temporary-folder.ts';

export interface LoadOptions {
  readonly seconds: number;
  /** Of good requests, one at a time on each. */
  readonly connections: number;
  /** Of each kind of bad ones. */
  readonly badConnections: number;
}

export interface LoadResult {
  readonly requestCount: number;
  readonly bytesReceived: number;
  /** Bad connections that the server has ended, and that were made anew. */
  readonly badEndCount: number;
  /** Milliseconds. */
  readonly median: number;
  readonly p99: number;
  readonly slowest: number;
  /** Of the server. */
  readonly peakMemoryBytes: number;
  /** Of the server's processor time, for each request. */
  readonly microsecondsPerRequest: number;
  /** What has gone wrong with good requests; the first ones. */
  readonly errors: readonly string[];
  readonly errorCount: number;
}

const CHUNK_SIZES = { min: 16384, avg: 65536, max: 262144 };
const CONTENT_BYTES = 24 * 1024 * 1024;
const LARGE_BYTES = 48 * 1024 * 1024;
const BAD_INTERVAL_MS = 500;
const MOST_ERRORS = 10;

interface Expected {
  readonly method: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  /** Digest of the body. */
  readonly digest: string;
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Makes what is served. @returns the requests to choose from */
async function prepare(folder: string): Promise<readonly Expected[]> {
  mkdirSync(folder, { recursive: true });
  const index = await storeBlob(
    noise(CONTENT_BYTES),
    storeIn(folder, 'default.castr'),
    CHUNK_SIZES,
  );
  const bytes = encodeIndex(index);
  writeFileSync(join(folder, 'x.caibx'), bytes);
  writeFileSync(join(folder, 'large.caibx'), Buffer.alloc(LARGE_BYTES, 1));
  const nothing = digestOf(new Uint8Array(0));
  const requests: Expected[] = [
    { method: 'GET', path: '/x.caibx', status: 200, digest: digestOf(bytes) },
    { method: 'GET', path: '/y.caibx', status: 404, digest: digestOf(Buffer.from('Not found.\n')) },
  ];
  for (let i = 0; i < index.count; i++) {
    const path = chunkPath(index.id(i));
    const stored = readFileSync(join(folder, path));
    requests.push({ method: 'GET', path, status: 200, digest: digestOf(stored) });
    const headers = { range: 'bytes=100-299' };
    const part = digestOf(stored.subarray(100, 300));
    if (i % 8 === 0) requests.push({ method: 'GET', path, headers, status: 206, digest: part });
    if (i % 8 === 1) requests.push({ method: 'HEAD', path, status: 200, digest: nothing });
    const absent = path.replace(/.\.cacnk$/, (end) => `${end[0] === '0' ? '1' : '0'}.cacnk`);
    if (i % 8 === 2) requests.push({ method: 'HEAD', path: absent, status: 404, digest: nothing });
  }
  return requests;
}

/** Puts load on a server of its own. */
export async function loadServer(options: LoadOptions): Promise<LoadResult> {
  const folder = makeTemporaryFolder();
  const place = join(folder, 'place');
  let server: ServeProcess | undefined;
  try {
    const requests = await prepare(place);
    server = await spawnServe(place, { args: [`--access-log=${join(folder, 'log')}`] });
    return await run(server, requests, options);
  } finally {
    server?.signal('SIGTERM');
    await server?.ended;
    removeTree(folder);
  }
}

async function run(
  server: ServeProcess,
  requests: readonly Expected[],
  { seconds, connections, badConnections }: LoadOptions,
): Promise<LoadResult> {
  const { address } = server;
  const enemies = ENEMIES.flatMap((begin) =>
    Array.from({ length: badConnections }, () => new Enemy(address, begin)),
  );
  const pool = new Pool(address, { connections, pipelining: 1 });
  const good = new GoodClients(pool, requests, performance.now() + 1000 * seconds);
  const before = await processorSeconds(address);
  await Promise.all(Array.from({ length: connections }, (_, i) => good.run(i)));
  const spent = (await processorSeconds(address)) - before;
  for (const enemy of enemies) enemy.end();
  await pool.close();
  const badEndCount = enemies.reduce((sum, enemy) => sum + enemy.endCount, 0);
  return good.result({ badEndCount, spent, peakMemoryBytes: peakMemory(server.pid) });
}

class GoodClients {
  readonly #pool: Pool;
  readonly #requests: readonly Expected[];
  readonly #deadline: number;
  readonly #times: number[] = [];
  readonly #errors: string[] = [];
  #errorCount = 0;
  #bytesReceived = 0;

  constructor(pool: Pool, requests: readonly Expected[], deadline: number) {
    this.#pool = pool;
    this.#requests = requests;
    this.#deadline = deadline;
  }

  /** One request after the other. @param first where it begins among all requests */
  async run(first: number): Promise<void> {
    for (let i = first * 7; performance.now() < this.#deadline; i++) {
      const expected = this.#requests[i % this.#requests.length];
      const startedAt = performance.now();
      try {
        await this.#ask(expected);
      } catch (error) {
        this.#complain(`${expected.method} ${expected.path}: ${error}`);
      }
      this.#times.push(performance.now() - startedAt);
    }
  }

  async #ask({ method, path, headers = {}, status, digest }: Expected): Promise<void> {
    const answer = await this.#pool.request({ method, path, headers });
    const body = new Uint8Array(await answer.body.arrayBuffer());
    this.#bytesReceived += body.length;
    if (answer.statusCode !== status) throw new Error(`status ${answer.statusCode}`);
    if (digestOf(body) !== digest) throw new Error(`wrong body of ${body.length} bytes`);
  }

  #complain(text: string): void {
    this.#errorCount++;
    if (this.#errors.length < MOST_ERRORS) this.#errors.push(text);
  }

  result(server: {
    readonly badEndCount: number;
    readonly spent: number;
    readonly peakMemoryBytes: number;
  }): LoadResult {
    const times = this.#times.sort((a, b) => a - b);
    const at = (share: number): number => times[Math.floor(share * (times.length - 1))] ?? 0;
    return {
      requestCount: times.length,
      bytesReceived: this.#bytesReceived,
      badEndCount: server.badEndCount,
      median: at(0.5),
      p99: at(0.99),
      slowest: at(1),
      peakMemoryBytes: server.peakMemoryBytes,
      microsecondsPerRequest: (1e6 * server.spent) / Math.max(1, times.length),
      errors: this.#errors,
      errorCount: this.#errorCount,
    };
  }
}

/** What a bad connection does at its begin and then again and again. */
type Begin = (socket: Socket) => () => void;

const ENEMIES: readonly Begin[] = [
  // Reads a large answer a little at a time.
  (socket) => {
    socket.write('GET /large.caibx HTTP/1.1\r\nHost: h\r\n\r\n');
    socket.pause();
    return () => void socket.read(16384);
  },
  // Says nothing.
  () => () => {},
  // Sends headers without end.
  (socket) => {
    socket.write('GET /x.caibx HTTP/1.1\r\nHost: h\r\n');
    return () => void socket.write('A: b\r\n');
  },
  // Asks and leaves.
  (socket) => {
    socket.write('GET /x.caibx HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(9));
    return () => void socket.resetAndDestroy();
  },
];

class Enemy {
  endCount = 0;
  readonly #address: URL;
  readonly #begin: Begin;
  #isOver = false;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(address: string, begin: Begin) {
    this.#address = new URL(address);
    this.#begin = begin;
    this.#start();
  }

  end(): void {
    this.#isOver = true;
    this.#socket?.destroy();
  }

  #start(): void {
    const socket = connect(Number(this.#address.port), this.#address.hostname);
    this.#socket = socket;
    socket.on('error', () => {});
    const go = this.#begin(socket);
    this.#timer = setInterval(go, BAD_INTERVAL_MS);
    socket.on('close', () => {
      clearInterval(this.#timer);
      if (this.#isOver) return;
      this.endCount++;
      this.#start();
    });
  }
}

async function processorSeconds(address: string): Promise<number> {
  const text = (await exchange(address, { path: '/metrics' })).body.toString();
  return Number(/^casync_serve_cpu_seconds_total (\S+)$/m.exec(text)?.[1]);
}

function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'ascii');
  return 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
}
