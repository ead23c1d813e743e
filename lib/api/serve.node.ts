/** `serve` of the library: chunks and indexes over HTTP (spec/api.md, "serve"). */
import { createTranscoder } from '../../store/transcoder.ts';
import { createCodecs } from '../compress/codecs.node.ts';
import { createDigest } from '../digest/digest.node.ts';
import { PipelineError } from '../errors.ts';
import { descriptorLimit } from '../os/limits.node.ts';
import { type AccessLog, openAccessLog } from '../serve/http/access-log.node.ts';
import { createAuthorizer } from '../serve/http/authorize.node.ts';
import { Connections } from '../serve/http/connections.node.ts';
import { createHandler } from '../serve/http/handler.ts';
import { DEFAULT_SERVE_LIMITS, type ServeLimits } from '../serve/http/limits.ts';
import { Makers } from '../serve/http/makers.ts';
import { type Gauge, Metrics } from '../serve/http/metrics.ts';
import { type OpenedPlace, openPlace } from '../serve/http/open-place.node.ts';
import type { TlsFiles } from '../serve/http/tls.node.ts';
import { Uploads } from '../serve/http/upload.ts';
import { parseListenAddress } from '../serve/listen-address.ts';
import type { PlaceOptions } from './options.ts';
import { settingsOf } from './stores.node.ts';

export type { ServeLimits, TlsFiles };

export interface ServeOptions extends PlaceOptions {
  /** Folder or locator of what is served: indexes and `.castr` stores, or one `.castr` store. */
  readonly place: string;
  /** `ADDRESS:PORT`, `[IPv6]:PORT` or `unix:PATH`; default `127.0.0.1:8080`. Port 0 is any free one. */
  readonly listen?: string;
  /**
   * Allows uploads to whoever has a token: one a line, 16 characters or more. Called at the start and
   * by `reload`. Without it nothing can be written.
   */
  readonly readTokens?: () => string;
  /** PEM files; without them the server speaks plain HTTP. */
  readonly tls?: TlsFiles;
  /** Path of the access log; `-` is standard output. */
  readonly accessLog?: string;
  /** Of compressed chunks, default `.cacnk`. */
  readonly suffix?: string;
  readonly limits?: Partial<ServeLimits>;
  /** Told of failures that requesters learn nothing of. */
  readonly onFailure?: (error: unknown) => void;
}

export interface ServeResult {
  /** Where it listens: `http://127.0.0.1:8080`, or `unix:PATH`. */
  readonly address: string;
  /** Reads tokens and certificates again and opens the access log anew. @throws CasError; then the old ones stay */
  reload(): void;
  /** Takes no more requests; resolves when those under way are done and everything is closed. */
  close(): Promise<void>;
}

const DEFAULT_LISTEN = '127.0.0.1:8080';
const DEFAULT_SUFFIX = '.cacnk';
/** Descriptors that are needed for other things than connections. */
const OTHER_DESCRIPTORS = 128;

/**
 * Gives chunks and indexes away over HTTP until it is closed.
 * @throws CasError `USAGE`, `STORE_MISSING`, `UNSUPPORTED`; StorageError
 */
