/** `serveNbd` of the library: a blob as a network block device (spec/api.md, "serveNbd"; spec/nbd.md). */
import { NBD_LIMIT } from '../../formats/nbd-constants.ts';
import { PipelineError } from '../errors.ts';
import { descriptorLimit } from '../os/limits.node.ts';
import { rememberExtents } from '../read/remembered-extents.ts';
import { createFailureReports } from '../serve/failure-reports.ts';
import { parseListenAddress } from '../serve/listen-address.ts';
import { DEFAULT_NBD_LIMITS, type NbdServerLimits } from '../serve/nbd/limits.ts';
import { type NbdListener, openNbdServer } from '../serve/nbd/server.node.ts';
import { nbdUri } from '../serve/nbd/uri.ts';
import { deferred } from '../work/deferred.ts';
import { type BlockExportOptions, openBlockExport } from './block-export.node.ts';
import { kindOfPath } from './kinds.ts';

export type { NbdServerLimits };

export interface ServeNbdOptions extends Omit<BlockExportOptions, 'kind' | 'readAhead'> {
  /** By default what the suffix of the path says, else a blob. */
  readonly kind?: BlockExportOptions['kind'];
  /**
   * `ADDRESS:PORT` or `[IPv6]:PORT`; port 0 is any free one. Default `127.0.0.1:10809`, if there is
   * no other way in.
   */
  readonly listen?: string;
  /** Path of a unix socket, which only this user can connect to. */
  readonly socket?: string;
  /** Descriptors of sockets that listen already. */
  readonly descriptors?: readonly number[];
  /** What clients call the export; those that call it nothing get it, too. Default the empty name. */
  readonly exportName?: string;
  /** What clients are told of the export; default its label. */
  readonly description?: string;
  readonly limits?: Partial<NbdServerLimits>;
  /** Told of failures to read or write. Clients get an error for the request alone. */
  readonly onFailure?: (error: unknown) => void;
}

export interface ServeNbdResult {
  /** Where it listens, as URIs that clients understand. */
  readonly addresses: readonly string[];
  /** Of the export, in bytes. */
  readonly size: number;
  /** Takes no more requests; resolves when those under way are answered and everything is closed. */
  close(): Promise<void>;
  /** Resolves when the server is closed. */
  readonly ended: Promise<void>;
}

const DEFAULT_LISTEN = '127.0.0.1:10809';
/** Descriptors that are needed for other things than connections. */
const OTHER_DESCRIPTORS = 128;

/**
 * Serves a blob, an archive's bytes or what is behind an index until it is closed.
 * @throws CasError `USAGE`; what opening the input throws; StorageError
 */
export async function serveNbd(options: ServeNbdOptions): Promise<ServeNbdResult> {
  const { exportName = '', onFailure: tell = () => {} } = options;
  const onFailure = createFailureReports({ tell });
  const listeners = listenersOf(options);
  const name = nameBytes(exportName);
  const { kind = kindOfPath(options.input) ?? 'blob' } = options;
  const blockExport = await openBlockExport({ ...options, kind }, rememberExtents);
  const { size, label, writer } = blockExport;
  try {
    const server = await openNbdServer({
      ...{ blockExport, listeners, onFailure },
      limits: limitsOf(options.limits),
      described: {
        name,
        description: Buffer.from(options.description ?? label).subarray(0, NBD_LIMIT.stringBytes),
        size,
        isWritable: writer !== undefined,
      },
    });
    const ended = deferred<void>();
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await server.close();
      await blockExport.close();
    };
    return {
      addresses: server.addresses.map((address) => nbdUri(address, exportName)),
      size,
      ended: ended.promise,
      close() {
        closing ??= close();
        closing.then(ended.resolve, ended.reject);
        return closing;
      },
    };
  } catch (error) {
    await blockExport.close();
    throw error;
  }
}

/** @throws CasError `USAGE` */
function listenersOf({ listen, socket, descriptors = [] }: ServeNbdOptions): NbdListener[] {
  const listeners: NbdListener[] = descriptors.map((descriptor) => ({ descriptor }));
  if (socket !== undefined) listeners.push({ path: socket });
  if (listen !== undefined || listeners.length === 0) {
    listeners.push(parseListenAddress(listen ?? DEFAULT_LISTEN));
  }
  return listeners;
}

/** @throws CasError `USAGE` */
function nameBytes(exportName: string): Uint8Array {
  const bytes = Buffer.from(exportName);
  if (bytes.length <= NBD_LIMIT.stringBytes && !exportName.includes('\0')) return bytes;
  const reason = `The name of an export has at most ${NBD_LIMIT.stringBytes} bytes, none of them 0.`;
  throw new PipelineError('USAGE', { reason });
}

function limitsOf(given: Partial<NbdServerLimits> = {}): NbdServerLimits {
  const limits = { ...DEFAULT_NBD_LIMITS, ...given };
  const most = Math.max(1, descriptorLimit() - OTHER_DESCRIPTORS);
  return { ...limits, maxConnections: Math.min(limits.maxConnections, most) };
}
