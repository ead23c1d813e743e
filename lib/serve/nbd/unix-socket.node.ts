/**
 * Listening on a unix socket of the file system: one that a killed server has left behind is replaced,
 * anything else that is there is not (spec/nbd.md, "The server").
 */
import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { systemErrorCode, toStorageError } from '../../../store/system-error.node.ts';
import { PipelineError } from '../../errors.ts';
import { systemFailure } from '../../os/system-error.node.ts';

/** Nobody but the owner may connect. */
const OWNER_ONLY = 0o177;
/** Addresses of sockets are no longer than this, with a zero at the end. */
const LONGEST_PATH = 107;

/**
 * Begins to listen. Node removes the socket when the server is closed.
 * @throws CasError about the path
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > LONGEST_PATH) {
    const reason = `longer than the ${LONGEST_PATH} bytes that sockets may have`;
    throw new PipelineError('USAGE', { subject: path, step: 'listen', reason });
  }
  try {
    await bind(server, path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EADDRINUSE') throw toStorageError(error, path, 'listen');
    await removeStale(path);
    await bind(server, path).catch((again: unknown) => {
      throw toStorageError(again, path, 'listen');
    });
  }
}

/** The mask is changed for this thread's call only, which is over when `listen` returns. */
function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const mask = process.umask(OWNER_ONLY);
    try {
      process.umask(mask | OWNER_ONLY);
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

/** @throws CasError if it is not ours to remove */
async function removeStale(path: string): Promise<void> {
  if (!isSocket(path)) {
    throw new PipelineError('USAGE', { subject: path, step: 'listen', reason: 'is no socket' });
  }
  if (await isAnswered(path)) {
    const reason = 'another server listens on it';
    throw new PipelineError('USAGE', { subject: path, step: 'listen', reason });
  }
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw systemFailure('remove', error, path);
  }
}

function isSocket(path: string): boolean {
  try {
    return lstatSync(path).isSocket();
  } catch (error) {
    // It has gone meanwhile.
    if (systemErrorCode(error) === 'ENOENT') return true;
    throw systemFailure('look at', error, path);
  }
}

/** @throws CasError if that cannot be found out */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = systemErrorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else reject(toStorageError(error, path, 'connect'));
    });
  });
}
