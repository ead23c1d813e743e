/** Every bound of the HTTP server (spec/remote.md, "The server"). Used by all of it. */

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

export interface ServeLimits {
  /** More are answered with 503 and closed. */
  readonly maxConnections: number;
  /** After so many requests a connection is closed, politely. */
  readonly maxRequestsPerConnection: number;
  /** Bytes of a request's first line and headers together. */
  readonly maxHeaderBytes: number;
  readonly maxHeaderCount: number;
  /** How long the headers of a request may take, and the handshake of TLS. */
  readonly headersTimeoutMs: number;
  /** How long a request may take to arrive, with its body. */
  readonly requestTimeoutMs: number;
  /** How long nothing may happen on a connection, between requests or within one. */
  readonly idleTimeoutMs: number;
  /** How long running requests are waited for when the server is closed. */
  readonly closeTimeoutMs: number;
  /** Bytes of a chunk, plain; larger ones are not accepted. */
  readonly maxChunkBytes: number;
  /** Bytes of an index; larger ones are not accepted. */
  readonly maxIndexBytes: number;
  /** Bytes of all uploads that are held in memory at a time. */
  readonly uploadMemoryBytes: number;
  /** So long after the last request of a maker no gc may remove chunks. */
  readonly makerIdleMs: number;
  /** How long a maker's request waits for a gc that runs. */
  readonly leaseWaitMs: number;
}

export const DEFAULT_SERVE_LIMITS: ServeLimits = {
  maxConnections: 1024,
  maxRequestsPerConnection: 100_000,
  maxHeaderBytes: 8192,
  maxHeaderCount: 64,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 5 * MINUTE_MS,
  idleTimeoutMs: MINUTE_MS,
  closeTimeoutMs: 30_000,
  // What the casync protocol can carry.
  maxChunkBytes: 16 * MIB,
  maxIndexBytes: 256 * MIB,
  uploadMemoryBytes: 512 * MIB,
  makerIdleMs: 10 * MINUTE_MS,
  leaseWaitMs: 5000,
};
