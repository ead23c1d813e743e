/** The requests of a block device of the kernel, which negotiates nothing. Used by mkdev. */
import { Socket } from 'node:net';
import { BufferPool } from '../buffer-pool.ts';
import type { BlockExport } from './block-export.ts';
import { SharedMemory } from './client-memory.ts';
import { NbdConnection } from './connection.node.ts';
import { DEFAULT_NBD_LIMITS } from './limits.ts';

/** The kernel knows neither chunks of answers nor contexts. */
const AGREEMENT = { isStructured: false, hasAllocation: false } as const;

/**
 * Answers what comes on a socket, until that is closed.
 * @param descriptor of the socket; belongs to the callee
 * @param onFailure told of failures to read or write; the device gets an error for the request alone
 */
export function serveKernel(
  descriptor: number,
  blockExport: BlockExport,
  onFailure: (error: unknown) => void,
): { close(): Promise<void> } {
  const socket = new Socket({
    fd: descriptor,
    readable: true,
    writable: true,
    allowHalfOpen: true,
  });
  const { totalBytes } = DEFAULT_NBD_LIMITS;
  const connection = new NbdConnection(socket, {
    ...{ blockExport, onFailure },
    beginning: AGREEMENT,
    memory: new SharedMemory({ totalBytes, clientBytes: totalBytes }),
    pool: new BufferPool((size) => Buffer.allocUnsafeSlow(size)),
    limits: DEFAULT_NBD_LIMITS,
  });
  return {
    close() {
      connection.destroy();
      return connection.ended;
    },
  };
}