export async function serve(options: ServeOptions): Promise<ServeResult> {
  // Whoever loads the library need not load the parts of Node that only a server needs.
  const [{ openHttpServer }, { readTlsSettings }] = await Promise.all([
    import('../serve/http/server.node.ts'),
    import('../serve/http/tls.node.ts'),
  ]);
  const limits = limitsOf(options.limits);
  const listen = parseListenAddress(options.listen ?? DEFAULT_LISTEN);
  const tls = options.tls === undefined ? undefined : readTlsSettings(options.tls);
  const tokens = options.readTokens && reloadable(options.readTokens, createAuthorizer);
  const opened = await openPlace(options.place, (locator) => settingsOf(locator, options));
  const ends: (() => Promise<void> | void)[] = [() => opened.place.close()];
  const closeAll = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const accessLog =
      options.accessLog === undefined ? undefined : openAccessLog(options.accessLog);
    if (accessLog !== undefined) ends.push(() => accessLog.close());
    const connections = new Connections(limits.maxConnections);
    const metrics = new Metrics(gaugesOf(connections, accessLog));
    const { onFailure, suffix = DEFAULT_SUFFIX } = options;
    const failures = onFailure === undefined ? {} : { onFailure };
    const makers = tokens && createMakers(opened, limits);
    if (makers !== undefined) ends.push(() => makers.close());
    const uploads =
      makers &&
      new Uploads({
        ...failures,
        place: opened.place,
        makers,
        limits,
        suffix,
        transcoder: createUploadTranscoder(limits),
        authorize: (authorization) => tokens?.current(authorization) === true,
      });
    const handler = createHandler({
      ...failures,
      place: opened.place,
      rules: { isStore: opened.isStore, suffix },
      metrics: () => metrics.text(),
      ...(uploads === undefined ? {} : { uploads }),
    });
    const server = await openHttpServer({
      ...failures,
      ...{ handler, limits, listen, metrics, connections },
      ...(tls === undefined ? {} : { tls }),
      ...(accessLog === undefined ? {} : { accessLog }),
    });
    ends.push(() => server.close());
    return {
      address: server.address,
      close: closeAll,
      reload() {
        const settings = options.tls === undefined ? undefined : readTlsSettings(options.tls);
        tokens?.reload();
        accessLog?.reopen();
        if (settings !== undefined) server.setTls(settings);
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function limitsOf(given: Partial<ServeLimits> = {}): ServeLimits {
  const limits = { ...DEFAULT_SERVE_LIMITS, ...given };
  const most = Math.max(1, descriptorLimit() - OTHER_DESCRIPTORS);
  return { ...limits, maxConnections: Math.min(limits.maxConnections, most) };
}

interface Reloadable<T> {
  readonly current: T;
  reload(): void;
}

function reloadable<T>(read: () => string, parse: (text: string) => T): Reloadable<T> {
  let current = parse(read());
  return {
    get current() {
      return current;
    },
    reload() {
      current = parse(read());
    },
  };
}

/** @throws CasError `DENIED` if the place cannot be written */
function createMakers(opened: OpenedPlace, limits: ServeLimits): Makers {
  if (!opened.canWrite) {
    const reason = 'This place cannot be written.';
    throw new PipelineError('DENIED', { subject: opened.place.label, reason });
  }
  return new Makers({
    open: (store) => opened.openStore(store, limits.leaseWaitMs),
    idleMs: limits.makerIdleMs,
    now: () => performance.now(),
    every(ms, action) {
      const timer = setInterval(action, ms);
      timer.unref();
      return () => clearInterval(timer);
    },
  });
}

function createUploadTranscoder(limits: ServeLimits): ReturnType<typeof createTranscoder> {
  return createTranscoder({
    digests: [createDigest('sha512-256'), createDigest('sha256')],
    codecs: createCodecs(),
    maxChunkSize: limits.maxChunkBytes,
  });
}

function gaugesOf(connections: Connections, log: AccessLog | undefined): readonly Gauge[] {
  const startedAt = Date.now() / 1000;
  return [
    {
      name: 'connections',
      help: 'Open connections.',
      type: 'gauge',
      value: () => connections.count,
    },
    {
      name: 'lost_log_lines_total',
      help: 'Lines that could not be written to the access log.',
      type: 'counter',
      value: () => log?.lostCount ?? 0,
    },
    {
      name: 'resident_memory_bytes',
      help: 'Memory of the process.',
      type: 'gauge',
      value: () => process.memoryUsage.rss(),
    },
    {
      name: 'cpu_seconds_total',
      help: 'Processor time of the process.',
      type: 'counter',
      value: () => {
        const { user, system } = process.cpuUsage();
        return (user + system) / 1e6;
      },
    },
    {
      name: 'start_time_seconds',
      help: 'When the server was started, since 1970.',
      type: 'gauge',
      value: () => startedAt,
    },
  ];
}
